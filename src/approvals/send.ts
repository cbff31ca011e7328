// A message to a chat of another group, or out of a conversation that read what nobody trusted: the owner sees it before anybody else does.
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import type { Chat, Run } from '../core/types.js';
import type { Link } from '../gateway/server.js';
import { taintOf } from '../taint/taint.js';
import { type Approvals, agentText } from './approvals.js';
import type { Store } from './store.js';

const input = z.object({ chatId: z.number(), text: z.string() });

/** Returns how a run asks for it: what the agent is told. Undefined when the chat is free to be written to. */
export function createSendAsker(deps: { store: Store; clock: Clock; approvals: Approvals }) {
  const { store, clock, approvals } = deps;
  const ask = approvals.kind({
    name: 'send',
    input,
    maxOpen: 3,
    carryOut({ chatId, text }, { approval: { id, runId } }) {
      const chat = store.groups.chat(chatId);
      if (!chat || chat.groupId === null) throw new PinchError('not_found', 'the chat belongs to no group any more');
      const now = clock.now();
      store.outbox.add({ key: `approved:${id}`, chatId, runId, text, now });
      if (runId !== null) store.events.add(runId, now, 'message_queued', { chat: chat.title, key: `approved:${id}` });
      return 'The message goes to that chat.';
    },
  });
  /** `name`: how the agent names the chat. */
  return (link: Link, run: Run, { chat, name, text }: { chat: Chat; name: string; text: string }) => {
    const taint = taintOf(store, link);
    if (chat.id === run.chatId || (chat.groupId === link.groupId && !taint)) return undefined;
    const subjectOf = (title: string) => `send a message to ${oneLine(title, 80)} (${chat.channel})`;
    // What the chats of other groups are called is for their own agents and the main one.
    const mayKnow = chat.groupId === link.groupId || store.groups.get(link.groupId)?.isMain;
    const approval = ask({
      groupId: link.groupId,
      run,
      subject: subjectOf(chat.title),
      agentSubject: mayKnow ? undefined : subjectOf(name),
      // Whoever manages a chat can give it the title of another one.
      lines: [`It is a chat of the group \`${store.groups.get(chat.groupId ?? 0)?.folder}\`.`],
      content: text,
      taint,
      input: { chatId: chat.id, text },
    });
    return agentText(approval);
  };
}
export type SendAsker = ReturnType<typeof createSendAsker>;
