// Egress: what containers reach of the outside, and the owner's ways to say so.
import type { Approvals } from '../approvals/approvals.js';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { Logger } from '../core/log.js';
import type { Guards } from '../secrets/guards.js';
import { egressApi } from './api.js';
import { createEgressAsker } from './ask.js';
import { egressCommands } from './commands.js';
import { createConnections } from './connections.js';
import { dryGuards } from './dry.js';
import { createGroupPolicy } from './group-policy.js';
import { createLookupQueue, lookupAll } from './lookup.js';
import { createProxy } from './proxy.js';
import type { Store } from './store.js';

interface EgressDeps {
  store: Store;
  config: Config;
  clock: Clock;
  log: Logger;
  approvals: Approvals;
  guards: Guards;
}

export function createEgress(deps: EgressDeps) {
  const policy = createGroupPolicy({ ...deps, askOwner: createEgressAsker(deps) });
  const lookup = createLookupQueue(lookupAll);
  const connections = createConnections({ ...deps, policy, lookup });
  deps.store.signals.on('run:ended', connections.flush);
  return {
    proxy: createProxy(connections, { ...deps.guards, ...dryGuards(deps) }),
    commands: egressCommands(deps),
    api: egressApi(deps),
    /** For others that look up names for containers. */
    lookup,
    close: connections.close,
  };
}
