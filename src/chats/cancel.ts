// Ends what a chat waits for: its runs, what they were going to send, and task slots that wait for it.

import type { Clock } from '../core/clock.js';
import type { Chat } from '../core/types.js';
import { endCancelled, STOPPED } from '../runs/cancelled.js';
import { firstMessageOf } from '../runs/run-text.js';
import type { Store } from '../tasks/store.js';

/** In one session or (null) in all of the chat, tasks' too. Joins the caller's transaction. Returns how many runs waited or worked. */
export function cancelRuns(
  { store, clock }: { store: Store; clock: Clock },
  chat: Chat,
  session: string | null,
): number {
  const cancelled = store.runs.cancel(chat.id, session, clock.now());
  endCancelled(store, cancelled);
  const unsent = session === null ? store.outbox.endOfRuns({ runId: null, chatId: chat.id, error: STOPPED }) : 0;
  if (session === null) store.tasks.dropWaiting(null, chat.id, STOPPED, clock.now());
  return cancelled.running.length + cancelled.waiting + unsent;
}

/** What this person started in the chat, and nobody else's. Joins the caller's transaction. Returns how many runs waited or worked. */
export function cancelRunsOf({ store, clock }: { store: Store; clock: Clock }, chat: Chat, senderId: number): number {
  const mine = store.runs.openOfChat(chat.id).filter((run) => firstMessageOf(store, run)?.senderId === senderId);
  for (const { id } of mine) endCancelled(store, store.runs.cancelRun(id, clock.now()));
  return mine.length;
}
