// The containers: the runtime that the settings ask for, the pool that keeps them warm, the watch over their engine.
import { type Config, invalid } from '../core/config.js';
import type { BaseDeps, LoopDeps } from '../core/deps.js';
import type { Signals } from '../core/signals.js';
import type { Group } from '../core/types.js';
import type { Gateway } from '../gateway/server.js';
import { createMounts } from '../mounts/module.js';
import { createDryFolders } from './dry-folders.js';
import { sandboxSpec } from './home.js';
import { createPool } from './pool.js';
import * as runtimes from './runtimes.js';
import type { Sandbox } from './sandbox.js';
import { createSupervisor } from './supervisor.js';
import { tunnelsTo } from './tunnels.js';

export interface ContainersDeps extends LoopDeps {
  config: Config;
  gateway: Pick<Gateway, 'connect'>;
  signals: Signals;
  /** Places that a group reaches when its container starts, for programs in it that know no proxy. */
  placesOf(group: Group): { host: string; ports: number[] }[];
}

export type Containers = ReturnType<typeof createContainers>;

export function createContainers({ config, gateway, placesOf, ...loop }: ContainersDeps) {
  const { clock, log, signals } = loop;
  const mounts = createMounts({ config, ...loop });
  const dryFolders = createDryFolders({ ...config, log });
  const sandbox = createSandbox(config, { clock, log });
  const pool = createPool({
    ...{ sandbox, gateway, clock, log, maxContainers: config.maxContainers, idleMs: config.idleMs },
    async specFor(group, dryRun) {
      if (dryRun === undefined) {
        const spec = sandboxSpec(config, group);
        return { ...spec, mounts: [...spec.mounts, ...(await mounts.of(group))], tunnels: tunnelsTo(placesOf(group)) };
      }
      const spec = sandboxSpec(config, group, await dryFolders.open(dryRun, group.folder));
      const further = (await mounts.of(group)).map((mount) => ({ ...mount, readOnly: true }));
      // No tunnels: nobody could look into what goes through them.
      return { ...spec, mounts: [...spec.mounts, ...further] };
    },
    specVersion: mounts.version,
    onFree: () => signals.emit('run:ready'),
  });
  return { sandbox, pool, dryFolders, supervisor: createSupervisor({ ...loop, sandbox }) };
}

/** The sandbox the settings ask for. Throws PinchError `config_invalid` when there is no such runtime, and what the runtime's own `create` throws. */
export function createSandbox(config: Config, deps: BaseDeps): Sandbox {
  const all = Object.values(runtimes);
  const runtime = all.find(({ name }) => name === config.runtime);
  if (!runtime) throw invalid([`PINCH_RUNTIME: use ${all.map(({ name }) => name).join(' or ')}`]);
  return runtime.create(config, deps);
}
