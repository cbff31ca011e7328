// What follows when a dry run is over: the files that it has written stand in its timeline, and the chat that asked for it is told.
import type { Clock } from '../core/clock.js';
import type { Run } from '../core/types.js';
import type { FileChange } from '../sandbox/dry-folders.js';
import { comparisonText } from './compare.js';
import { noteHeld } from './dry.js';
import { comparisonOf } from './replay.js';
import type { Store } from './store.js';

const MAX_REPORT_CHARS = 6_000;

/** Nothing for one that is tried again. In the caller's transaction. */
export function recordDryEnd(
  { store, clock }: { store: Store; clock: Pick<Clock, 'now'> },
  { id }: Pick<Run, 'id'>,
  changes: FileChange[],
): void {
  const run = store.runs.get(id);
  if (!run || run.state === 'ready' || run.state === 'leased') return;
  const now = clock.now();
  for (const { path, how, bytes, text } of changes) {
    const about = bytes === undefined ? `${path} (${how})` : `${path} (${how}, ${bytes} bytes)`;
    noteHeld({ store }, id, { what: 'written file', about, text, key: `file ${path}`, now });
  }
  const comparison = comparisonOf(store, run);
  if (run.reportChat === null || !comparison) return;
  const text = `${comparisonText(comparison).slice(0, MAX_REPORT_CHARS)}\n\n\`pinch run ${id}\` shows all of it.`;
  store.outbox.add({ key: `replay:${id}:${now}`, chatId: run.reportChat, runId: null, text, now });
}
