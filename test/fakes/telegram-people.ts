// What people do in the fake Telegram: write, edit, send files, add, block and remove the bot. Knows nothing about HTTP.
import type {
  CallbackQuery,
  Chat,
  ChatMember,
  MessageEntity,
  ReactionType,
  ReactionTypeEmoji,
  User,
} from 'grammy/types';
import { findEntities } from './telegram-entities.js';
import type { BotState } from './telegram-state.js';
import { createTopics, type Topics, threadOf } from './telegram-topics.js';
import { type ChatRoom, type FakeChat, type FakeMessage, type MessageContent, unixNow } from './telegram-world.js';

export interface UserFile {
  bytes: Uint8Array;
  fileName?: string;
  mimeType?: string;
  /** What the API claims, without that many bytes being there. */
  sizeBytes?: number;
  durationSeconds?: number;
  width?: number;
  height?: number;
}

export interface UserMessage {
  text?: string;
  caption?: string;
  /** Replaces the entities found in the text (mentions, commands, links). */
  entities?: MessageEntity[];
  photo?: UserFile;
  document?: UserFile;
  voice?: UserFile;
  audio?: UserFile;
  video?: UserFile;
  /** Somebody else's words, passed on. */
  forwarded?: boolean;
  /** Number of the topic it is written in; none is General, or the topic of the message answered. */
  topic?: number;
  /** Id of the message answered. */
  reply_to?: number;
  /** Sent together with others of this name, which are messages of their own: photos and videos, or documents, or audio. */
  album?: string;
  /** Id of the user's own message that this is a new version of. Without words it only got its link preview. */
  edit_of?: number;
}

export interface GroupInit {
  /** Below -1,000,000,000,000 it is a supergroup, as in Telegram. */
  id: number;
  title: string;
  members: User[];
  /** False: the bot is not there yet; see `addBot`. */
  withBot?: boolean;
  /** A supergroup with topics. */
  forum?: boolean;
}

export interface People extends Topics {
  user(init: { id: number; first_name: string; last_name?: string; username?: string; is_bot?: boolean }): User;
  /** A group with the bot in it. */
  group(init: GroupInit): Chat.GroupChat | Chat.SupergroupChat;
  /** The direct chat of a user with the bot; the same one each time. */
  privateChat(user: User): Chat.PrivateChat;
  /** Puts a message into the chat and, when the bot may see it, an update into its queue. */
  userSends(chat: FakeChat, user: User, what: string | UserMessage): FakeMessage;
  /** 2 to 10 files chosen together: each a message with an update of its own, all at once. */
  userSendsAlbum(chat: FakeChat, user: User, parts: Omit<UserMessage, 'album' | 'edit_of'>[]): FakeMessage[];
  /** Presses the button that carries this data; `forged`: by a program that sends what no button carries. Returns the id of the press. */
  userPresses(chat: FakeChat, user: User, messageId: number, data: string, how?: 'forged' | 'too old'): string;
  /** An emoji on a message, in place of the one before; undefined takes it back. A bot hears of it only when it asked for it. */
  userReacts(chat: FakeChat, user: User, messageId: number, emoji: ReactionTypeEmoji['emoji'] | undefined): void;
  /** A member puts the bot into the group. */
  addBot(chat: FakeChat, by: User): void;
  /** A member throws the bot out. */
  kick(chat: FakeChat, by: User): void;
  block(user: User): void;
  unblock(user: User): void;
  /** The group becomes a supergroup with a new id, which is returned. */
  migrate(chat: FakeChat): Chat.SupergroupChat;
}

