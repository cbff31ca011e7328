// What the chat commands do: each changes rows in the caller's transaction and returns its answer plus the wake-ups to ring
// once that transaction is committed. Knows no channel.
import type { Clock } from './clock.js';
import { type Command, helpText, parseRegistration } from './decide/commands.js';
import type { Logger } from './log.js';
import type { Pairing } from './pairing.js';
import type { Store } from './store/index.js';
import { type Chat, sessionName } from './types.js';
import type { Wake } from './wake.js';

export interface CommandContext {
  store: Store;
  wake: Wake;
  clock: Clock;
  log: Logger;
  pairing: Pairing;
  assistantName: string;
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

export interface CommandAnswer {
  reply: string;
  rings: (() => void)[];
}

export function answerCommand(context: CommandContext, call: CommandCall): CommandAnswer {
  const { command, chat } = call;
  switch (command.name) {
    case 'help':
      return say(helpText(context.assistantName));
    case 'status':
      return say(context.statusText());
    case 'stop':
      return command.argument.toLowerCase() === 'all' ? stopAll(context) : stopChat(context, chat);
    case 'new':
      return startNewSession(context, call);
    case 'register':
      return registerChat(context, chat, command.argument);
    case 'pair':
      return say('Send `/pair <code>` to me in a direct chat.');
  }
}

const say = (reply: string): CommandAnswer => ({ reply, rings: [] });

function stopChat({ store, wake, clock }: CommandContext, chat: Chat): CommandAnswer {
  const { running, waiting } = store.runs.cancelSession(sessionName(chat), clock.now());
  if (running.length + waiting === 0) return say('Nothing is running here.');
  return { reply: 'Stopped.', rings: running.map((runId) => () => void wake.emit('abort', runId)) };
}

function stopAll(context: CommandContext): CommandAnswer {
  // Not a ring: were we killed between the commit and the ring, the answer would go out and nothing would be stopped.
  context.emergencyStop('/stop all');
  return say(
    'Everything is stopped. I start nothing until you resume: on the page, or with `npm run -s pinch -- resume`.',
  );
}

function startNewSession({ store, wake, clock }: CommandContext, { chat, messageId }: CommandCall): CommandAnswer {
  const { running } = store.runs.cancelSession(sessionName(chat), clock.now());
  store.groups.newSession(chat.id, messageId);
  return {
    reply: 'New conversation. I keep my memory files, not what we just talked about.',
    rings: running.map((runId) => () => void wake.emit('abort', runId)),
  };
}

function registerChat({ store, clock, assistantName }: CommandContext, chat: Chat, argument: string): CommandAnswer {
  const wanted = parseRegistration(argument);
  if (!wanted.ok) return say(wanted.problem);
  const group = store.groups.ensure(wanted.folder, false, clock.now());
  store.groups.assignChat(chat.id, group.id);
  store.groups.setSenders(chat.id, wanted.sendersPolicy, wanted.listed);
  const who =
    wanted.sendersPolicy === 'all'
      ? 'Everyone here may ask me'
      : `You and ${wanted.listed.join(', ') || 'nobody else'} may ask me`;
  const how = chat.kind === 'group' ? `: say @${assistantName} or reply to me` : '';
  return say(`This chat now belongs to the group \`${group.folder}\`. ${who}${how}.`);
}
