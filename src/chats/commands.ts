// The chat commands about the chat itself, and how a command is found in a text. Knows no channel.

import type { Button, Menu } from '../channels/channel.js';
import type { Clock } from '../core/clock.js';
import { oneLine, shownLine } from '../core/one-line.js';
import { type Chat, sessionName } from '../core/types.js';
import type { ChatCommand, CommandCall } from '../groups/chat-command.js';
import { forumOf } from '../groups/forums.js';
import type { Store } from '../tasks/store.js';
import { cancelRuns, cancelRunsOf } from './cancel.js';
import { parseRegistration, registerChat, unknownPeople } from './registration.js';
import { commandName, unknownCommandText, wantedCommands } from './wrong-command.js';

export interface ChatCommandDeps {
  store: Store;
  clock: Clock;
  config: { assistantName: string };
  control: {
    status(): { text: string };
    /** Stops everything until it is resumed. Durable when it returns. */
    emergencyStop(reason: string): void;
  };
  /** What lets me go on in this chat, when something holds me back there. */
  resumeButtons(chat: Chat): Button[];
}

export function chatCommands(deps: ChatCommandDeps): ChatCommand[] {
  const { status } = deps.control;
  return [
    {
      usage: '/status',
      what: 'what is running, waiting and connected',
      inShort: 'what is going on now',
      forMembers: true,
      answer: ({ chat, byOwner }) =>
        `${byOwner ? status().text : statusHere(deps, chat)}\n${hereText(deps.store, chat)}`,
    },
    {
      usage: '/stop [all]',
      what: 'stop what I am doing in this chat; members: what they started; `all`: everything, everywhere, until `/resume`',
      inShort: 'stop what I do here; `/stop all`: everything',
      forMembers: 'bare',
      answer: (call) => stop(deps, call),
      buttons: ({ chat, argument }) => (isAll(argument) ? deps.resumeButtons(chat) : []),
    },
    {
      usage: '/new',
      what: 'start a new conversation; memory files stay',
      inShort: 'a new conversation; memory stays',
      answer: (call) => newSession(deps, call),
    },
    {
      usage: '/register <folder> [forum] [all | listed <name>…]',
      what: 'let me work in this chat, with its own memory folder; `forum`: in all topics here; `listed`: only the named people (and you) may ask me',
      answer: (call) => register(deps, call),
    },
    {
      usage: '/pair <code>',
      what: 'make you the owner on this channel (code: `npm run -s pinch -- pair`)',
      // In a direct chat the code decides, whoever sends it (route.ts).
      answer: () => 'Send `/pair <code>` to me in a direct chat.',
    },
  ];
}

export type ParsedCommand = { command: ChatCommand; argument: string };

/** `/name`, as hurried fingers and keyboards of other scripts write it (`/ stop`, `／stop`, `/stop!`), and what stands behind it. */
const COMMAND = /^[/／](?: (?=[a-z]+[.,;:!?]*$))?([a-z]+)(?:[.,;:!?]*(?=\s|$)|[,;:](?=\S))\s*([\s\S]*)$/iu;
/** A few words, which need no full stop: a longer text may. */
const FEW_WORDS = /^\S+(?:\s+\S+){0,2}$/;
/** What nobody sees at the ends of a text. */
const UNSEEN = /^[\s\p{Default_Ignorable_Code_Point}]+|[\s\p{Default_Ignorable_Code_Point}]+$/gu;

/** Parses `/name argument`; undefined when the text is no known command. Never throws. */
export function parseCommand(text: string, commands: ChatCommand[]): ParsedCommand | undefined {
  const match = COMMAND.exec(text.replace(UNSEEN, ''));
  const word = match?.[1]?.toLowerCase();
  // What Telegram sends when somebody opens the chat.
  const name = word === 'start' ? 'help' : word;
  const command = commands.find((one) => commandName(one) === `/${name}`);
  const argument = match?.[2] ?? '';
  return command && { command, argument: FEW_WORDS.test(argument) ? argument.replace(/[.,;:!?…]+$/, '') : argument };
}

