// Which model back end answers, with its credential. `.env` is read again when it changed, so that a corrected key works
// without a restart.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Backend, type Config, type Env, loadConfig } from '../core/config.js';
import { describeError } from '../core/errors.js';
import type { Logger } from '../core/log.js';

/** Returns a function that gives the current back end. Never throws: an invalid `.env` keeps the settings in use and is logged once. */
export function createBackends(config: Config, environment: Env, log: Logger): () => Backend {
  const file = join(config.home, '.env');
  let backend = config.backend;
  let seen = changedAt(file);
  return () => {
    const changed = changedAt(file);
    if (changed === seen) return backend;
    seen = changed;
    try {
      backend = loadConfig(environment, config.repository).backend;
      log.info({ backend: backend.kind }, 'model settings read again');
    } catch (error) {
      log.warn({ error: describeError(error) }, 'changed .env is invalid and was not used');
    }
    return backend;
  };
}

const changedAt = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
