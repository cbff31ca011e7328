// The people, chats, messages and files behind the fake Bot API. Knows nothing about HTTP or methods.
import type { Chat, Message, MessageEntity, Update, User } from 'grammy/types';
import { ApiError, badRequest } from './telegram-params.js';

export type FakeChat = Chat.PrivateChat | Chat.GroupChat | Chat.SupergroupChat;
/** grammY's message, with a quoted message that can be built (there, its type admits no value). */
export interface FakeMessage extends Omit<Message, 'reply_to_message' | 'chat' | 'from'> {
  chat: FakeChat;
  from: User;
  reply_to_message?: FakeMessage;
}
export interface FakeUpdate extends Omit<Update, 'message' | 'edited_message'> {
  message?: FakeMessage;
  edited_message?: FakeMessage;
}

export interface ChatRoom {
  chat: FakeChat;
  members: Map<number, User>;
  /** The bot's place in it; `blocked` in a direct chat means the user blocked the bot. */
  bot: 'member' | 'left' | 'kicked' | 'blocked';
  /** Set once a group became a supergroup. */
  migratedTo: number | undefined;
  messages: Map<number, FakeMessage>;
  /** By the number of what opened them. */
  topics: Map<number, { isClosed: boolean }>;
  lastMessageId: number;
}

export interface StoredFile {
  id: string;
  uniqueId: string;
  path: string;
  bytes: Buffer;
  /** What the API says; larger than `bytes` when a test only claims a size. */
  sizeBytes: number;
}

/** `getFile` refuses above this. */
export const DOWNLOAD_LIMIT_BYTES = 20 * 1024 * 1024;

export interface World {
  bot: User;
  rooms: Map<number, ChatRoom>;
  users: Map<number, User>;
  files: Map<string, StoredFile>;
  addRoom(chat: FakeChat, members: User[]): ChatRoom;
  /** The room of a `chat_id` as a client spells it. Throws 400 `chat not found` and the like. */
  findRoom(chatId: string | undefined): ChatRoom;
  /** As `findRoom`, and the bot may write there. Throws 400 (upgraded) or 403 (blocked, kicked, left). */
  findWritableRoom(chatId: string | undefined): ChatRoom;
  addMessage(room: ChatRoom, from: User, content: MessageContent): FakeMessage;
  addFile(folder: string, extension: string, bytes: Buffer, sizeBytes?: number): StoredFile;
}

export type MessageContent = Partial<
  Pick<
    FakeMessage,
    | 'text'
    | 'caption'
    | 'photo'
    | 'document'
    | 'voice'
    | 'audio'
    | 'video'
    | 'forward_origin'
    | 'media_group_id'
    | 'reply_to_message'
    | 'reply_markup'
    | 'new_chat_members'
    | 'migrate_to_chat_id'
    | 'migrate_from_chat_id'
    | 'message_thread_id'
    | 'is_topic_message'
    | 'forum_topic_created'
    | 'forum_topic_edited'
    | 'forum_topic_closed'
    | 'forum_topic_reopened'
  >
> & { entities?: MessageEntity[]; caption_entities?: MessageEntity[] };

/** A message as another one quotes it: never with a reply of its own. */
export function asReplied(message: FakeMessage): FakeMessage {
  const { reply_to_message: _nested, ...flat } = message;
  return flat;
}

/** Unix seconds, as Telegram counts. */
export function unixNow(): number {
  return Math.floor(Date.now() / 1000);
}

export function createWorld(bot: User): World {
  const rooms = new Map<number, ChatRoom>();
  const files = new Map<string, StoredFile>();
  const world: World = {
    bot,
    rooms,
    users: new Map([[bot.id, bot]]),
    files,
    addRoom(chat, members) {
      const room: ChatRoom = {
        chat,
        members: new Map([...members, bot].map((user) => [user.id, user])),
        bot: 'member',
        migratedTo: undefined,
        messages: new Map(),
        topics: new Map(),
        lastMessageId: 0,
      };
      rooms.set(chat.id, room);
      return room;
    },
    findRoom(chatId) {
      if (chatId === undefined || chatId === '') throw badRequest('chat_id is empty');
      const room = /^-?\d+$/.test(chatId) ? rooms.get(Number(chatId)) : findByName(rooms, chatId);
      if (!room) throw badRequest('chat not found');
      return room;
    },
    findWritableRoom(chatId) {
      const room = world.findRoom(chatId);
      checkWritable(room);
      return room;
    },
    addMessage(room, from, content) {
      room.lastMessageId += 1;
      const message: FakeMessage = {
        message_id: room.lastMessageId,
        from,
        chat: room.chat,
        date: unixNow(),
        ...content,
      };
      room.messages.set(message.message_id, message);
      return message;
    },
    addFile(folder, extension, bytes, sizeBytes = bytes.length) {
      const number = files.size + 1;
      const id = `AgACAgIAAxk${folder}-${number}`;
      const file = {
        id,
        uniqueId: `AQAD${folder}${number}`,
        path: `${folder}/file_${number}${extension}`,
        bytes,
        sizeBytes,
      };
      files.set(id, file);
      return file;
    },
  };
  return world;
}

function findByName(rooms: Map<number, ChatRoom>, name: string): ChatRoom | undefined {
  if (!name.startsWith('@')) return undefined;
  // Only public supergroups have names a bot can write to.
  return [...rooms.values()].find(({ chat }) => chat.type === 'supergroup' && chat.username === name.slice(1));
}

function checkWritable({ chat, bot, migratedTo }: ChatRoom): void {
  if (migratedTo !== undefined) {
    throw new ApiError(400, 'Bad Request: group chat was upgraded to a supergroup chat', {
      migrate_to_chat_id: migratedTo,
    });
  }
  if (bot === 'blocked') throw new ApiError(403, 'Forbidden: bot was blocked by the user');
  const kind = chat.type === 'supergroup' ? 'supergroup' : 'group';
  if (bot === 'kicked') throw new ApiError(403, `Forbidden: bot was kicked from the ${kind} chat`);
  if (bot === 'left') throw new ApiError(403, `Forbidden: bot is not a member of the ${kind} chat`);
}
