// After an end that nobody asked for the database is looked at whole, by a process of its own while everything works (a thread in the
// middle of it could not be ended, and the end of this process would wait for it). A clean end leaves nothing to
// look for: what SQLite itself notices then ends the process as before.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { databaseTrouble } from '../core/db.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';
import { noteLook } from './whole-look.js';

export interface IntegrityDeps extends LoopDeps {
  config: { dataDir: string };
  /** Why the last process ended; null when somebody stopped it. */
  home: { lastEnd: string | null };
}

const run = promisify(execFile);

/** `ok`, or what is wrong. */
const said = z.object({ found: z.string() });

/** Begins at once; `stop` ends the look. */
export function startIntegrityCheck({ config, home, clock, log, notifyOwner }: IntegrityDeps): {
  stop(): Promise<void>;
} {
  if (home.lastEnd === null) return { stop: async () => undefined };
  const file = join(config.dataDir, 'pinch.db');
  const over = new AbortController();
  // The keys in our environment are none of its business.
  const options = { signal: over.signal, killSignal: 'SIGKILL' as const, env: {} };
  const look = async () => {
    const began = performance.now();
    const reading = run(
      process.execPath,
      [fileURLToPath(new URL('./integrity-worker.js', import.meta.url)), file],
      options,
    );
    const looked = await reading.then(({ stdout }) => said.parse(JSON.parse(stdout))).catch(describeError);
    if (over.signal.aborted) return;
    // Whatever kept it from looking says nothing of the database.
    if (typeof looked === 'string') return log.warn({ error: looked }, 'the database could not be looked at whole');
    const { found } = looked;
    const problem = noteLook(config.dataDir, { at: clock.now(), found });
    if (problem !== undefined) log.warn({ error: problem }, 'that the database was looked at could not be noted');
    if (found === 'ok') return log.info({ tookMs: Math.round(performance.now() - began) }, 'the database is intact');
    const [, hint] = databaseTrouble(file, undefined);
    log.error({ found, hint }, 'the database is damaged');
    notifyOwner(`database:${clock.now()}`, `My database is damaged: ${found.slice(0, 200)}. What to do: ${hint}`);
  };
  const finished = look();
  return {
    async stop() {
      over.abort();
      await finished;
    },
  };
}
