// Whose model calls they are, and what they were given.
import type { Clock } from '../core/clock.js';
import type { Link } from '../gateway/server.js';
import { markWorking } from '../taint/taint.js';
import { leasedRun } from './calls.js';
import type { Store } from './store.js';

export function callersOf({ store, clock }: { store: Store; clock: Clock }) {
  // A call that names no run of its container counts for one that works there: its limit must not be escaped by saying nothing.
  const runOf = (link: Link, runId: number) =>
    leasedRun(store, link, runId)?.id ?? store.runs.leasedOf(link.groupId, link.dryRun)[0] ?? null;
  const modelOf = (runId: number) => store.runs.get(runId)?.model ?? undefined;
  const onSearch = ({ groupId, dryRun }: Link) =>
    store.transaction(() => markWorking(store, groupId, 'a web search of the model', clock.now(), dryRun));
  return { runOf, modelOf, onSearch };
}
