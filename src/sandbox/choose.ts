// The sandbox the settings ask for.
import { type Config, invalid } from '../core/config.js';
import type { BaseDeps } from '../core/deps.js';
import * as runtimes from './runtimes.js';
import type { Sandbox } from './sandbox.js';

/** Throws PinchError `config_invalid` when there is no such runtime, and what the runtime's own `create` throws. */
export function createSandbox(config: Config, deps: BaseDeps): Sandbox {
  const all = Object.values(runtimes);
  const runtime = all.find(({ name }) => name === config.runtime);
  if (!runtime) throw invalid([`PINCH_RUNTIME: use ${all.map(({ name }) => name).join(' or ')}`]);
  return runtime.create(config, deps);
}
