// A dead or cancelled run once more, by the owner's word.
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import type { Run } from '../core/types.js';
import type { Store } from './store.js';

export interface RetryDeps {
  store: Store;
  clock: Clock;
  /** The slot of a task whose run is tried again waits for that run once more. */
  reopenSlot(runId: number): void;
}

const WHY_NOT: Record<Run['state'], string> = {
  ready: 'it waits for its turn',
  leased: 'it is being worked on; `/stop` ends it',
  done: 'it is done: write what you want again',
  dead: '',
  cancelled: '',
};

/** The run is ready again. Joins a transaction of the caller. Throws PinchError `conflict` when it is neither dead nor cancelled. */
export function retryRun({ store, clock, reopenSlot }: RetryDeps, { id, state }: Pick<Run, 'id' | 'state'>): void {
  store.transaction(() => {
    if (!store.runs.revive(id, clock.now()))
      throw new PinchError('conflict', `run ${id} is ${state}`, { hint: WHY_NOT[state] || undefined });
    reopenSlot(id);
    store.events.add(id, clock.now(), 'retried', { was: state });
  });
  store.signal('run:ready');
}
