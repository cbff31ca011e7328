// A copy of the database every day, the last seven kept as far as there is room: what a corrupt database is restored from.
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';
import type { Store } from '../tasks/store.js';

const KEEP = 7;
const MOST_OF_FREE = 0.1;
const NO_ROOM =
  'I make no backup of my database any more: it would take more than a tenth of the free disk. Make room there (`pinch doctor` shows how much is left).';
const HOUR_MS = 3_600_000;

export interface BackupDeps extends LoopDeps {
  store: Store;
  config: { dataDir: string };
}

/** Backs up once per calendar day (UTC), looking every hour; the first look is at once. */
export function startBackups(deps: BackupDeps): { stop(): Promise<void> } {
  const over = new AbortController();
  const loop = async () => {
    while (!over.signal.aborted) {
      await backUpOnce(deps, over.signal);
      await deps.clock.sleep(HOUR_MS, over.signal);
    }
  };
  const done = loop();
  return {
    stop: async () => {
      over.abort();
      await done;
    },
  };
}

/** A backup that is there, or the database as the next one. */
interface Copy {
  name: string;
  bytes: number;
}

/**
 * What to do before the next backup: which of `known` (oldest first) go once it is made, and whether it is made at all. Together they take at most
 * a tenth of what would be free without them; the newest stays in any case. Pure.
 */
export function decideBackups(known: Copy[], next: Copy, freeBytes: number): { isMade: boolean; drop: string[] } {
  const sum = (copies: Copy[]) => copies.reduce((bytes, copy) => bytes + copy.bytes, 0);
  const room = (freeBytes + sum(known)) * MOST_OF_FREE;
  const isMade = next.bytes <= room;
  const all = isMade ? [...known, next] : known;
  let kept = all.slice(-KEEP);
  while (kept.length > 1 && sum(kept) > room) kept = kept.slice(1);
  return { isMade, drop: all.slice(0, all.length - kept.length).map(({ name }) => name) };
}

async function backUpOnce({ store, config, clock, log, notifyOwner }: BackupDeps, over: AbortSignal): Promise<void> {
  const folder = join(config.dataDir, 'backups');
  const day = new Date(clock.now()).toISOString().slice(0, 10);
  const name = `pinch-${day}.db`;
  const copyOf = (file: string, path: string): Copy => ({ name: file, bytes: statSync(path).size });
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const known = readdirSync(folder)
      .filter((file) => /^pinch-[\d-]+\.db$/.test(file))
      .sort();
    // What an end in the middle of one left.
    for (const file of readdirSync(folder)) if (file.endsWith('.part')) rmSync(join(folder, file), { force: true });
    if (known.includes(name)) return;
    const { bavail, bsize } = statfsSync(folder);
    const copies = known.map((file) => copyOf(file, join(folder, file)));
    const next = copyOf(name, join(config.dataDir, 'pinch.db'));
    const { isMade, drop } = decideBackups(copies, next, bavail * bsize);
    if (isMade) {
      // Written beside and renamed: a torn copy must never look like a backup.
      await store.backup(join(folder, `${name}.part`), over);
      await rename(join(folder, `${name}.part`), join(folder, name));
      log.info({ backup: name }, 'database backed up');
    }
    for (const old of drop) rmSync(join(folder, old), { force: true });
    if (isMade) return;
    log.warn({ bytes: next.bytes }, 'no backup: it would take more than a tenth of the free disk');
    // Once a month.
    notifyOwner(`backup:${day.slice(0, 7)}`, NO_ROOM);
  } catch (error) {
    // The next start makes it.
    if (!over.aborted) log.error({ error: describeError(error) }, 'database backup failed');
  }
}
