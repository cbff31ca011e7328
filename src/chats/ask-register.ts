// Approvals of kind `register`: a chat that nobody registered calls the assistant. The owner sees one card about it, ever; the chat sees nothing.
import { z } from 'zod';
import type { Approvals } from '../approvals/approvals.js';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { oneLine, shownLine } from '../core/one-line.js';
import type { Chat } from '../core/types.js';
import type { Store } from '../tasks/store.js';
import { folderProblem, registerChat } from './registration.js';

const input = z.object({ chatId: z.number(), folder: z.string() });

/** Returns how the owner is asked; joins the caller's transaction. */
export function createRegisterAsker(deps: { store: Store; clock: Clock; approvals: Approvals }) {
  const { store, approvals } = deps;
  const ask = approvals.kind({
    ...{ name: 'register', input, maxOpen: 3 },
    carryOut({ chatId, folder }) {
      const chat = store.groups.chat(chatId);
      if (!chat || chat.groupId !== null) throw new PinchError('registered', 'the chat belongs to a group already');
      registerChat(deps, chat, { folder, sendersPolicy: 'all', listed: [] });
      return `It belongs to the new group \`${folder}\` now. \`/register\`, written there, says who may ask me.`;
    },
  });
  return (chat: Chat, sender: string, text: string): void => {
    if (store.approvals.isAskedFor('register', chat.id)) return;
    const folder = freeFolder(store, chat);
    try {
      ask({
        groupId: null,
        chatId: chat.id,
        subject: `work in the chat ${oneLine(chat.title, 80)} (${chat.channel})`,
        lines: [
          `${shownLine(sender, 80)} called me there. A yes makes a new group \`${folder}\`, with a memory of its own, in which everyone of that chat may ask me.`,
        ],
        content: text.slice(0, 500),
        input: { chatId: chat.id, folder },
      });
    } catch (error) {
      // So many strangers call that the owner is not told of each.
      if (!(error instanceof PinchError)) throw error;
    }
  };
}
export type RegisterAsker = ReturnType<typeof createRegisterAsker>;

/** Made of the title; never one that there is, whose memory would then be the strangers'. */
function freeFolder({ groups }: Store, { id, title }: Chat): string {
  const wanted = title
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 30);
  const isFree = folderProblem(wanted) === undefined && groups.all().every(({ folder }) => folder !== wanted);
  return isFree && wanted !== 'main' ? wanted : `chat-${id}`;
}
