// Telegram's topics, in forums and in direct chats with bots that have them: which one a message is in, what it is called, where an answer
// goes. A topic has the address `<chat>/<thread>`; General has that of its group, because Telegram refuses its number in what is sent.
import type { Message } from 'grammy/types';
import type { ChannelStorage, InboundMessage } from './channel.js';

/** Names of topics: Telegram tells them when a topic is made or renamed, and not again. */
const KIND = 'topic';
const GENERAL = 1;

export interface Topic {
  address: string;
  number: number;
  /** What it is called from now on. */
  name?: string | undefined;
  /** What it was called when it was made. */
  firstName?: string | undefined;
}

type TopicFields = 'message_thread_id' | 'is_topic_message' | 'forum_topic_created' | 'forum_topic_edited';

/** Undefined outside of topics. Replies in ordinary groups have a thread too, which is none. */
export function topicOf(source: Pick<Message, 'chat' | 'reply_to_message' | TopicFields>): Topic | undefined {
  const { chat, message_thread_id: number, is_topic_message: isTopic, reply_to_message: first } = source;
  if (!isTopic || number === undefined || (number === GENERAL && chat.type !== 'private')) return undefined;
  const name = source.forum_topic_edited?.name ?? source.forum_topic_created?.name;
  return { address: `${chat.id}/${number}`, number, name, firstName: first?.forum_topic_created?.name };
}

/** What happened to a topic, in words; '' for anything else. */
export function topicNews({ forum_topic_created: created, forum_topic_edited: edited, ...source }: Message): string {
  if (created) return `[topic opened: ${created.name}]`;
  if (edited?.name) return `[topic renamed: ${edited.name}]`;
  if (source.forum_topic_closed) return '[topic closed]';
  return source.forum_topic_reopened ? '[topic opened again]' : '';
}

/** The message with its topic in the chat's title; keeps what was told of the name. Throws what the store throws; harmless when repeated. */
export function nameTopic(storage: ChannelStorage, message: InboundMessage, topic: Topic): InboundMessage {
  const { address, number, firstName } = topic;
  const known = storage.get(KIND, [address])[address];
  const name = topic.name ?? known ?? firstName;
  if (name !== undefined && name !== known) storage.set([{ kind: KIND, id: address, value: name }]);
  return { ...message, chat: { ...message.chat, title: `${message.chat.title} › ${name ?? `topic ${number}`}` } };
}

/** Where calls of the API lead for an address. One that is none gives NaN, which Telegram refuses. */
export function placeOf(address: string): { chat: number; inTopic: { message_thread_id?: number } } {
  const [chat = Number.NaN, thread] = address.split('/').map(Number);
  const isTopic = thread !== undefined && !(thread === GENERAL && chat < 0);
  return { chat, inTopic: isTopic ? { message_thread_id: thread } : {} };
}

/** "typing…" is the one call that wants General's number, else nobody there sees it. */
export const TYPING_IN_GENERAL = { message_thread_id: GENERAL };
