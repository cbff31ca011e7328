// `pinch logs`: the log files as people read them, with `--follow` as they grow. Works without the daemon.
import { spawn } from 'node:child_process';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
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
    .slice(Math.max(0, lines.length - view.last))
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

const logLine = z.looseObject({
  time: z.string().transform(Date.parse).pipe(z.number()),
  level: z.number(),
  msg: z.string().default(''),
});

/**
 * The last lines that hold this text in any case, or belong to a run (`run:12`), newest first; undefined when there is no file. The files are
 * read in pieces: the daemon itself looks, for the page.
 */
export async function searchLogs(file: string, text: string, last: number) {
  const files = logFiles(file).filter((name) => existsSync(name));
  if (files.length === 0) return undefined;
  const [, run] = /^run:(\d{1,15})$/.exec(text.trim()) ?? [];
  const wanted = text.trim().toLowerCase();
  const matches =
    run === undefined ? (line: string) => line.toLowerCase().includes(wanted) : matching({ run: Number(run) });
  let found: string[] = [];
  for (const name of files) {
    for await (const line of createInterface(createReadStream(name))) {
      if (line !== '' && matches(line)) found.push(line);
      if (found.length > 2 * last) found = found.slice(-last);
    }
  }
  return found.slice(-last).reverse().map(readLine);
}

/** What is no line of ours is shown as it is. */
function readLine(line: string) {
  try {
    const { time, level, msg, pid: _, hostname: __, ...rest } = logLine.parse(JSON.parse(line));
    return { at: time, level, message: msg, fields: Object.keys(rest).length > 0 ? JSON.stringify(rest) : '' };
  } catch {
    return { at: null, level: 30, message: line, fields: '' };
  }
}

const colours = new RegExp(`(${String.fromCharCode(27)}\\[[\\d;]*m)`);

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

function matching({ run }: Pick<LogView, 'run'>): (line: string) => boolean {
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
