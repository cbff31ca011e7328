// What a group's container may reach: the owner's rules, the words of people for the runs that work, the group's mode. What it reached is told in
// the timeline of these runs, counted for the group's day, and taints.
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { Link } from '../gateway/server.js';
import { holdBack } from '../runs/dry.js';
import { isMarked, markWorking, taintOf } from '../taint/taint.js';
import type { EgressAsker } from './ask.js';
import type { Policy } from './connections.js';
import { type Allowed, decideEgress, type Refused } from './decide.js';
import type { Target } from './host.js';
import { hostsTyped, isOwnWord } from './own-words.js';
import type { Store } from './store.js';

export interface GroupPolicyDeps {
  store: Store;
  config: Pick<Config, 'egressMode'>;
  clock: Clock;
  /** Asks the owner about a host; the reason of the refusal, one line of ASCII. */
  askOwner: EgressAsker;
}

export function createGroupPolicy(deps: GroupPolicyDeps): Policy<Link> {
  const { store, clock } = deps;
  return {
    together: store.transaction,
    of(link) {
      const { groupId, dryRun } = link;
      // Those that work in the container when it begins.
      const runIds = store.runs.leasedOf(groupId, dryRun);
      return {
        about: { groupId },
        kind: 'group',
        today: () => store.egress.today({ groupId, now: clock.now() }),
        addBytes: (bytes) => store.egress.addBytes({ groupId, bytes, now: clock.now() }),
        decide: (target) => decideForGroup(deps, { link, runIds, target }),
        onReached(host) {
          if (!isMarked(store, link))
            store.transaction(() => markWorking(store, groupId, `the site ${host}`, clock.now(), dryRun));
        },
        tell(detail, endedAt) {
          for (const runId of runIds.filter(store.events.hasRoom))
            store.events.add(runId, endedAt, 'egress', { ...detail });
        },
      };
    },
  };
}

type GroupQuestion = { link: Link; runIds: number[]; target: Target };

function decideForGroup(deps: GroupPolicyDeps, { link, runIds, target }: GroupQuestion): Allowed | Refused {
  const { store, config, clock, askOwner } = deps;
  const { groupId } = link;
  const [taint, rules] = [taintOf(store, link), store.egress.of(groupId, clock.now())];
  const [mode, ownWords] = [store.egress.mode(groupId, config), ownWordsOf(store, runIds)];
  const decision = decideEgress({ target, mode, rules, ownWords, tainted: taint !== undefined });
  if (decision.kind !== 'ask') return decision;
  if (link.dryRun !== undefined) return askedByNobody({ store, clock }, link.dryRun, { target, why: decision.why });
  return { kind: 'refuse', why: decision.why, reason: askOwner(link, target, runIds, decision.why, taint) };
}

/** In a dry run the owner is not asked. */
function askedByNobody(
  deps: Pick<GroupPolicyDeps, 'store' | 'clock'>,
  dryRun: number,
  { target: { host, port }, why }: { target: Target; why: string },
): Refused {
  holdBack(deps, dryRun, { what: 'approval', about: `reach ${host}:${port}`, key: `ask ${host}:${port}` });
  return { kind: 'refuse', why, reason: `this dry run asks nobody whether ${host} may be reached; it is noted` };
}

/** Hosts that people typed for these runs. A run that was stopped has no say any more, nor has a text that its sender changed since. */
const ownWordsOf = ({ runs, messages }: Store, runIds: number[]) =>
  runIds
    .filter((id) => runs.get(id)?.cancelRequested === 0)
    .flatMap((id) => messages.ofRun(id))
    .filter((message) => isOwnWord(message) && messages.isNewest(message))
    .flatMap(({ text }) => hostsTyped(text));
