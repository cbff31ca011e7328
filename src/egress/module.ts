// Egress: what containers reach of the outside, and the owner's ways to say so.
import { lookup } from 'node:dns/promises';
import type { Approvals } from '../approvals/approvals.js';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { Logger } from '../core/log.js';
import type { Guards } from '../secrets/guards.js';
import { egressApi } from './api.js';
import { createEgressAsker } from './ask.js';
import { egressCommands } from './commands.js';
import { createConnections } from './connections.js';
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
  const lookupAll = async (host: string) => (await lookup(host, { all: true })).map(({ address }) => address);
  const connections = createConnections({ ...deps, lookup: lookupAll, askOwner: createEgressAsker(deps) });
  return {
    proxy: createProxy(connections, deps.guards),
    commands: egressCommands(deps),
    api: egressApi(deps),
    close: connections.close,
  };
}
