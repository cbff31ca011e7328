// Topics of the fake Telegram: what people do with them, and which of them the Bot API takes. Knows nothing about HTTP.
import type { User } from 'grammy/types';
import { badRequest, type CallParams, integerField } from './telegram-params.js';
import type { BotState } from './telegram-state.js';
import { asReplied, type ChatRoom, type FakeChat, type FakeMessage, type MessageContent } from './telegram-world.js';

/** In a forum everything outside of topics is "General": number 1, which only `sendChatAction` takes. */
const GENERAL = 1;

export interface Topics {
  /** Somebody makes a topic, in a forum or in a direct chat with a bot that has topics. Returns its number. */
  topic(chat: FakeChat, by: User, name: string): number;
  /** Another name; without one only the icon changes. */
  renameTopic(chat: FakeChat, by: User, topic: number, name?: string): void;
  /** In a closed topic only administrators write, which this bot never is. */
  closeTopic(chat: FakeChat, by: User, topic: number): void;
  reopenTopic(chat: FakeChat, by: User, topic: number): void;
  /** With all messages in it. No bot is told. */
  deleteTopic(chat: FakeChat, topic: number): void;
}

export interface TopicDeps {
  state: BotState;
  roomOf(chat: FakeChat): ChatRoom;
  push(room: ChatRoom, message: FakeMessage): void;
}

export function createTopics({ state, roomOf, push }: TopicDeps): Topics {
  function happens(chat: FakeChat, by: User, topic: number, what: MessageContent): void {
    const room = roomOf(chat);
    push(room, state.world.addMessage(room, by, { ...inTopic(room, topic), ...what }));
  }
  function setClosed(chat: FakeChat, topic: number, isClosed: boolean): void {
    const room = roomOf(chat);
    rootOf(room, topic);
    room.topics.set(topic, { isClosed });
  }
  return {
    topic(chat, by, name) {
      const room = roomOf(chat);
      const mayHave = chat.type === 'private' ? state.me.has_topics_enabled : chat.is_forum === true;
      if (!mayHave) throw new Error(`chat ${chat.id} has no topics`);
      const created = { forum_topic_created: { name, icon_color: 0x6fb9f0 } };
      const message = state.world.addMessage(room, by, created);
      Object.assign(message, { message_thread_id: message.message_id, is_topic_message: true });
      room.topics.set(message.message_id, { isClosed: false });
      push(room, message);
      return message.message_id;
    },
    renameTopic: (chat, by, topic, name) =>
      happens(chat, by, topic, { forum_topic_edited: name === undefined ? { icon_custom_emoji_id: '5' } : { name } }),
    closeTopic(chat, by, topic) {
      happens(chat, by, topic, { forum_topic_closed: {} });
      setClosed(chat, topic, true);
    },
    reopenTopic(chat, by, topic) {
      setClosed(chat, topic, false);
      happens(chat, by, topic, { forum_topic_reopened: {} });
    },
    deleteTopic(chat, topic) {
      const room = roomOf(chat);
      rootOf(room, topic);
      room.topics.delete(topic);
      for (const { message_id: id, is_topic_message: isTopic, message_thread_id: thread } of room.messages.values())
        if (isTopic && thread === topic) room.messages.delete(id);
    },
  };
}

function rootOf(room: ChatRoom, topic: number): FakeMessage {
  const root = room.topics.has(topic) ? room.messages.get(topic) : undefined;
  if (!root) throw new Error(`no topic ${topic} in chat ${room.chat.id}`);
  return root;
}

/** Whatever stands in a topic formally replies to what opened it. */
const inTopic = (room: ChatRoom, topic: number): MessageContent => ({
  message_thread_id: topic,
  is_topic_message: true,
  reply_to_message: asReplied(rootOf(room, topic)),
});

/** What a person writes, in its topic; an answer is where that is which it answers. In ordinary groups answers make threads that are no topics. */
export function threadOf(
  room: ChatRoom,
  given: number | undefined,
  reply: FakeMessage | undefined,
): Partial<MessageContent> {
  const topic = given ?? (reply?.is_topic_message ? reply.message_thread_id : undefined);
  const answered = reply && { reply_to_message: asReplied(reply) };
  if (topic !== undefined) {
    if (room.topics.get(topic)?.isClosed) throw new Error(`topic ${topic} is closed`);
    return { ...inTopic(room, topic), ...answered };
  }
  if (!reply || room.chat.type !== 'supergroup') return { ...answered };
  return { ...answered, message_thread_id: reply.message_thread_id ?? reply.message_id };
}

/** The topic that a call names. Throws 400 as the server does: for one that is none, General's number too, and for one that is closed. */
export function readTopic(room: ChatRoom, params: CallParams): { message_thread_id?: number; is_topic_message?: true } {
  const topic = integerField(params, 'message_thread_id', 0);
  if (topic === 0) return {};
  const found = room.topics.get(topic);
  if (!found) throw badRequest('message thread not found');
  if (found.isClosed) throw badRequest('TOPIC_CLOSED');
  return { message_thread_id: topic, is_topic_message: true };
}

/** As `readTopic`; "typing…" alone may name General. */
export function readActionTopic(room: ChatRoom, params: CallParams): { message_thread_id?: number } {
  const isForum = room.chat.type === 'supergroup' && room.chat.is_forum === true;
  const isGeneral = isForum && integerField(params, 'message_thread_id', 0) === GENERAL;
  return isGeneral ? { message_thread_id: GENERAL } : readTopic(room, params);
}
