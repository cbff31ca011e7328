// A command that people write in a chat, such as `/tasks`. Each module has a list of its own; main.ts puts them together.
import { describeError, PinchError } from '../core/errors.js';
import type { Chat, Group } from '../core/types.js';
import type { createGroups } from './rows.js';

export interface ChatCommand {
  /** How it is written, for /help: a slash and its name of lower-case letters, then what may follow. */
  usage: string;
  what: string;
  /** The same in a few words, for the help that fits on a phone and the platform's menu: only what is used every day has it. What an argument
   * does stands behind a semicolon. */
  inShort?: string | undefined;
  /** People in a registered chat may use it, or only without an argument (`bare`); the others are the owner's. */
  forMembers?: true | 'bare';
  /** Changes rows in the transaction that stores the message, and returns what the chat is told. */
  answer(call: CommandCall): string;
  /** What stands below that answer: what whoever knows the value does when it is pressed (press.ts). Asked after the answer. */
  buttons?(call: CommandCall): { label: string; value: string }[];
}

export interface CommandCall {
  chat: Chat;
  /** Everything behind the name, trimmed. */
  argument: string;
  messageId: number;
  /** Who is not the owner is told about this chat and its group only. */
  byOwner: boolean;
  senderId: number;
}

/** What `work` returns. What cannot be done is an answer too; anything else that goes wrong is thrown. */
export function saying(work: () => string): string {
  try {
    return work();
  } catch (error) {
    if (error instanceof PinchError) return describeError(error);
    throw error;
  }
}

interface InGroupDeps {
  groups: Pick<ReturnType<typeof createGroups>, 'get'>;
  transaction<T>(work: () => T): T;
}

/** `answer` of a command about the chat's group. Of one that cannot be carried out nothing stays: it may have changed something before it failed. */
export function inGroup(
  { groups, transaction }: InGroupDeps,
  answer: (group: Group, call: CommandCall) => string,
): ChatCommand['answer'] {
  return (call) => {
    const group = call.chat.groupId === null ? undefined : groups.get(call.chat.groupId);
    return group
      ? saying(() => transaction(() => answer(group, call)))
      : 'This chat belongs to no group yet: `/register <folder>` first.';
  };
}