export function createPeople(state: BotState): People {
  const { world } = state;
  const roomOf = (chat: FakeChat): ChatRoom => {
    const room = world.rooms.get(chat.id);
    if (!room) throw new Error(`no chat ${chat.id} in the fake Telegram`);
    return room;
  };
  const people: People = {
    ...createTopics({ state, roomOf, push: (room, message) => pushMessage(state, room, message) }),
    user(init) {
      const user: User = { is_bot: false, language_code: 'en', ...init };
      world.users.set(user.id, user);
      return user;
    },
    group({ id, title, members, withBot = true, forum = false }) {
      const chat: Chat.GroupChat | Chat.SupergroupChat =
        id < -1_000_000_000_000
          ? { id, type: 'supergroup', title, ...(forum && { is_forum: true }) }
          : { id, type: 'group', title };
      if (forum && chat.type === 'group') throw new Error(`group ${id} is no supergroup, which a forum is`);
      const room = world.addRoom(chat, members);
      // The message that told of the group is General's number.
      if (forum) room.lastMessageId = 1;
      if (!withBot) leave(room, state, 'left');
      return chat;
    },
    privateChat(user) {
      const known = world.rooms.get(user.id)?.chat;
      if (known?.type === 'private') return known;
      const { id, first_name, last_name, username } = user;
      const chat: Chat.PrivateChat = {
        id,
        type: 'private',
        first_name,
        ...(last_name !== undefined && { last_name }),
        ...(username !== undefined && { username }),
      };
      world.addRoom(chat, [user]);
      return chat;
    },
    userSends: (chat, user, what) =>
      userSends(state, roomOf(chat), user, typeof what === 'string' ? { text: what } : what),
    userSendsAlbum(chat, user, parts) {
      if (parts.length < 2 || parts.length > 10) throw new Error('an album has 2 to 10 parts');
      const album = String(13_000_000_000_000_000n + BigInt(roomOf(chat).messages.size));
      return parts.map((part) => userSends(state, roomOf(chat), user, { ...part, album }));
    },
    userPresses: (chat, user, messageId, data, how) => userPresses(state, roomOf(chat), user, { messageId, data, how }),
    userReacts: (chat, user, messageId, emoji) => userReacts(state, roomOf(chat), user, { messageId, emoji }),
    addBot(chat, by) {
      const room = roomOf(chat);
      const old = botMember(room, state);
      room.bot = 'member';
      room.members.set(state.me.id, world.bot);
      announce(state, room, by, old);
      pushMessage(state, room, world.addMessage(room, by, { new_chat_members: [world.bot] }));
    },
    kick: (chat, by) => removeBot(state, roomOf(chat), by, 'kicked'),
    block: (user) => removeBot(state, roomOf(people.privateChat(user)), user, 'blocked'),
    unblock(user) {
      const room = roomOf(people.privateChat(user));
      const old = botMember(room, state);
      room.bot = 'member';
      announce(state, room, user, old);
    },
    migrate: (chat) => migrate(state, roomOf(chat)),
  };
  return people;
}

function userSends(state: BotState, room: ChatRoom, user: User, what: UserMessage): FakeMessage {
  if (!room.members.has(user.id)) throw new Error(`user ${user.id} is not in chat ${room.chat.id}`);
  if (what.edit_of !== undefined) return userEdits(state, room, what, what.edit_of);
  const reply = what.reply_to === undefined ? undefined : room.messages.get(what.reply_to);
  if (what.reply_to !== undefined && !reply) throw new Error(`no message ${what.reply_to} in chat ${room.chat.id}`);
  const content: MessageContent = {
    ...textContent(what),
    ...mediaContent(state, what),
    ...albumContent(room, what),
    ...threadOf(room, what.topic, reply),
    ...(what.forwarded && { forward_origin: { type: 'hidden_user', date: unixNow(), sender_user_name: 'Somebody' } }),
  };
  const message = state.world.addMessage(room, user, content);
  pushMessage(state, room, message);
  return message;
}

