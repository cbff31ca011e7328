// The path of a run: the queue that claims it, what its runner gets, what its runner may ask for.
import { randomUUID } from 'node:crypto';
import type { Link } from '../gateway/server.js';
import { createHostCalls, type HostCallDeps } from './host-calls.js';
import * as readers from './media-readers.js';
import { createQueue, type QueueDeps } from './queue.js';
import { createOutageTells } from './tells.js';
import { createWorkOrders, type WorkOrderDeps } from './work-order.js';

/** What the parts need, but for what they get from each other. */
export type RunsDeps = Omit<
  QueueDeps & WorkOrderDeps & HostCallDeps,
  'orders' | 'leaseHolder' | 'channel' | 'readers' | 'mediaFile' | 'onFinish'
>;

export function createRuns(deps: RunsDeps) {
  const { store, clock, channels } = deps;
  const orders = createWorkOrders({ ...deps, channel: channels.get, readers });
  const queue = createQueue({ ...deps, orders, leaseHolder: randomUUID() });
  const routes = createHostCalls({ ...deps, mediaFile: orders.mediaFile, onFinish: queue.onFinish });
  /** The timelines of the runs in this container say that it ran into a bound. */
  function noteRefusal({ groupId, dryRun }: Link, why: string): void {
    for (const runId of store.runs.leasedOf(groupId, dryRun)) store.events.add(runId, clock.now(), 'refused', { why });
  }
  return { queue, routes, noteRefusal, tells: createOutageTells(deps) };
}
