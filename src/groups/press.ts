// A button of one of our messages was pressed, somebody reacted to it, or answered it with one word: what whoever knows the message gets.
import type { Chat } from '../core/types.js';

export interface Press {
  /** The outbox key of our message. */
  key: string;
  /** The button's value, an emoji ('' when it was taken back), or the word in lower case. */
  value: string;
  chat: Chat;
  isOwner: boolean;
  /** What the person is called; anybody can take any name. */
  by: string;
}

/**
 * Changes rows in the transaction that stores the press, once for each press, and returns what the chat is told; undefined when the press is
 * none of its business or the person has no say. Buttons of a press that it answered are used, unless `again` says that they still count.
 */
export type OnPress = (press: Press) => { text: string; again: boolean } | undefined;
