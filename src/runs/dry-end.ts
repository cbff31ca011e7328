// What follows when a dry run is over: the files that it has written stand in its timeline, and the chat that asked for it is told.
import type { Clock } from '../core/clock.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';
import type { Run } from '../core/types.js';
import type { DryFolders, FileChange } from '../sandbox/dry-folders.js';
import { comparisonText, WRITTEN } from './compare.js';
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
    const kind = bytes === undefined ? how : `${how}, ${bytes} bytes`;
    const said = text ? `${kind}: ${text}` : kind;
    noteHeld({ store }, id, { what: WRITTEN, about: path, text: said, key: `file ${path}`, now });
  }
  const comparison = comparisonOf(store, run);
  if (run.reportChat === null || !comparison) return;
  const text = `${comparisonText(comparison).slice(0, MAX_REPORT_CHARS)}\n\n\`pinch run ${id}\` shows all of it.`;
  store.outbox.add({ key: `replay:${id}:${now}`, chatId: run.reportChat, runId: null, text, now });
}

interface SweepDeps extends Pick<LoopDeps, 'log'> {
  store: Store;
  dryFolders: Pick<DryFolders, 'sweep'>;
}

/**
 * The returned function removes the folders of all dry runs that are over, one call after the other: what could not be removed before, too. What
 * cannot be removed now is at the next end or start. Never rejects.
 */
export function createDrySweep({ store, dryFolders, log }: SweepDeps): () => Promise<void> {
  const isOpen = (id: number) => /^(ready|leased)$/.test(store.runs.get(id)?.state ?? '');
  const sweep = () =>
    dryFolders.sweep(isOpen).catch((error: unknown) => {
      log.warn({ error: describeError(error) }, 'folders of dry runs could not be removed');
    });
  let sweeping = Promise.resolve();
  return () => {
    sweeping = sweeping.then(sweep);
    return sweeping;
  };
}
