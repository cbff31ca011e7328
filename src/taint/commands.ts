// The chat command /taint: what a conversation was given that nobody vouched for, and whether that counts in its group.
import type { Config } from '../core/config.js';
import type { Db } from '../core/db.js';
import { shownLine } from '../core/one-line.js';
import { timeText } from '../core/times.js';
import { sessionName } from '../core/types.js';
import { type ChatCommand, inGroup } from '../groups/chat-command.js';
import type { createGroups } from '../groups/rows.js';
import type { createTaints } from './rows.js';

type Store = { groups: ReturnType<typeof createGroups>; taints: ReturnType<typeof createTaints> };
type Deps = { store: Store & Pick<Db, 'transaction'>; config: Pick<Config, 'timeZone'> };

export const taintCommands = ({ store, config: { timeZone } }: Deps): ChatCommand[] => [
  {
    usage: '/taint [on | off]',
    what: 'what I was given here that nobody vouched for; off: it does not count in this group (the owner)',
    forMembers: 'bare',
    answer: inGroup(store, ({ id, folder }, { chat, argument }) => {
      const { taints } = store;
      const word = argument.toLowerCase();
      if (!['', 'on', 'off'].includes(word)) return 'Write `/taint`, `/taint on` or `/taint off`.';
      if (word) taints.setOn(id, word === 'on');
      const taint = taints.of(sessionName(chat));
      const what = taint ? `: ${shownLine(taint.source, 200)} (${timeText(taint.at, timeZone)})` : '';
      return `This conversation was given ${taint ? 'what' : 'nothing that'} nobody vouched for${what}. ${taints.isOn(id) ? COUNTS : `It does not count: \`/taint off\` holds in the group \`${folder}\`.`}`;
    }),
  },
];

const COUNTS =
  'What was given counts until `/new`, for other conversations in the same container too: I ask before I act outward.';
