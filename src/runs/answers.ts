// Who may send what to a chat, and when.
// 1. Every text with which the model ends becomes one outbox row, made in the same transaction as what follows from it: the run goes on with
//    messages that came meanwhile (`POST /runs/:id/answer`), or it is done (`POST /runs/:id/finish`).
// 2. Its key is the run and the step, the place of the reply in the session history; so it goes out once, whoever reports it how often.
// 3. The runner writes a reply to its history first, tells the host next, and only then lets anything follow it. So whatever dies in between,
//    only a run's last reply can be one the host does not have, and its next attempt reports it again before it goes on.
// 4. Tools (`send_message`, `send_file`, `ask`) add rows while the run works, keyed by run and call; notices and answers to commands are the host's own.
// 5. Delivery alone talks to channels: per chat in the order of the rows, each until the provider took it or it is a dead letter.

import type { Run } from '../core/types.js';
import type { AnswerReport } from '../wire.js';
import { ANSWER, noteHeld } from './dry.js';
import type { Store } from './store.js';

/** What a task's run says when there is nothing to say (unattended.ts tells it so). */
const SILENT = /^\s*(\[silent\])?\s*$/i;

export const answerKey = (runId: number, step: number) => `${runId}:end:${step}`;

/** Queues the text for the run's chat, once per step, that of a dry run for its timeline alone; a text without words for people is not sent. Joins the caller's transaction. */
export function queueAnswer(store: Store, run: Run, { text, step }: AnswerReport, now: number): void {
  if (SILENT.test(text)) return;
  if (run.dry)
    return noteHeld({ store }, run.id, { what: ANSWER, about: 'to its chat', text, key: `answer ${step}`, now });
  store.outbox.add({ key: answerKey(run.id, step), chatId: run.chatId, runId: run.id, text, now });
}