/** Albums are of pictures and videos, of documents, or of audio; voice messages and texts are in none. */
function albumContent({ messages }: ChatRoom, what: UserMessage): MessageContent {
  if (what.album === undefined) return {};
  const kindOf = ({
    photo,
    video,
    document,
    audio,
  }: { [kind in 'photo' | 'video' | 'document' | 'audio']?: unknown }) =>
    photo || video ? 'photos' : document ? 'documents' : audio ? 'audio' : undefined;
  const others = [...messages.values()].filter((message) => message.media_group_id === what.album);
  const kind = kindOf(what);
  if (kind === undefined) throw new Error('only photos, videos, documents and audio go into an album');
  if (others.some((other) => kindOf(other) !== kind)) throw new Error(`no ${kind} in this album`);
  if (others.length === 10) throw new Error('an album has at most 10 parts');
  return { media_group_id: what.album };
}

function userEdits(state: BotState, room: ChatRoom, what: UserMessage, id: number): FakeMessage {
  const before = room.messages.get(id);
  if (!before) throw new Error(`no message ${id} in chat ${room.chat.id}`);
  const { entities: _entities, caption_entities: _captionEntities, ...kept } = before;
  const edited = { ...kept, ...textContent(what), ...mediaContent(state, what), edit_date: unixNow() };
  room.messages.set(id, edited);
  if (canSee(state, room, edited)) state.updates.push({ edited_message: edited });
  return edited;
}

function userPresses(
  state: BotState,
  room: ChatRoom,
  from: User,
  { messageId, data, how }: { messageId: number; data: string; how: 'forged' | 'too old' | undefined },
): string {
  const message = room.messages.get(messageId);
  const buttons = message?.reply_markup?.inline_keyboard.flat() ?? [];
  const isThere = buttons.some((button) => 'callback_data' in button && button.callback_data === data);
  if (!message || (how !== 'forged' && !isThere)) throw new Error(`no button ${data} below message ${messageId}`);
  const id = String(4_000_000_000_000_000_001n + BigInt(state.presses.length));
  state.presses.push({ id, answered: false });
  // After two days a bot sees no more of a message than where it is.
  const old: CallbackQuery['message'] = { chat: room.chat, message_id: messageId, date: 0 };
  const shown = JSON.parse(JSON.stringify(how === 'too old' ? old : message));
  state.updates.push({ callback_query: { id, from, chat_instance: `${room.chat.id}`, data, message: shown } });
  return id;
}

function userReacts(
  state: BotState,
  room: ChatRoom,
  user: User,
  { messageId, emoji }: { messageId: number; emoji: ReactionTypeEmoji['emoji'] | undefined },
): void {
  if (!room.messages.has(messageId)) throw new Error(`no message ${messageId} in chat ${room.chat.id}`);
  const name = `${room.chat.id} ${messageId} ${user.id}`;
  const old_reaction = state.userReactions.get(name) ?? [];
  const new_reaction: ReactionType[] = emoji === undefined ? [] : [{ type: 'emoji', emoji }];
  state.userReactions.set(name, new_reaction);
  // In groups only administrators hear of it, and this bot never is one.
  if (room.chat.type !== 'private') return;
  const where = { chat: room.chat, message_id: messageId, user, date: unixNow() };
  state.updates.push({ message_reaction: { ...where, old_reaction, new_reaction } });
}

function textContent({ text, caption, entities }: UserMessage): MessageContent {
  const shown = text ?? caption;
  if (shown === undefined) return {};
  const found = entities ?? findEntities(shown);
  if (text !== undefined) return { text, ...(found.length > 0 && { entities: found }) };
  return { caption: shown, ...(found.length > 0 && { caption_entities: found }) };
}

