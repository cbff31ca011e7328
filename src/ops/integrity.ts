// After an end that nobody asked for the database is looked at whole, by a thread of its own while everything works. A clean end leaves nothing to
// look for: what SQLite itself notices then ends the process as before.
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { databaseTrouble } from '../core/db.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';

export interface IntegrityDeps extends LoopDeps {
  config: { dataDir: string };
  /** Why the last process ended; null when somebody stopped it. */
  home: { lastEnd: string | null };
}

/** `ok`, or what is wrong. */
const said = z.object({ found: z.string() });

/** Begins at once; `stop` ends the look. */
export function startIntegrityCheck({ config, home, clock, log, notifyOwner }: IntegrityDeps): {
  stop(): Promise<void>;
} {
  if (home.lastEnd === null) return { stop: async () => undefined };
  const file = join(config.dataDir, 'pinch.db');
  // Not the options of this process: some are only for its own first file.
  const worker = new Worker(new URL('./integrity-worker.js', import.meta.url), { workerData: file, execArgv: [] });
  worker.unref();
  let isOver = false;
  const look = async () => {
    const began = performance.now();
    const looked = await once(worker, 'message').then(([answer]) => said.parse(answer), describeError);
    if (isOver) return;
    // Whatever kept it from looking says nothing of the database.
    if (typeof looked === 'string') return log.warn({ error: looked }, 'the database could not be looked at whole');
    const { found } = looked;
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
