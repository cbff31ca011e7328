// What a person's phone shows of what it was sent: edits and deletions done, reactions left out.
import { proto } from '@whiskeysockets/baileys';
import type { Delivery } from './whatsapp-state.js';

const { MESSAGE_EDIT, REVOKE } = proto.Message.ProtocolMessage.Type;
const textOf = (message: proto.IMessage | null | undefined) =>
  message?.conversation ?? message?.extendedTextMessage?.text ?? '';

/** The messages that the phone shows now, in order. An edit in the name of somebody else's message counts for nothing. */
export function screenOf(received: Delivery[]): { id: string; text: string; edits: number }[] {
  const shown = new Map<string, { id: string; text: string; edits: number }>();
  for (const { id, message } of received) {
    const { protocolMessage: change, reactionMessage } = message;
    const of = change?.key?.fromMe ? (change.key.id ?? '') : '';
    const before = shown.get(of);
    if (change?.type === REVOKE) shown.delete(of);
    else if (change?.type === MESSAGE_EDIT && before)
      shown.set(of, { ...before, text: textOf(change.editedMessage), edits: before.edits + 1 });
    else if (!change && !reactionMessage) shown.set(id, { id, text: textOf(message), edits: 0 });
  }
  return [...shown.values()];
}

/** The reactions to messages of people, oldest first; '' takes one back. */
export const reactionsIn = (received: Delivery[]): { id: string; emoji: string }[] =>
  received.flatMap(({ message: { reactionMessage: reaction } }) =>
    reaction ? [{ id: reaction.key?.id ?? '', emoji: reaction.text ?? '' }] : [],
  );
