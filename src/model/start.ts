// The model as containers reach it: whose key, which models, at what cost.
import type { Clock } from '../core/clock.js';
import type { Config, Env } from '../core/config.js';
import type { Logger } from '../core/log.js';
import type { Route } from '../gateway/server.js';
import { createBackends } from './backends.js';
import { createLedger } from './ledger.js';
import { createModelProxy, modelRoutes, type RunOf } from './model.js';
import type { Store } from './store.js';

export interface ModelDeps {
  store: Store;
  clock: Clock;
  log: Logger;
  config: Config;
  environment: Env;
  runOf: RunOf;
}

export function createModelRoutes({ store, clock, log, config, environment, runOf }: ModelDeps): Route[] {
  const proxy = createModelProxy({
    backend: createBackends(config, environment, log),
    models: () => [...new Set([config.model, ...store.groups.all().flatMap(({ model }) => model ?? [])])],
    ledger: createLedger({ store, clock, config }),
    clock,
    log,
  });
  return modelRoutes(proxy, runOf);
}
