// What a group's use of the disk means, and when it is looked at again. Pure.
import type { Use } from './measure.js';

/** Infinity where there is no limit. */
export interface Quota {
  bytes: number;
  files: number;
}

/** Within it; past it; so far past it that a container which goes on is ended. */
export type Level = 'ok' | 'full' | 'far';

const FAR = 1.25;
/** A group that was past it must come down to this. */
const FREED = 0.95;
/** Growth that ends a container which was far past it from the start: it may still clean up. */
const GROWTH = 0.05;

/** The part of the quota that is used. What cannot be counted is too much. */
export const shareOf = (use: Pick<Use, 'bytes' | 'files' | 'isHidden'>, quota: Quota): number =>
  Math.max(use.bytes / quota.bytes, use.files / quota.files, use.isHidden ? 1.01 : 0);

export function levelOf(share: number, before: Level): Level {
  if (share > FAR) return 'far';
  return share > (before === 'ok' ? 1 : FREED) ? 'full' : 'ok';
}

/** Whether the container goes on filling its folders, far past its quota; `atStart`: the share before it. */
export const mustEnd = (share: number, atStart: number): boolean => share > FAR && share > atStart + GROWTH;

/** Counting may stop there: enough to see that it is past, and that it goes on. */
export const mostOf = ({ bytes, files }: Quota, share: number): Quota => {
  const factor = Math.max(2, share + 1);
  return {
    bytes: Number.isFinite(bytes) ? bytes * factor : Number.MAX_SAFE_INTEGER,
    files: Math.min(files * factor, 5_000_000),
  };
};

const LEAST_MS = 2_000;
const FULL_MS = 5_000;
const MOST_MS = 5 * 60_000;
/** Counting takes a tenth of the time at most. */
const REST = 10;
/** So much less room on the whole disk, as a part of the quota, is worth a look. */
const WORTH = 0.05;

export interface Looked {
  level: Level;
  /** Since the last count, which took `tookMs`. */
  sinceMs: number;
  tookMs: number;
  /** What the whole disk has less since then. */
  gone: Quota;
  isLive: boolean;
}

/** Whether the folders of a group that were counted before are due again. Without a container nothing there grows. */
export function isDue({ level, sinceMs, tookMs, gone, isLive }: Looked, quota: Quota): boolean {
  if (!isLive || sinceMs < Math.max(LEAST_MS, REST * tookMs)) return false;
  if (Math.max(gone.bytes / quota.bytes, gone.files / quota.files) >= WORTH) return true;
  return sinceMs >= (level === 'ok' ? MOST_MS : FULL_MS);
}
