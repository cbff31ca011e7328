// A dead or cancelled run once more, by the owner's word.
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { shownLine } from '../core/one-line.js';
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

/**
 * The run is ready again; `from`, another chat than its own, is told how it ends. Joins a transaction of the caller. Throws PinchError
 * `conflict` when it is neither dead nor cancelled.
 */
export function retryRun(
  { store, clock, reopenSlot }: RetryDeps,
  { id, state, dry, chatId }: Run,
  from?: number,
): void {
  store.transaction(() => {
    if (!store.runs.revive(id, clock.now()))
      throw new PinchError('conflict', `run ${id} is ${state}`, { hint: WHY_NOT[state] || undefined });
    if (!dry) store.runs.reportTo(id, from === chatId ? null : (from ?? null));
    reopenSlot(id);
    store.events.add(id, clock.now(), 'retried', { was: state });
  });
  store.signal('run:ready');
}

const MAX_ANSWER_CHARS = 200;

/** Tells whoever had a run of another chat tried again how that went. Nothing as long as it is not over. In the transaction that ends the run. */
export function reportRetried({ store, clock }: Pick<RetryDeps, 'store' | 'clock'>, { id }: Pick<Run, 'id'>): void {
  const run = store.runs.get(id);
  if (!run || run.dry || run.reportChat === null || run.state === 'ready' || run.state === 'leased') return;
  const answer = store.outbox.ofRun(id).findLast(({ key }) => key.startsWith(`${id}:end:`))?.text;
  const ended = {
    done: answer === undefined ? 'is done, without a word' : `is done: “${shownLine(answer, MAX_ANSWER_CHARS)}”`,
    cancelled: 'was stopped',
    dead: `failed again: ${shownLine(run.error ?? 'the reason is unknown', MAX_ANSWER_CHARS)}`,
  }[run.state];
  const now = clock.now();
  store.outbox.add({
    key: `retried:${id}:${now}`,
    chatId: run.reportChat,
    runId: null,
    text: `Run ${id} ${ended}`,
    now,
  });
  store.runs.reportTo(id, null);
}
