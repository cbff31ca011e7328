// Where an inbound message goes: pure rules, no I/O.
import type { InboundMessage } from '../channels/inbound-message.js';
import { asSeen, mentionPattern } from '../core/mention.js';
import type { Chat } from '../core/types.js';
import type { ChatCommand } from '../groups/chat-command.js';
import type { SenderRole } from '../wire.js';
import { type ParsedCommand, parseCommand } from './commands.js';
import { nearestCommands, notYoursText, unknownCommandText, wantedCommands, wordOfCommand } from './wrong-command.js';

export type Route =
  /** Nobody registered the chat, or the words are not for us: keep nothing but the chat's name. */
  | { kind: 'ignore' }
  /** A direct message that may claim the channel for its sender. */
  | { kind: 'pair'; code: string }
  /** Somebody opened the direct chat, who may be the owner to be. */
  | { kind: 'opened' }
  | ({ kind: 'command' } & ParsedCommand)
  /** Somebody calls us in a group chat that nobody registered: the owner may want to know. */
  | { kind: 'stranger' }
  /** A press or a reaction that the host answered by itself. */
  | { kind: 'pressed'; answer: string }
  /** Kept; becomes context of the next run. */
  | { kind: 'context' }
  /** Starts a run, joins a waiting one or steers a working one. */
  | { kind: 'trigger' };

export type Speaker = Omit<InboundMessage['sender'], 'username'> & { username: string | null; isOwner: boolean };

export interface RouteInput extends Pick<InboundMessage, 'text' | 'addressesAssistant' | 'contextOnly' | 'forwarded'> {
  sender: Omit<Speaker, 'name'>;
  chat: Pick<Chat, 'kind' | 'groupId' | 'sendersPolicy' | 'listedSenders'>;
  assistantName: string;
  commands: ChatCommand[];
}

/** Decides what an inbound message is; never throws. */
export function decideRoute(input: RouteInput): Route {
  const { chat, forwarded } = input;
  if (input.contextOnly) return chat.groupId === null ? { kind: 'ignore' } : { kind: 'context' };
  // What was passed on are somebody else's words.
  const written = forwarded ? '' : withoutTrigger(input.text, input.assistantName);
  const isCalled = !forwarded && (input.addressesAssistant || mentionsName(input.text, input.assistantName));
  const asked = (chat.kind === 'direct' && decidePairing(written, input)) || decideCommand(written, input, isCalled);
  if (asked) return asked;
  if (chat.groupId === null) return { kind: isCalled && chat.kind === 'group' ? 'stranger' : 'ignore' };
  if (!standingOf(input).mayAsk) return { kind: 'context' };
  if (chat.kind === 'direct') return { kind: 'trigger' };
  return isCalled ? { kind: 'trigger' } : { kind: 'context' };
}

/** `/start` is what Telegram sends when somebody opens the chat, with the code when it was opened by a link that has it. */
function decidePairing(written: string, { sender, chat }: RouteInput): Route | undefined {
  const [, word, code = ''] = /^\/(pair|start)(?:\s+(\S+?))?[\s.!]*$/i.exec(written.trim()) ?? [];
  if (word?.toLowerCase() === 'pair' || (code && !sender.isOwner)) return { kind: 'pair', code };
  return word && chat.groupId === null && !sender.isOwner ? { kind: 'opened' } : undefined;
}

/**
 * A command, or what is answered in its place: words that are meant as one never reach the model. In a group they may be meant for somebody
 * else, unless we are called or there is a command like it.
 */
function decideCommand(written: string, input: RouteInput, isCalled: boolean): Route | undefined {
  const { chat, sender, commands } = input;
  const parsed = parseCommand(written, commands);
  if (parsed && mayCommand(parsed, input)) return { kind: 'command', ...parsed };
  const word = wordOfCommand(written);
  const mayAsk = sender.isOwner || (chat.groupId !== null && standingOf(input).mayAsk);
  if (word === undefined || !mayAsk) return undefined;
  if (parsed) return said(notYoursText(parsed.command));
  const mine = commands.filter((command) => mayCommand({ command, argument: '' }, input));
  const isForUs = isCalled || chat.kind === 'direct' || nearestCommands(word, commands).length > 0;
  return isForUs ? said(unknownCommandText(word, wantedCommands(word, mine))) : undefined;
}

const said = (text: string): Route => ({
  kind: 'command',
  ...{ command: { usage: '', what: '', answer: () => text }, argument: '' },
});

function mayCommand({ command, argument }: ParsedCommand, { sender, chat }: RouteInput): boolean {
  if (sender.isOwner) return true;
  return chat.groupId !== null && (command.forMembers === 'bare' ? argument === '' : command.forMembers === true);
}

/** Who speaks, and whether their words may start work in the chat. */
export function standingOf({ sender, chat }: Pick<RouteInput, 'sender' | 'chat'>): {
  role: SenderRole;
  mayAsk: boolean;
} {
  if (sender.isOwner) return { role: 'owner', mayAsk: true };
  if (chat.sendersPolicy === 'all') return { role: 'member', mayAsk: true };
  return isListed(sender, chat.listedSenders) ? { role: 'listed', mayAsk: true } : { role: 'member', mayAsk: false };
}

/** By what the platform vouches for: ids, and its user names with an `@`. What people call themselves gives no right. */
function isListed({ address, alias = address, username, isNameOnly }: RouteInput['sender'], listed: string[]): boolean {
  if (isNameOnly) return false;
  const ids = [address, alias].filter((id) => !id.startsWith('@'));
  const known = new Set([...ids, ...(username ? [`@${username}`] : [])].map((id) => id.toLowerCase()));
  return listed.some((one) => known.has(one.toLowerCase()));
}

/**
 * True when `@Name` stands in the text, in any case and however it is encoded (`＠Pinch`; NFKC, without what is not seen): not as a part of a longer word or an address.
 * `a@Pinch.example` and `@Pinchy` are not it; `你好@Pinch在吗` is, because scripts without spaces begin a word anywhere.
 */
export function mentionsName(text: string, assistantName: string): boolean {
  return triggerPattern(assistantName).test(asSeen(text));
}

function stripLeadingTrigger(text: string, assistantName: string): string {
  const pattern = triggerPattern(assistantName);
  const starts = (one: string) => pattern.exec(one)?.index === 0;
  // Keyboards of scripts that are written from the right put marks in front that nobody sees.
  const trimmed = text.replace(/^[\s\p{Default_Ignorable_Code_Point}]+/u, '');
  const written = starts(trimmed) ? trimmed : asSeen(trimmed).trimStart();
  return starts(written) ? written.replace(pattern, '').replace(/^[\s,:，：、]+/u, '') : trimmed;
}

/** Not at the end of a command of a few words, either: `/stop @Pinch`. */
function withoutTrigger(text: string, assistantName: string): string {
  const written = stripLeadingTrigger(text, assistantName);
  const atEnd = new RegExp(
    `^(/[a-z]+(?:\\s+\\S+){0,2}?)[\\s,]+${triggerPattern(assistantName).source}[\\s.,!?]*$`,
    'iu',
  );
  return atEnd.exec(asSeen(written))?.[1] ?? written;
}

const triggerPattern = (assistantName: string): RegExp => mentionPattern(asSeen(assistantName));
