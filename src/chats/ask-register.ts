// Approvals of kind `register`: a chat that nobody registered calls the assistant, or the main group's agent wants to work there. Of a call the
// owner sees one card, ever; the chat sees nothing.
import { z } from 'zod';
import type { Approvals } from '../approvals/approvals.js';
import type { Approval } from '../approvals/rows.js';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { oneLine, shownLine } from '../core/one-line.js';
import type { Chat, Run } from '../core/types.js';
import type { Taint } from '../taint/rows.js';
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
      registerChat(deps, chat, { folder, sendersPolicy: 'all', listed: [], forum: false });
      return `It belongs to the group \`${folder}\` now. \`/register\`, written there, says who may ask me.`;
    },
  });
  const subjectOf = ({ title, channel }: Chat) => `work in the chat ${oneLine(title, 80)} (${channel})`;

  function forCall(chat: Chat, sender: string, text: string): void {
    if (store.approvals.isAskedFor('register', chat.id)) return;
    const folder = freeFolder(store, chat);
    try {
      ask({
        groupId: null,
        chatId: chat.id,
        subject: subjectOf(chat),
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
  }

  function forAgent({ run, chat, folder, taint }: AgentRequest): Approval {
    const isNew = store.groups.all().every((group) => group.folder !== folder);
    const memory = isNew
      ? 'makes this new group, with a memory of its own'
      : 'lets everyone there use the memory of this group';
    return ask({
      ...{ groupId: run.groupId, run, chatId: chat.id, taint, input: { chatId: chat.id, folder } },
      subject: `${subjectOf(chat)} as the group ${folder}`,
      lines: [`A yes ${memory}; everyone of that chat may ask me.`],
    });
  }
  return { forCall, forAgent };
}

interface AgentRequest {
  run: Run;
  chat: Chat;
  folder: string;
  taint: Taint | undefined;
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
