// What the main group's container may ask about groups and chats: a list of them, and that a chat is registered, which the owner is asked about.
import { agentText } from '../approvals/approvals.js';
import { PinchError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import type { Chat } from '../core/types.js';
import { type Link, post, type Route } from '../gateway/server.js';
import { parse, unknownThing, workingRun } from '../runs/calls.js';
import { taintOf } from '../taint/taint.js';
import type { Store } from '../tasks/store.js';
import * as wire from '../wire.js';
import type { RegisterAsker } from './ask-register.js';
import { folderProblem } from './registration.js';

/** Chats without a group that are listed, the newest first: every stranger who writes makes one. */
const MAX_UNREGISTERED = 50;

export function groupCalls({ store, askToRegister }: { store: Store; askToRegister: RegisterAsker }): Route[] {
  function runOfMain(link: Link, runId: number) {
    const run = workingRun(store, link, runId);
    if (!store.groups.get(link.groupId)?.isMain) throw new PinchError('forbidden', 'only the main group may ask this');
    return run;
  }
  return [
    post('/groups/list', (link, body) => {
      runOfMain(link, parse(wire.groupListRequest, body).runId);
      const groups = store.groups
        .all()
        .map(({ id, folder }) => [`Group ${folder}:`, ...store.groups.chatsOf(id).map(shown)]);
      const strangers = store.groups.chats().filter(({ groupId }) => groupId === null);
      const unregistered = strangers.slice(-MAX_UNREGISTERED).reverse().map(shown);
      return { text: [...groups.flat(), 'Chats of no group, which get no answer:', ...unregistered].join('\n') };
    }),
    post('/groups/register', (link, body) => {
      const { runId, chat: name, folder } = parse(wire.groupRegisterRequest, body);
      const run = runOfMain(link, runId);
      const chat = store.groups.findChat(name);
      if (!chat) throw unknownThing(`chat ${name}`);
      if (chat.groupId !== null)
        throw new PinchError('registered', 'this chat belongs to a group; `/register`, written there, changes it');
      const problem =
        folderProblem(folder) ?? (folder === 'main' ? 'The main group is for its owner alone.' : undefined);
      if (problem) throw new PinchError('bad_folder', problem);
      return { text: agentText(askToRegister.forAgent({ run, chat, folder, taint: taintOf(store, link) })) };
    }),
  ];
}

/** Titles are what somebody called a chat. */
const shown = ({ channel, address, kind, title, sendersPolicy }: Chat) =>
  `- ${channel}:${address} ${JSON.stringify(oneLine(title, 80))} (${kind}; may ask: ${sendersPolicy})`;
