// Where an inbound message goes: pure rules, no I/O.
import type { InboundMessage } from '../channels/inbound-message.js';
import { asSeen, mentionPattern } from '../core/mention.js';
import type { Chat } from '../core/types.js';
import type { ChatCommand } from '../groups/chat-command.js';
import type { SenderRole } from '../wire.js';
import { type ParsedCommand, parseCommand } from './commands.js';

export type Route =
  /** Nobody registered the chat, or the words are not for us: keep nothing but the chat's name. */
  | { kind: 'ignore' }
  /** A direct message that may claim the channel for its sender. */
  | { kind: 'pair'; code: string }
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
  const written = forwarded ? '' : stripLeadingTrigger(input.text, input.assistantName);
  const parsed = parseCommand(written, input.commands);
  if (parsed?.command.usage.startsWith('/pair') && chat.kind === 'direct')
    return { kind: 'pair', code: parsed.argument };
  if (parsed && mayCommand(parsed, input)) return { kind: 'command', ...parsed };
  const isCalled = !forwarded && (input.addressesAssistant || mentionsName(input.text, input.assistantName));
  if (chat.groupId === null) return { kind: isCalled && chat.kind === 'group' ? 'stranger' : 'ignore' };
  if (!standingOf(input).mayAsk) return { kind: 'context' };
  if (chat.kind === 'direct') return { kind: 'trigger' };
  return isCalled ? { kind: 'trigger' } : { kind: 'context' };
}

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

const triggerPattern = (assistantName: string): RegExp => mentionPattern(asSeen(assistantName));
