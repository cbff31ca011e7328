// One logger: JSON lines on stdout when it is not a terminal, pretty when it is, and in a file for `pinch logs`. Never message text
// or keys above debug.
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** Each line goes through `clean`, then as JSON to the destination. */
export function createLog(level: string, clean: (line: string) => string, destination: DestinationStream): Logger {
  const options = { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, { write: (line) => void destination.write(clean(line)) });
}

/** Standard output; what makes it pretty is loaded only where a person reads it. */
export async function terminal(): Promise<DestinationStream> {
  if (!process.stdout.isTTY) return pino.destination({ dest: 1, sync: true });
  const { default: pretty } = await import('pino-pretty');
  return pretty({ colorize: true, singleLine: true, ignore: 'pid', translateTime: 'SYS:HH:MM:ss', sync: true });
}
