// What the chat commands do: each changes rows in the caller's transaction and returns its answer. Knows no channel.

import type { Wake } from '../core/bells.js';
import type { Clock } from '../core/clock.js';
import type { Logger } from '../core/log.js';
import { shownLine } from '../core/one-line.js';
import { type Chat, sessionName } from '../core/types.js';
import type { Person } from '../groups/rows.js';
import { answerTaskCommand } from '../tasks/commands.js';
import type { Store } from '../tasks/store.js';
import type { Tasks } from '../tasks/tasks.js';
import { type Command, helpText, parseRegistration } from './command-words.js';
import type { Pairing } from './pairing.js';

export interface CommandContext {
  store: Store;
  wake: Wake;
  clock: Clock;
  log: Logger;
  pairing: Pairing;
  assistantName: string;
  tasks: Tasks;
  /** The lines of `/status`. */
  statusText(): string;
  /** Stops everything until it is resumed. Durable when it returns. */
  emergencyStop(reason: string): void;
}

export interface CommandCall {
  command: Command;
  chat: Chat;
  messageId: number;
}

export function answerCommand(context: CommandContext, call: CommandCall): string {
  const { command, chat } = call;
  switch (command.name) {
    case 'help':
      return helpText(context.assistantName);
    case 'status':
      return context.statusText();
    case 'tasks':
    case 'task':
    case 'heartbeat':
    case 'hook':
      return answerTaskCommand(context, command.name, chat, command.argument);
    case 'stop':
      if (command.argument.toLowerCase() === 'all') return stopAll(context);
      return cancelRuns(context, chat, null) > 0 ? 'Stopped.' : 'Nothing is running here.';
    case 'new':
      return startNewSession(context, call);
    case 'register':
      return registerChat(context, chat, command.argument);
    case 'pair':
      return 'Send `/pair <code>` to me in a direct chat.';
  }
}

const STOPPED = 'somebody stopped it';

/** What the chat waits for, in one session or (null) in all, tasks' too. Returns how many runs waited or worked. */
export function cancelRuns(
  { store, wake, clock }: Pick<CommandContext, 'store' | 'wake' | 'clock'>,
  chat: Chat,
  session: string | null,
): number {
  const { running, waiting } = store.runs.cancel(chat.id, session, clock.now());
  // What they sent and nobody has read yet ends with them.
  for (const runId of running) store.outbox.endOfRun(runId, STOPPED);
  const unsent = session === null ? store.outbox.endOfChat(chat.id, STOPPED) : 0;
  if (session === null) store.tasks.dropWaiting(null, chat.id, STOPPED, clock.now());
  store.afterCommit(() => {
    for (const runId of running) wake.emit('abort', runId);
    wake.emit('tasks');
  });
  return running.length + waiting + unsent;
}

function stopAll(context: CommandContext): string {
  // Not a ring: were we killed between the commit and the ring, the answer would go out and nothing would be stopped.
  context.emergencyStop('/stop all');
  return 'Everything is stopped. I start nothing until you resume: on the page, or with `npm run -s pinch -- resume`.';
}

function startNewSession(context: CommandContext, { chat, messageId }: CommandCall): string {
  cancelRuns(context, chat, sessionName(chat));
  context.store.groups.newSession(chat.id, messageId);
  return 'New conversation. I keep my memory files, not what we just talked about.';
}

function registerChat(context: CommandContext, chat: Chat, argument: string): string {
  const { store, clock, assistantName } = context;
  const wanted = parseRegistration(argument);
  if (!wanted.ok) return wanted.problem;
  const group = store.groups.ensure(wanted.folder, false, clock.now());
  // What works or waits belongs to the old group: its answer must not come out of the new one.
  if (chat.groupId !== group.id) cancelRuns(context, chat, null);
  store.groups.assignChat(chat.id, group.id);
  const { ids, names, unknown } = resolveListed(store, chat, wanted.listed);
  store.groups.setSenders(chat.id, wanted.sendersPolicy, ids);
  const who =
    wanted.sendersPolicy === 'all'
      ? 'Everyone here may ask me'
      : `You and ${names.join(', ') || 'nobody else'} may ask me`;
  const how = chat.kind === 'group' ? `: say @${assistantName} or reply to me` : '';
  const doubt = unknown.length > 0 ? `\n\n${unknownPeople(store, chat, unknown)}` : '';
  return `This chat now belongs to the group \`${group.folder}\`. ${who}${how}.${doubt}`;
}

/**
 * People named for a list, as ids: what they call themselves is looked up once, now, among those who wrote in this chat last, and gives no
 * right later. What means nobody, or more than one, stays as it is and is taken for an id.
 */
export function resolveListed({ groups }: Store, chat: Chat, wanted: string[]) {
  const people = groups.peopleIn(chat.id);
  const same = (one: string | null, other: string) => one?.toLowerCase() === other.toLowerCase();
  // Nobody is called like an id: a stranger may have taken that of somebody who never wrote here for a name.
  const isId = (word: string) => /[\d@]/.test(word);
  const found = wanted.map((word) => {
    const byId = people.filter(({ address }) => same(address, word));
    const byName = people.filter(({ name, username }) =>
      word.startsWith('@') ? same(username, word.slice(1)) : !isId(word) && same(name, word),
    );
    const [person, ...others] = byId.length > 0 ? byId : byName;
    return { word, person: others.length === 0 ? person : undefined };
  });
  return {
    ids: found.map(({ word, person }) => person?.address ?? word),
    names: found.map(({ word, person }) => (person ? personText(person) : shownLine(word, 80))),
    unknown: found.filter(({ person, word }) => !person && !isId(word)).map(({ word }) => word),
  };
}

const personText = ({ name, address, username }: Person) =>
  `${shownLine(name, 80)} (${shownLine([address, username && `@${username}`].filter(Boolean).join(', '), 120)})`;

function unknownPeople({ groups }: Store, chat: Chat, unknown: string[]): string {
  const people = groups.peopleIn(chat.id).slice(0, 20).map(personText);
  const words = unknown.map((word) => shownLine(word, 80)).join(', ');
  return (
    `I take ${words} as ids: a name that I do not know, or that several use, is no proof of who somebody is. Give the id or \`@\` and the ` +
    `user name, or let them write here and say this again. Who wrote here: ${people.join(', ') || 'nobody yet'}.`
  );
}
