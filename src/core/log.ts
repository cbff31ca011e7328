// One logger: JSON lines on stdout when it is not a terminal, pretty when it is, in a file when Pinch is a service. Never message
// text or keys above debug.
import { type DestinationStream, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

/** Each line goes through `clean`. With a `destination` they go there as JSON. */
export function createLog(level: string, clean: (line: string) => string, destination = terminal()): Logger {
  const options = { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, { write: (line) => void destination.write(clean(line)) });
}

const terminal = (): DestinationStream =>
  process.stdout.isTTY
    ? pretty({ colorize: true, ignore: 'pid', translateTime: 'SYS:HH:MM:ss', sync: true })
    : pino.destination({ dest: 1, sync: true });
