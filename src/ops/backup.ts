// A copy of the database every day, the last seven kept: what a corrupt database is restored from.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.js';
import { describeError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Store } from '../tasks/store.js';

const KEEP = 7;
const HOUR_MS = 3_600_000;

export interface BackupDeps {
  store: Store;
  config: { dataDir: string };
  clock: Clock;
  log: Logger;
}

/** Backs up once per calendar day (UTC), looking every hour; the first look is at once. */
export function startBackups(deps: BackupDeps): { stop(): Promise<void> } {
  const over = new AbortController();
  const loop = async () => {
    while (!over.signal.aborted) {
      await backUpOnce(deps);
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

async function backUpOnce({ store, config, clock, log }: BackupDeps): Promise<void> {
  const folder = join(config.dataDir, 'backups');
  const name = `pinch-${new Date(clock.now()).toISOString().slice(0, 10)}.db`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const known = readdirSync(folder)
      .filter((file) => /^pinch-[\d-]+\.db$/.test(file))
      .sort();
    if (known.includes(name)) return;
    // Written beside and renamed: a torn copy must never look like a backup.
    await store.backup(join(folder, `${name}.part`));
    await rename(join(folder, `${name}.part`), join(folder, name));
    for (const old of [...known, name].slice(0, -KEEP)) rmSync(join(folder, old), { force: true });
    log.info({ backup: name }, 'database backed up');
  } catch (error) {
    log.error({ error: describeError(error) }, 'database backup failed');
  }
}
