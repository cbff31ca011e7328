// A message that is to be worked on finds its run. One open message run per session takes everything: waiting, it absorbs the message;
// working, it is steered.
import type { Clock } from '../core/clock.js';
import { type Chat, sessionName } from '../core/types.js';
import type { Store } from './store.js';

/** `settledAt`: when what belongs to the message is probably here too. Joins the caller's transaction. Returns the id of the run that carries the message. */
export function startOrSteer(
  { store, clock }: { store: Store; clock: Clock },
  { chat, session, messageId, settledAt }: { chat: Chat; session: string; messageId: number; settledAt?: number },
): number | undefined {
  if (chat.groupId === null) return undefined;
  const { runs } = store;
  const now = clock.now();
  const open = runs.openMessageRun(session);
  const { id: chatId, groupId } = chat;
  const key = `msg:${chatId}:${messageId}`;
  const runId = open?.id ?? runs.enqueue({ key, kind: 'message', groupId, chatId, session, runAt: now, now });
  if (runId === undefined) return undefined;
  // What else was said in the chat is for its own conversation, not for the task that asked something there.
  if (session === sessionName(chat)) runs.attachMessages(runId, chat.id, messageId);
  else runs.attachMessage(runId, messageId);
  runs.makeDue(runId, now, settledAt ?? null);
  if (open?.state === 'leased') store.signal('run:steered', runId);
  else store.signal('run:ready');
  return runId;
}
