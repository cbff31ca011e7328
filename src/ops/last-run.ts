// How the daemon ended last: a marker that a clean end removes. Found at a start, it says that nobody stopped the last one, and
// why when that one could still tell. To be used under the home's lock only.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { describeError, PinchError } from '../core/errors.js';

/** `ready`: its start is over. Older ones do not say; theirs was. */
const marker = z.object({
  pid: z.number(),
  startedAt: z.number(),
  ready: z.boolean().default(true),
  error: z.string().optional(),
});
type Marker = z.infer<typeof marker>;
const MAX_ERROR = 300;
/** What a person has to correct is told whole. */
const MAX_REASON = 2_000;
const ERROR = 'an error: ';
const FAILED_START = 'a start that failed: ';
const markerFile = (dataDir: string) => join(dataDir, 'running.json');

/** Notes that this process runs; returns why the last one ended, null when it was stopped (or there was none). */
export function markRunning(dataDir: string, now: number, bootedAt = now - uptime() * 1_000): string | null {
  const last = existsSync(markerFile(dataDir)) ? describeEnd(dataDir, bootedAt) : null;
  write(dataDir, { pid: process.pid, startedAt: now, ready: false });
  return last;
}

/** The start is over: what ends this process from now on is no failed start. */
export const markReady = (dataDir: string): void => change(dataDir, { ready: true });

/** Notes why this process is about to end. Never throws: it runs while all else fails. */
export function markCrashed(dataDir: string, error: unknown): void {
  try {
    change(dataDir, { error: briefly(error) });
  } catch {
    // The error itself is on its way into the log.
  }
}

/** Does nothing when the marker is another's. */
function change(dataDir: string, what: Partial<Marker>): void {
  const own = read(dataDir);
  if (own?.pid === process.pid) write(dataDir, { ...own, ...what });
}

/** Why the latest start failed, when nothing has run since. */
export function failedStart(dataDir: string): string | undefined {
  const last = read(dataDir);
  return last?.ready ? undefined : last?.error;
}

/** Whether the reason that `markRunning` gave is that of a start. */
export const isFailedStart = (lastEnd: string): boolean => lastEnd.startsWith(FAILED_START);

/** Whether it was an error of its own: nobody killed it. */
export const endedItself = (lastEnd: string): boolean => isFailedStart(lastEnd) || lastEnd.startsWith(ERROR);

/** That reason as a sentence of the one whose it is. */
export const endText = (lastEnd: string): string =>
  isFailedStart(lastEnd)
    ? `The start before this one failed: ${lastEnd.slice(FAILED_START.length)}`
    : `Before this start I ended by myself: ${lastEnd}`;

/** A clean end; harmless when repeated. */
export const markEnded = (dataDir: string): void => rmSync(markerFile(dataDir), { force: true });

function describeEnd(dataDir: string, bootedAt: number): string {
  const last = read(dataDir);
  if (!last) return 'unknown: its marker cannot be read';
  if (last.error) return `${last.ready ? ERROR : FAILED_START}${last.error}`;
  return last.startedAt < bootedAt ? 'the machine went down' : 'killed from outside, or out of memory';
}

/** One line without a place in the code: members of a chat may read it. The log has the rest. */
function briefly(error: unknown): string {
  const [line = '', ...more] = describeError(error).split(/\n\s*(?:- )?/);
  if (!(error instanceof PinchError)) return line.slice(0, MAX_ERROR);
  return [line, more.join('; ')].join(' ').trim().slice(0, MAX_REASON);
}

function read(dataDir: string): Marker | undefined {
  try {
    return marker.parse(JSON.parse(readFileSync(markerFile(dataDir), 'utf8')));
  } catch {
    // Written over, not renamed: a power cut may leave half of it, and half of it says enough.
    return undefined;
  }
}

function write(dataDir: string, content: Marker): void {
  writeFileSync(markerFile(dataDir), JSON.stringify(content), { mode: 0o600 });
}
