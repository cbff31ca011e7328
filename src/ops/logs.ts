// `pinch logs`: the log files as people read them, with `--follow` as they grow. Works without the daemon.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PinchError } from '../core/errors.js';
import { visible } from '../core/visible.js';
import { logFiles } from './log-file.js';

export interface LogView {
  file: string;
  /** Only lines of this run. */
  run?: number | undefined;
  /** The lines as they are. */
  json?: boolean | undefined;
  /** How many, of those that match. */
  last: number;
  colorize?: boolean;
}

/** The last lines that match, oldest first. Throws PinchError `no_log` when there is no file. */
export async function readLogs(view: LogView): Promise<string> {
  const files = logFiles(view.file).filter((name) => existsSync(name));
  if (files.length === 0) {
    throw new PinchError('no_log', `there is no log at ${view.file}`, {
      hint: 'Pinch was never started on this home: `npm start`',
    });
  }
  const lines = files.flatMap((name) => linesOf(readFileSync(name, 'utf8'))).filter(matching(view));
  return lines
    .slice(-view.last)
    .map(await showing(view))
    .join('');
}

/** Prints the last lines and then what is appended until `over`. Throws as `readLogs` does. */
export async function followLogs(view: LogView, over: AbortSignal, print: (text: string) => void): Promise<void> {
  print(await readLogs(view));
  const [matches, show] = [matching(view), await showing(view)];
  // It goes on with the new file after a rotation, and says so on stderr.
  const tail = spawn('tail', ['-n', '0', '-F', view.file], { stdio: ['ignore', 'pipe', 'ignore'] });
  over.addEventListener('abort', () => tail.kill(), { once: true });
  for await (const line of createInterface(tail.stdout)) if (line && matches(line)) print(show(line));
}

const colours = new RegExp(`(${String.fromCharCode(27)}\\[[\\d;]*m)`);

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

function matching({ run }: LogView): (line: string) => boolean {
  // Not parsed: the last line before a power cut may be torn. Quotes within values are escaped, so only a field matches.
  const field = new RegExp(`[{,]"runId":${run}[,}]`);
  return (line) => run === undefined || field.test(line);
}

async function showing({ json = false, colorize = false }: LogView): Promise<(line: string) => string> {
  if (json) return (line) => `${line}\n`;
  const { prettyFactory } = await import('pino-pretty');
  // What is no JSON comes out as it is.
  const show = prettyFactory({ colorize, singleLine: true, ignore: 'pid', translateTime: 'SYS:yyyy-mm-dd HH:MM:ss' });
  // The colours are pretty's own; everything else in a line may be somebody's text.
  const safe = (text: string) => text.split(colours).map((part, at) => (at % 2 === 1 ? part : visible(part)));
  return (line) => (colorize ? safe(show(line)).join('') : visible(show(line)));
}
