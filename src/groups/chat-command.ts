// A command that people write in a chat, such as `/tasks`. Each module has a list of its own; main.ts puts them together.
import type { Chat } from '../core/types.js';

export interface ChatCommand {
  /** Without the slash: lower-case letters. */
  name: string;
  /** How it is written, for /help. */
  usage: string;
  what: string;
  /** People in a registered chat may use it; the others are the owner's. */
  forMembers: boolean;
  /** Changes rows in the transaction that stores the message, and returns what the chat is told. */
  answer(call: CommandCall): string;
}

export interface CommandCall {
  chat: Chat;
  /** Everything behind the name, trimmed. */
  argument: string;
  messageId: number;
}
