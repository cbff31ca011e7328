// After an end that nobody asked for the database is looked at whole, by a thread of its own while everything works. A clean end leaves nothing to
// look for: what SQLite itself notices then ends the process as before.
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { databaseTrouble } from '../core/db.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';

export interface IntegrityDeps extends LoopDeps {
  config: { dataDir: string };
  /** Why the last process ended; null when somebody stopped it. */
  home: { lastEnd: string | null };
}

/** Begins at once; `stop` ends the look. */
export function startIntegrityCheck({ config, home, clock, log, notifyOwner }: IntegrityDeps): {
  stop(): Promise<void>;
} {
  if (home.lastEnd === null) return { stop: async () => undefined };
  const file = join(config.dataDir, 'pinch.db');
  const worker = new Worker(new URL('./integrity-worker.js', import.meta.url), { workerData: file });
  worker.unref();
  let isOver = false;
  const look = async () => {
    const began = performance.now();
    const found = await once(worker, 'message').then(([text]) => String(text), describeError);
    if (isOver) return;
    if (found === 'ok') return log.info({ tookMs: Math.round(performance.now() - began) }, 'the database is intact');
    const [, hint] = databaseTrouble(file, undefined);
    log.error({ found, hint }, 'the database is damaged');
    notifyOwner(`database:${clock.now()}`, `My database is damaged: ${found.slice(0, 200)}. What to do: ${hint}`);
  };
  void look();
  return {
    async stop() {
      isOver = true;
      await worker.terminate();
    },
  };
}