function mediaContent(state: BotState, what: UserMessage): MessageContent {
  const store = (folder: string, extension: string, { bytes, sizeBytes }: UserFile) => {
    const file = state.world.addFile(folder, extension, Buffer.from(bytes), sizeBytes);
    return { file_id: file.id, file_unique_id: file.uniqueId, file_size: file.sizeBytes };
  };
  const named = (file: UserFile) => ({
    ...(file.fileName !== undefined && { file_name: file.fileName }),
    ...(file.mimeType !== undefined && { mime_type: file.mimeType }),
  });
  const { photo, document, voice, audio, video } = what;
  const size = (file: UserFile) => ({ width: file.width ?? 1280, height: file.height ?? 960 });
  const duration = (file: UserFile) => ({ duration: file.durationSeconds ?? 1 });
  return {
    // Telegram lists sizes from small to large; the last one is the picture.
    ...(photo && {
      photo: [
        { ...store('thumbnails', '.jpg', { bytes: photo.bytes.slice(0, 64) }), width: 90, height: 68 },
        { ...store('photos', '.jpg', photo), ...size(photo) },
      ],
    }),
    ...(document && { document: { ...store('documents', '', document), ...named(document) } }),
    ...(voice && {
      voice: { ...store('voice', '.oga', voice), mime_type: voice.mimeType ?? 'audio/ogg', ...duration(voice) },
    }),
    ...(audio && { audio: { ...store('music', '.mp3', audio), ...named(audio), ...duration(audio) } }),
    ...(video && { video: { ...store('videos', '.mp4', video), ...named(video), ...size(video), ...duration(video) } }),
  };
}

function pushMessage(state: BotState, room: ChatRoom, message: FakeMessage): void {
  if (canSee(state, room, message)) state.updates.push({ message });
}

/** In privacy mode a bot sees service messages, commands, mentions of itself and replies to itself. */
function canSee(state: BotState, room: ChatRoom, message: FakeMessage): boolean {
  if (room.bot !== 'member') return false;
  if (state.me.can_read_all_group_messages || room.chat.type === 'private') return true;
  const text = message.text ?? message.caption;
  const hasContent =
    text !== undefined || message.photo || message.document || message.voice || message.audio || message.video;
  if (!hasContent || message.reply_to_message?.from?.id === state.me.id) return true;
  const name = `@${state.me.username}`.toLowerCase();
  return [...(message.entities ?? []), ...(message.caption_entities ?? [])].some((entity) => {
    const part = (text ?? '').slice(entity.offset, entity.offset + entity.length).toLowerCase();
    if (entity.type === 'mention') return part === name;
    return entity.type === 'bot_command' && (!part.includes('@') || part.endsWith(name));
  });
}

function botMember(room: ChatRoom, state: BotState): ChatMember {
  const user = state.world.bot;
  if (room.bot === 'member') return { status: 'member', user };
  return room.bot === 'left' ? { status: 'left', user } : { status: 'kicked', user, until_date: 0 };
}

function leave(room: ChatRoom, state: BotState, as: 'left' | 'kicked' | 'blocked'): void {
  room.bot = as;
  room.members.delete(state.me.id);
}

function removeBot(state: BotState, room: ChatRoom, by: User, as: 'kicked' | 'blocked'): void {
  const old = botMember(room, state);
  leave(room, state, as);
  announce(state, room, by, old);
}

function announce(state: BotState, room: ChatRoom, from: User, old: ChatMember): void {
  state.updates.push({
    my_chat_member: {
      chat: room.chat,
      from,
      date: unixNow(),
      old_chat_member: old,
      new_chat_member: botMember(room, state),
    },
  });
}

function migrate(state: BotState, room: ChatRoom): Chat.SupergroupChat {
  const { chat } = room;
  if (chat.type !== 'group') throw new Error(`chat ${chat.id} is no basic group`);
  const upgraded: Chat.SupergroupChat = { id: -1_000_000_000_000 + chat.id, type: 'supergroup', title: chat.title };
  const members = [...room.members.values()].filter((user) => user.id !== state.me.id);
  const by = members[0] ?? state.world.bot;
  const next = state.world.addRoom(upgraded, members);
  pushMessage(state, room, state.world.addMessage(room, by, { migrate_to_chat_id: upgraded.id }));
  room.migratedTo = upgraded.id;
  pushMessage(state, next, state.world.addMessage(next, by, { migrate_from_chat_id: chat.id }));
  return upgraded;
}
