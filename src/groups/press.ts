// A button of one of our messages was pressed, somebody reacted to it, or answered it with one word.
import type { Chat } from '../core/types.js';

export interface Press {
  /** The outbox key of the message. */
  key: string;
  /** The button's value, the emoji, or the word in lower case. */
  value: string;
  chat: Chat;
  isOwner: boolean;
  /** What the person calls themselves. */
  by: string;
}
