// What follows when somebody stopped runs: in the same transaction what they were going to send ends, and who works on them is told.
import type { Run } from '../core/types.js';
import type { Cancelled } from './rows.js';
import type { Store } from './store.js';

export const STOPPED = 'somebody stopped it';

export function endCancelled(store: Store, { running }: Cancelled): void {
  // What they sent and nobody has read yet ends with them.
  for (const runId of running) store.outbox.endOfRuns({ runId, chatId: null, error: STOPPED });
  for (const runId of running) store.signal('run:stopped', runId);
  store.signal('task');
}

/** Stops one run that waits or works; false when it does neither. Joins the caller's transaction. */
export function stopRun(store: Store, run: Run, now: number): boolean {
  const cancelled = store.runs.cancelRun(run.id, now);
  if (cancelled.waiting + cancelled.running.length === 0) return false;
  store.events.add(run.id, now, 'stopped', { was: run.state });
  endCancelled(store, cancelled);
  return true;
}
