// `pinch logs`: the log files of the service as people read them, with `--follow` as they grow. Works without the daemon.
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { prettyFactory } from 'pino-pretty';
import type { Clock } from '../clock.js';
import { PinchError } from '../errors.js';
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

const LOOK_MS = 300;
const BLOCK_BYTES = 64 * 1024;

/** The last lines that match, oldest first. Throws PinchError `no_log` when there is no file. */
export function readLogs(view: LogView): string {
  const files = logFiles(view.file).filter((name) => existsSync(name));
  if (files.length === 0) {
    throw new PinchError('no_log', `there is no log at ${view.file}`, {
      hint: 'only the service logs to a file (`npm run -s pinch -- service install`); `npm start` logs where it runs',
    });
  }
  const lines = files.flatMap((name) => linesOf(readFileSync(name, 'utf8'))).filter(matching(view));
  return lines.slice(-view.last).map(showing(view)).join('');
}

/** Prints the last lines and then what is appended until `over`, across rotations. Throws as `readLogs` does. */
export async function followLogs(view: LogView, over: AbortSignal, { clock, print }: Following): Promise<void> {
  const matches = matching(view);
  const show = showing(view);
  print(readLogs(view));
  let tail = openTail(view.file, 'end');
  while (!over.aborted) {
    // Asked before reading: what was written to the old file until it was renamed is still read from it.
    const replaced = statSync(view.file, { throwIfNoEntry: false })?.ino !== tail.inode;
    const text = tail.read().filter(matches).map(show).join('');
    if (text) print(text);
    if (replaced && existsSync(view.file)) {
      tail.close();
      tail = openTail(view.file);
    } else await clock.sleep(LOOK_MS, over);
  }
  tail.close();
}

interface Following {
  clock: Pick<Clock, 'sleep'>;
  print(text: string): void;
}

function openTail(file: string, from: 'start' | 'end' = 'start') {
  const fd = openSync(file, 'r');
  const { ino: inode, size } = fstatSync(fd);
  const decoder = new StringDecoder();
  const block = Buffer.alloc(BLOCK_BYTES);
  let position = from === 'end' ? size : 0;
  let rest = '';
  return {
    inode,
    /** Whole lines only. */
    read(): string[] {
      for (let length = readSync(fd, block, 0, BLOCK_BYTES, position); length > 0; ) {
        position += length;
        rest += decoder.write(block.subarray(0, length));
        length = readSync(fd, block, 0, BLOCK_BYTES, position);
      }
      const end = rest.lastIndexOf('\n') + 1;
      const lines = linesOf(rest.slice(0, end));
      rest = rest.slice(end);
      return lines;
    },
    close: (): void => closeSync(fd),
  };
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

function matching({ run }: LogView): (line: string) => boolean {
  // Not parsed: the last line before a power cut may be torn. Quotes within values are escaped, so only a field matches.
  const field = new RegExp(`[{,]"runId":${run}[,}]`);
  return (line) => run === undefined || field.test(line);
}

function showing({ json = false, colorize = false }: LogView): (line: string) => string {
  // What is no JSON comes out as it is.
  const show = prettyFactory({ colorize, singleLine: true, ignore: 'pid', translateTime: 'SYS:yyyy-mm-dd HH:MM:ss' });
  return (line) => (json ? `${line}\n` : show(line));
}
