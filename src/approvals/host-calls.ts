// What a container may ask about approvals: whether its owner answered. It cannot answer itself: no call here does.
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import { type Link, post, type Route } from '../gateway/server.js';
import { parse, unknownThing, workingRun } from '../runs/calls.js';
import { type Approvals, agentText } from './approvals.js';
import type { Store } from './store.js';

const WAIT_MS = 45_000;
const waitRequest = z.object({ runId: z.number().int() });

export function approvalCalls({ store, approvals }: { store: Store; approvals: Approvals }): Route[] {
  const waiting = new Set<Link>();
  return [
    post('/approvals/:id/wait', async (link, body, id = 0) => {
      const run = workingRun(store, link, parse(waitRequest, body).runId);
      const approval = store.approvals.get(id);
      if (approval?.groupId !== link.groupId) throw unknownThing('approval');
      if (waiting.has(link)) throw new PinchError('too_many', 'this container waits for an approval already');
      waiting.add(link);
      try {
        // Where nobody is there, nobody will answer while it waits.
        const ended = await approvals.wait(id, store.runs.input(run.id) ? 0 : WAIT_MS);
        return { text: agentText(ended ?? approval) };
      } finally {
        waiting.delete(link);
      }
    }),
  ];
}
