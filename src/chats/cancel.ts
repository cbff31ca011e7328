// Ends what a chat waits for: its runs, what they were going to send, and task slots that wait for it.

import type { Clock } from '../core/clock.js';
import type { Chat } from '../core/types.js';
import type { Store } from '../tasks/store.js';

const STOPPED = 'somebody stopped it';

/** In one session or (null) in all of the chat, tasks' too. Joins the caller's transaction. Returns how many runs waited or worked. */
export function cancelRuns(
  { store, clock }: { store: Store; clock: Clock },
  chat: Chat,
  session: string | null,
): number {
  const { running, waiting } = store.runs.cancel(chat.id, session, clock.now());
  // What they sent and nobody has read yet ends with them.
  for (const runId of running) store.outbox.endOfRuns({ runId, chatId: null, error: STOPPED });
  const unsent = session === null ? store.outbox.endOfRuns({ runId: null, chatId: chat.id, error: STOPPED }) : 0;
  if (session === null) store.tasks.dropWaiting(null, chat.id, STOPPED, clock.now());
  for (const runId of running) store.signal('run:stopped', runId);
  store.signal('task');
  return running.length + waiting + unsent;
}
