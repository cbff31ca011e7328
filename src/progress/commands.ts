// /progress: what a chat is shown while I work.
import { type Chat, progressMode } from '../core/types.js';
import type { ChatCommand } from '../groups/chat-command.js';
import type { Store } from './store.js';

const MEANS: Record<Chat['progress'], string> = {
  off: 'I show nothing here while I work',
  quiet: 'while I work on what somebody asked here for longer than a few seconds, I show what I do',
  full: 'while I work I show what I do and what I did before, for tasks as well',
};

export const progressCommands = ({ store }: { store: Store }): ChatCommand[] => [
  {
    usage: '/progress [off | quiet | full]',
    what: 'what I show here while I work: nothing, what I do now, or also what I did before and the runs of tasks',
    forMembers: 'bare',
    answer({ chat, argument }) {
      const wanted = progressMode.safeParse(argument.toLowerCase());
      if (wanted.success) {
        store.groups.setProgress(chat.id, wanted.data);
        return `From now on: ${MEANS[wanted.data]}.`;
      }
      const now = `Progress is \`${chat.progress}\`: ${MEANS[chat.progress]}.`;
      return argument === '' ? now : `${now} It can be \`off\`, \`quiet\` or \`full\`.`;
    },
  },
];
