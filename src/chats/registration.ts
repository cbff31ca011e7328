// Registering a chat: which group it belongs to, and who may ask there. The chat command and the API do the same.

import type { Clock } from '../core/clock.js';
import { shownLine } from '../core/one-line.js';
import type { Chat, Group } from '../core/types.js';
import { forumOf } from '../groups/forums.js';
import type { Person } from '../groups/rows.js';
import type { Store } from '../tasks/store.js';
import { cancelRuns } from './cancel.js';

export interface Registration {
  folder: string;
  sendersPolicy: Chat['sendersPolicy'];
  /** Whom policy `listed` means: ids, `@` with user names, or what people call themselves. */
  listed: string[];
  /** Also all other topics of the chat's forum, and those that are still to come: each stays a chat of its own. */
  forum: boolean;
}

/** Joins the caller's transaction. Returns whom the list means, and the words in it that mean nobody known. */
export function registerChat(
  deps: { store: Store; clock: Clock },
  chat: Chat,
  { folder, sendersPolicy, listed, forum }: Registration,
): { group: Group; names: string[]; unknown: string[] } {
  const { groups } = deps.store;
  // The main group is the owner's: made as such also when this is the first time anybody names it.
  const group = groups.ensure(folder, folder === 'main', deps.clock.now());
  const { ids, names, unknown } = resolveListed(deps.store, chat, listed);
  for (const one of forum ? wholeForum(deps.store, chat) : [chat]) {
    // What works or waits belongs to the old group: its answer must not come out of the new one.
    if (one.groupId !== group.id) cancelRuns(deps, one, null);
    groups.assignChat(one.id, group.id);
    groups.setSenders(one.id, sendersPolicy, ids);
  }
  const { channel, address } = chat;
  const whole = { channel, address: forumOf(address), groupId: group.id, sendersPolicy, listedSenders: ids };
  if (forum) groups.registerForum(whole);
  // A group that has no topics yet must not have them begin with what was said before.
  else groups.forgetForum(channel, address);
  return { group, names, unknown };
}

/** The chats of a forum that anybody has written in, whichever of them is given. */
function wholeForum({ groups }: Store, { channel, address }: Chat): Chat[] {
  const general = groups.chatByAddress(channel, forumOf(address));
  return [...(general ? [general] : []), ...groups.topicsOf(channel, forumOf(address))];
}

/** Reads the argument of `/register`: what was asked for, or what is wrong with it. */
export function parseRegistration(argument: string): Registration | string {
  const [folder = '', ...words] = argument.split(/\s+/).filter(Boolean);
  const problem = folderProblem(folder);
  if (problem) return problem;
  const forum = words[0] === 'forum';
  const [policy = 'all', ...listed] = forum ? words.slice(1) : words;
  if (policy === 'all' || policy === 'listed') return { folder, sendersPolicy: policy, listed, forum };
  return `"${shownLine(policy, 80)}" is neither \`all\` nor \`listed\` (nor \`forum\`, for all topics). Example: /register family listed Anna @ben`;
}

/** Why a name cannot be a group folder, or undefined when it can: lower-case letters, digits, `-` and `_`, at most 40. */
export function folderProblem(folder: string): string | undefined {
  if (folder === '') return 'Tell me a folder name for its memory. Example: /register family';
  if (folder === 'global') return '"global" is the memory every group reads; choose another name.';
  if (/^[a-z0-9][a-z0-9_-]{0,39}$/.test(folder)) return undefined;
  return `"${folder}" cannot be a folder: use lower-case letters, digits, - and _ (at most 40). Example: /register family`;
}

/**
 * People named for a list, as ids: what they call themselves is looked up once, now, among those who wrote in this chat last, and gives no
 * right later. What means nobody, or more than one, stays as it is and is taken for an id.
 */
function resolveListed({ groups }: Store, chat: Chat, wanted: string[]) {
  const people = groups.peopleIn(chat.id);
  const same = (one: string | null, other: string) => one?.toLowerCase() === other.toLowerCase();
  // A word that looks like an id means nobody's name: a stranger could call themselves by the id of somebody who has not written here yet.
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

/** For whoever listed people by names that nobody here is known by. */
export function unknownPeople({ groups }: Store, chat: Chat, unknown: string[]): string {
  const people = groups.peopleIn(chat.id).slice(0, 20).map(personText);
  const words = unknown.map((word) => shownLine(word, 80)).join(', ');
  return (
    `I take ${words} as ids: a name that I do not know, or that several use, is no proof of who somebody is. Give the id or \`@\` and the ` +
    `user name, or let them write here and say this again. Who wrote here: ${people.join(', ') || 'nobody yet'}.`
  );
}