/** What fits on the screen of a phone; with `all` every command, with a name that one. */
export function helpText(assistantName: string, commands: ChatCommand[], asked = ''): string {
  const word = asked.toLowerCase().replace(/^\//, '');
  const line = ({ usage, what }: ChatCommand) => `- \`${usage}\` — ${what}`;
  if (word === 'all') return commands.map(line).join('\n');
  const one = commands.find((command) => commandName(command) === `/${word}`);
  if (one) return line(one);
  if (word !== '') return unknownCommandText(word, wantedCommands(word, commands));
  const short = commands.flatMap((command) =>
    command.inShort ? [`- \`${commandName(command)}\` ${command.inShort}`] : [],
  );
  const opening = `I am ${assistantName}. In a direct chat just write; in a group say @${assistantName} or reply to me.`;
  return `${opening}\n\n${short.join('\n')}\n- \`/help all\` all ${commands.length} commands`;
}

/** The menu of the platform: the same commands, by right. Those of Telegram's names have letters only, as ours have. */
export function menuOf(commands: ChatCommand[], ownerChats: string[]): Menu {
  const itemOf = (command: ChatCommand) => ({
    name: commandName(command).slice(1),
    what: oneLine((command.inShort ?? command.what).replaceAll(/[`*]/g, ''), 200),
  });
  // What is used every day stands first: a phone shows a handful.
  const sorted = [...commands].sort((a, b) => Number(!a.inShort) - Number(!b.inShort));
  const everybody = sorted.filter(({ forMembers }) => forMembers !== undefined);
  return { everybody: everybody.map(itemOf), owner: sorted.map(itemOf), ownerChats };
}

/** For members: nothing about other groups, what they do and cost, or the machine. */
function statusHere({ store, config }: ChatCommandDeps, chat: Chat): string {
  const { working, waiting } = store.runs.activeOfSession(sessionName(chat));
  return `**${config.assistantName}** is here.\n- in this conversation: ${working} working, ${waiting} waiting`;
}

function hereText({ groups }: Store, { groupId, title, channel, address }: Chat): string {
  const folder = groupId === null ? undefined : groups.get(groupId)?.folder;
  return `- this chat: ${shownLine(title, 80)} (\`${channel}:${address}\`), ${folder ? `group ${folder}` : 'not registered'}`;
}

const isAll = (argument: string): boolean => /^(all|everything)\b/i.test(argument);

function stop(deps: ChatCommandDeps, { chat, argument, byOwner, senderId }: CommandCall): string {
  if (!byOwner)
    return cancelRunsOf(deps, chat, senderId) > 0 ? 'Stopped.' : 'Nothing that you started is running here.';
  if (!isAll(argument))
    return cancelRuns(deps, chat, null) > 0 ? 'Stopped.' : 'Nothing is running here. `/stop all` stops everything.';
  // Not a signal: were we killed between the commit and the signal, the answer would go out and nothing would be stopped.
  deps.control.emergencyStop('/stop all');
  return 'Everything is stopped. I start nothing until you resume: with `/resume`, on the page, or with `npm run -s pinch -- resume`.';
}

function newSession(deps: ChatCommandDeps, { chat, messageId }: CommandCall): string {
  cancelRuns(deps, chat, sessionName(chat));
  deps.store.groups.newSession(chat.id, messageId);
  return 'New conversation. I keep my memory files, not what we just talked about.';
}

function register(deps: ChatCommandDeps, { chat, argument }: CommandCall): string {
  const wanted = parseRegistration(argument);
  if (typeof wanted === 'string') return wanted;
  const { group, names, unknown } = registerChat(deps, chat, wanted);
  const who =
    wanted.sendersPolicy === 'all'
      ? 'Everyone here may ask me'
      : `You and ${names.join(', ') || 'nobody else'} may ask me`;
  const how = chat.kind === 'group' ? `: say @${deps.config.assistantName} or reply to me` : '';
  const doubt = unknown.length > 0 ? `\n\n${unknownPeople(deps.store, chat, unknown)}` : '';
  const isTopic = forumOf(chat.address) !== chat.address;
  const what = wanted.forum
    ? 'This chat with all its topics, also those still to come, now belongs'
    : `This ${isTopic ? 'topic' : 'chat'} now belongs`;
  const more = isTopic && !wanted.forum ? ` \`/register ${group.folder} forum\` does it for all topics here.` : '';
  return `${what} to the group \`${group.folder}\`. ${who}${how}.${more}${doubt}`;
}
