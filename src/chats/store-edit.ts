// Stores the new version of a message. What it does is decided in edits.ts.
import { createHash } from 'node:crypto';
import type { InboundMessage } from '../channels/inbound-message.js';
import type { Clock } from '../core/clock.js';
import { type Chat, sessionName } from '../core/types.js';
import type { NewMessage, StoredVersion } from '../groups/messages.js';
import type { Store } from '../runs/store.js';
import { decideEdit } from './edits.js';
import { type Route, type RouteInput, standingOf } from './route.js';

/** The row that a message became, if it is new or changed; whether it looks for a run, and in which session where that is known. */
export interface Stored {
  messageId?: number | undefined;
  starts?: boolean;
  session?: string | undefined;
}

/** It must not run again when the message is corrected twice, or the edit delivered twice. */
const NO_COMMAND = 'A command only runs when it is sent, not when a message is edited. Send it as a new message.';

/** Joins the caller's transaction. An edit that the model may have read before its change becomes a message of its own. */
export function storeEdit(
  { store, clock }: { store: Store; clock: Clock },
  { chat, sender, route, inbound }: { chat: Chat; sender: RouteInput['sender']; route: Route; inbound: InboundMessage },
  { row, before }: { row: NewMessage; before: StoredVersion },
): Stored {
  const { messages, runs } = store;
  const { text, sentAt } = inbound;
  const now = clock.now();
  // It goes on where the earlier version was worked on, unless that was a conversation before `/new`.
  const workedOn = messages.sessionOf(before.id);
  const session = workedOn?.startsWith('task') ? workedOn : sessionName(chat);
  const isOpen = runs.openMessageRun(session) !== undefined;
  const wroteSince = messages.wroteSince(chat.id, before.id);
  const { mayAsk } = standingOf({ sender, chat });
  const edit = decideEdit({ before, text, sentAt, route, mayAsk, isOpen, wroteSince, now });
  if (edit.kind === 'nothing') return {};
  // Platforms count seconds: two edits may share one.
  const digest = createHash('sha256').update(text).digest('base64url').slice(0, 10);
  const platformId = `${inbound.platformId}#${sentAt}#${digest}`;
  if (edit.kind === 'no command') {
    store.outbox.add({ key: `edit:${chat.id}:${platformId}`, chatId: chat.id, runId: null, text: NO_COMMAND, now });
    return {};
  }
  const { intent, starts } = edit;
  if (edit.kind === 'version') {
    const messageId = messages.add({ ...row, platformId, edited: true, replaces: before.id, intent });
    return { messageId, starts, session };
  }
  messages.rewrite(before.id, { text, sentAt, intent });
  return { messageId: before.id, starts, session };
}
