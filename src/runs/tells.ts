// What the chat of a run is told by the way, by Pinch and not by the model: that Pinch was restarted and goes on, that the model does not answer,
// that it does again. What was told stands in the run's row, in the transaction that queues the text: no restart tells it twice.
import type { LoopDeps } from '../core/deps.js';
import type { Run } from '../core/types.js';
import type { Store } from './store.js';

interface TellDeps extends Pick<LoopDeps, 'clock'> {
  store: Store;
}

/** An answer that comes so soon after a restart needs no word before it. */
const SOON_MS = 8_000;
/** A host that ends again and again tells a run's chat so often at most. */
const RESTART_TOLD_EVERY_MS = 10 * 60_000;

/**
 * Tells the chat of a run that a restart interrupted that it goes on, unless the run is over soon. Where nobody waits, in a task, nobody is
 * told; nor where the chat knows that the model does not answer.
 */
export async function tellRestart({ store, clock }: TellDeps, run: Run, over: AbortSignal): Promise<void> {
  if (!run.interrupted || run.taskId !== null || run.dry) return;
  await clock.sleep(SOON_MS, over);
  if (over.aborted) return;
  const now = clock.now();
  const text = 'I was restarted and am going on with this.';
  store.transaction(() => {
    if (!store.runs.restartTold(run.id, now, now - RESTART_TOLD_EVERY_MS)) return;
    store.outbox.add({ key: `restarted:${run.id}:${now}`, chatId: run.chatId, runId: null, text, now });
  });
}

export type OutageTells = ReturnType<typeof createOutageTells>;

export function createOutageTells({ store, clock }: TellDeps) {
  return {
    /** For the chat of a run that nobody has stopped, once until `over`; tasks have nobody who waits. */
    tell(runId: number, text: string): void {
      const now = clock.now();
      store.transaction(() => {
        const chatId = store.runs.outageTold(runId, now);
        if (chatId === undefined) return;
        store.outbox.add({ key: `no-model:${runId}:${now}`, chatId, runId: null, text, now });
      });
    },
    /** For every chat that was told. What waits of it for another try need not wait longer. */
    over(text: string): void {
      const now = clock.now();
      store.transaction(() => {
        for (const { id, chatId, state } of store.runs.outageOver()) {
          if (state !== 'ready' && state !== 'leased') continue;
          store.outbox.add({ key: `answers-again:${id}:${now}`, chatId, runId: null, text, now });
          store.runs.makeDue(id, now, null);
          store.signal('run:ready');
        }
      });
    },
  };
}
