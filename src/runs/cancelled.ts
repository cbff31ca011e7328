// What follows when somebody stopped runs: in the same transaction what they were going to send ends, and who works on them is told.
import type { Cancelled } from './rows.js';
import type { Store } from './store.js';

export const STOPPED = 'somebody stopped it';

export function endCancelled(store: Store, { running }: Cancelled): void {
  // What they sent and nobody has read yet ends with them.
  for (const runId of running) store.outbox.endOfRuns({ runId, chatId: null, error: STOPPED });
  for (const runId of running) store.signal('run:stopped', runId);
  store.signal('task');
}
