// Approvals of kind `egress`: a host that nobody named yet. A plain yes counts for an hour, in this group, so that the agent can do what it
// asked for; "always" makes a rule.
import { z } from 'zod';
import { type Approvals, agentText } from '../approvals/approvals.js';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import type { Link } from '../gateway/server.js';
import type { Taint } from '../taint/rows.js';
import { DEFAULT_PORTS } from './decide.js';
import { shownHost, type Target } from './host.js';
import type { Store } from './store.js';

const HOUR_MS = 3_600_000;
/** Without a port: the two of the web, which are one question. */
const input = z.object({ host: z.string(), port: z.number().optional() });

/** Returns how a container's connection is asked for: the reason of its refusal, one line of ASCII. */
export function createEgressAsker({ store, clock, approvals }: { store: Store; clock: Clock; approvals: Approvals }) {
  const ask = approvals.kind({
    name: 'egress',
    input,
    maxOpen: 3,
    carryOut({ host, port }, { approval: { groupId }, always }) {
      if (groupId === null) throw new PinchError('not_found', 'it belongs to no group');
      const now = clock.now();
      store.egress.removeEnded(now);
      const known = store.egress.find(groupId, host, always)?.ports ?? null;
      const ports = port === undefined ? known : [...(known ?? DEFAULT_PORTS), port];
      store.egress.put({ groupId, host, ports, address: null, until: always ? null : now + HOUR_MS, now });
      return `\`${nameOf(host, port)}\` can be reached ${always ? 'from now on' : 'for an hour'}.`;
    },
  });
  return ({ groupId }: Link, target: Target, runIds: number[], why: string, taint?: Taint): string => {
    const { host } = target;
    const port = DEFAULT_PORTS.includes(target.port) ? undefined : target.port;
    const name = nameOf(host, port);
    const run = runIds.map((id) => store.runs.get(id)).findLast((one) => one?.cancelRequested === 0);
    if (!run) return `egress to ${name} is not allowed: no run asks for it`;
    try {
      const approval = ask({
        ...{ groupId, run, taint },
        subject: `reach ${name} on the internet`,
        lines: [
          `The group \`${store.groups.get(groupId)?.folder}\` wants to connect to \`${name}\`. A yes counts for an hour. I ask because of ${why}.`,
        ],
        always: 'until you remove it with `/egress`',
        input: { host, ...(port !== undefined && { port }) },
      });
      return `egress to ${name} is not allowed yet. ${agentText(approval)}`.replace(/[^ -~]/g, '?');
    } catch (error) {
      if (error instanceof PinchError) return `egress to ${name} is not allowed: ${error.message}`;
      throw error;
    }
  };
}
export type EgressAsker = ReturnType<typeof createEgressAsker>;

const nameOf = (host: string, port?: number): string => `${shownHost(host)}${port === undefined ? '' : `:${port}`}`;
