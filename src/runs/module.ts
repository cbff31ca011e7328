// The path of a run: the queue that claims it, what its runner gets, what its runner may ask for.
import { randomUUID } from 'node:crypto';
import type { LoopGuard } from '../budgets/guard.js';
import type { RunningChannels } from '../channels/start.js';
import type { Config } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import type { OutboxFiles } from '../delivery/files.js';
import type { Link } from '../gateway/server.js';
import type { Containers } from '../sandbox/module.js';
import { createHostCalls, type HostCallDeps } from './host-calls.js';
import * as readers from './media-readers.js';
import { createQueue } from './queue.js';
import type { StopSwitch } from './stop-switch.js';
import type { Store } from './store.js';
import { createWorkOrders, type WorkOrderDeps } from './work-order.js';

export interface RunsDeps extends LoopDeps {
  store: Store;
  config: Config;
  channels: Pick<RunningChannels, 'get'>;
  containers: Containers;
  outboxFiles: OutboxFiles;
  stopSwitch: StopSwitch;
  approvals: Pick<HostCallDeps, 'askToSend'> & Pick<WorkOrderDeps, 'ownSkills'>;
  services: WorkOrderDeps['services'];
  guard: Pick<LoopGuard, 'note'>;
}

export function createRuns({
  config,
  channels,
  containers,
  outboxFiles,
  stopSwitch,
  approvals,
  services,
  ...loop
}: RunsDeps) {
  const { store } = loop;
  const { askToSend, ownSkills } = approvals;
  const orders = createWorkOrders({ store, config, channel: channels.get, readers, ownSkills, services });
  const queue = createQueue({ ...loop, ...containers, orders, channels, stopSwitch, leaseHolder: randomUUID() });
  const routes = createHostCalls({
    ...loop,
    outboxFiles,
    askToSend,
    mediaFile: orders.mediaFile,
    onFinish: queue.onFinish,
  });
  /** The timelines of the runs in this container say that it ran into a bound. */
  function noteRefusal(link: Link, why: string): void {
    for (const runId of store.runs.leasedOf(link.groupId))
      store.events.add(runId, loop.clock.now(), 'refused', { why });
  }
  return { queue, routes, noteRefusal };
}
