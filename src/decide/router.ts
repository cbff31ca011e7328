// Where an inbound message goes: pure rules, no I/O (design §2, §8).
import type { Chat } from '../types.js';
import { type Command, parseCommand } from './commands.js';

export type Route =
  /** Nobody registered the chat, or the words are not for us: keep nothing but the chat's name. */
  | { kind: 'ignore'; why: 'unregistered' }
  /** A direct message that may claim the channel for its sender. */
  | { kind: 'pair'; code: string }
  | { kind: 'command'; command: Command }
  /** Kept; becomes context of the next run. */
  | { kind: 'context' }
  /** Starts a run, joins a waiting one or steers a working one. */
  | { kind: 'trigger' };

export interface RouteInput {
  text: string;
  addressesAssistant: boolean;
  contextOnly?: boolean | undefined;
  sender: { address: string; alias?: string | undefined; name: string; username: string | null; isOwner: boolean };
  chat: Pick<Chat, 'kind' | 'groupId' | 'sendersPolicy' | 'listedSenders'>;
  assistantName: string;
}

/** Decides what an inbound message is; never throws. */
export function decideRoute(input: RouteInput): Route {
  if (input.contextOnly)
    return input.chat.groupId === null ? { kind: 'ignore', why: 'unregistered' } : { kind: 'context' };
  const text = stripLeadingTrigger(input.text, input.assistantName);
  const command = parseCommand(text);
  if (command?.name === 'pair' && input.chat.kind === 'direct') return { kind: 'pair', code: command.argument };
  if (command && mayCommand(command, input)) return { kind: 'command', command };
  if (input.chat.groupId === null) return { kind: 'ignore', why: 'unregistered' };
  if (!mayTrigger(input)) return { kind: 'context' };
  if (input.chat.kind === 'direct') return { kind: 'trigger' };
  return input.addressesAssistant || mentionsName(input.text, input.assistantName)
    ? { kind: 'trigger' }
    : { kind: 'context' };
}

function mayCommand(command: Command, { sender, chat }: RouteInput): boolean {
  if (sender.isOwner) return true;
  return chat.groupId !== null && command.forMembers;
}

function mayTrigger({ sender, chat }: RouteInput): boolean {
  if (sender.isOwner || chat.sendersPolicy === 'all') return true;
  const { address, alias = address, name, username } = sender;
  const names = [address, alias, name, ...(username ? [username, `@${username}`] : [])];
  const listed = new Set(chat.listedSenders.map((name) => name.toLowerCase()));
  return names.some((name) => listed.has(name.toLowerCase()));
}

/**
 * True when `@Name` stands in the text as a whole word on both sides, in any case: `a@Pinch.example` and `@Pinchy` are
 * not it (design §8). A dot or dash followed by a word character continues the word; ending a sentence is fine.
 */
export function mentionsName(text: string, assistantName: string): boolean {
  return triggerPattern(assistantName).test(text);
}

function stripLeadingTrigger(text: string, assistantName: string): string {
  const trimmed = text.trimStart();
  const match = triggerPattern(assistantName).exec(trimmed);
  return match?.index === 0 ? trimmed.slice(match[0].length).replace(/^[\s,:]+/u, '') : trimmed;
}

function triggerPattern(assistantName: string): RegExp {
  const name = assistantName.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![\\p{L}\\p{N}\\p{M}_@])@${name}(?![\\p{L}\\p{N}\\p{M}_@])(?![.\\-][\\p{L}\\p{N}_])`, 'iu');
}
