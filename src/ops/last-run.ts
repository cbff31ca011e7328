// How the daemon ended last: a marker that a clean end removes. Found at a start, it says that nobody stopped the last one, and
// why when that one could still tell. To be used under the home's lock only.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { LastEnd } from '../core/begun.js';
import { describeError, PinchError } from '../core/errors.js';

/** `ready`: its start is over. Older ones do not say; theirs was. */
const marker = z.object({
  pid: z.number(),
  startedAt: z.number(),
  ready: z.boolean().default(true),
  error: z.string().optional(),
});
type Marker = z.infer<typeof marker>;
const MACHINE_DOWN = 'the machine went down';
const MAX_ERROR = 300;
/** What a person has to correct is told whole. */
const MAX_REASON = 2_000;
const ERROR = 'an error: ';
const FAILED_START = 'a start that failed: ';
const markerFile = (dataDir: string) => join(dataDir, 'running.json');
/** Of a start that ended before it had the home: scripts/lib/failed-start.mjs writes it. */
const setupFile = (dataDir: string) => join(dataDir, 'failed-start.json');

/** Notes that this process runs; returns why the last one ended, null when it was stopped (or there was none). */
export function markRunning(dataDir: string, now: number, bootedAt = now - uptime() * 1_000): string | null {
  const failed = failedSetup(dataDir);
  const last = existsSync(markerFile(dataDir)) ? describeEnd(dataDir, bootedAt) : null;
  rmSync(setupFile(dataDir), { force: true });
  write(dataDir, { pid: process.pid, startedAt: now, ready: false });
  return failed === undefined ? last : `${FAILED_START}${failed}`;
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
  const failed = failedSetup(dataDir);
  if (failed !== undefined) return failed;
  const last = read(dataDir);
  return last?.ready ? undefined : last?.error;
}

/** Whether the reason that `markRunning` gave is that of a start. */
export const isFailedStart = (lastEnd: string): boolean => lastEnd.startsWith(FAILED_START);

/** Whose doing it was: what the process worked on, somebody who killed it, or nobody's. */
export function kindOfEnd(lastEnd: string | null): LastEnd {
  if (lastEnd === null || lastEnd === MACHINE_DOWN) return 'stopped';
  return isFailedStart(lastEnd) || lastEnd.startsWith(ERROR) ? 'itself' : 'killed';
}

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
  return last.startedAt < bootedAt ? MACHINE_DOWN : 'killed from outside, or out of memory';
}

function failedSetup(dataDir: string): string | undefined {
  try {
    const { error } = z.object({ error: z.string() }).parse(JSON.parse(readFileSync(setupFile(dataDir), 'utf8')));
    return inOneLine(error).slice(0, MAX_REASON);
  } catch {
    // There was none, or it could not tell.
    return undefined;
  }
}

/** The list of what is wrong as one sentence. */
function inOneLine(text: string): string {
  const [line = '', ...more] = text.split(/\n\s*(?:- )?/);
  return [line, more.join('; ')].join(' ').trim();
}

/** One line without a place in the code: members of a chat may read it. The log has the rest. */
function briefly(error: unknown): string {
  const text = describeError(error);
  if (error instanceof PinchError) return inOneLine(text).slice(0, MAX_REASON);
  return text.split('\n', 1).join('').slice(0, MAX_ERROR);
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
