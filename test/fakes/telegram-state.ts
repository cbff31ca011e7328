// Everything the fake remembers about its bot: what was sent, the queue of updates, the settings. Knows nothing about HTTP.
import type { MessageEntity, ReactionType, UserFromGetMe } from 'grammy/types';
import { ApiError, type UploadedFile } from './telegram-params.js';
import { createUpdateQueue, type UpdateQueue } from './telegram-updates.js';
import { createWaiters, type Waiters } from './telegram-wait.js';
import { createWorld, type FakeMessage, type World } from './telegram-world.js';

/** An outgoing message the server accepted. */
export interface SentMessage {
  method: 'sendMessage' | 'sendPhoto' | 'sendDocument' | 'editMessageText';
  chat_id: number;
  /** The topic it is in. */
  message_thread_id: number | undefined;
  message_id: number;
  /** Text or caption as the bot sent it, markup included. */
  text: string;
  parse_mode: string | undefined;
  /** What a person reads, after parsing. */
  plain: string;
  entities: MessageEntity[];
  /** What the real server would have repaired silently; a careful client causes none. */
  warnings: string[];
  /** The message it answers. */
  reply_to: number | undefined;
  /** The upload; undefined when it was sent by file id. */
  file: UploadedFile | undefined;
  /** Epoch ms. */
  at: number;
  message: FakeMessage;
}

export interface ChatAction {
  chat_id: number;
  message_thread_id?: number;
  action: string;
  /** Epoch ms. */
  at: number;
}

export interface Reaction {
  chat_id: number;
  message_id: number;
  /** Empty: the bot took its reaction away. */
  emoji: string[];
  at: number;
}

/** Somebody pressed a button. */
export interface ButtonPress {
  id: string;
  /** The button stopped turning. */
  answered: boolean;
}

export interface RateLimit {
  /** Messages a chat may get within `perMs`; more are refused with 429. */
  messages: number;
  perMs: number;
}

export interface BotState {
  me: UserFromGetMe;
  world: World;
  updates: UpdateQueue;
  waiters: Waiters;
  /** What makes phones ring, and its edits. */
  sent: SentMessage[];
  /** What came in silence, and its edits. */
  silent: SentMessage[];
  /** What the bot took away. */
  deleted: { chat_id: number; message_id: number }[];
  actions: ChatAction[];
  reactions: Reaction[];
  presses: ButtonPress[];
  /** By chat, message and person. */
  userReactions: Map<string, ReactionType[]>;
  commands: { command: string; description: string }[];
  /** By chat. */
  chatCommands: Map<number, { command: string; description: string }[]>;
  /** How often a menu was set or deleted. */
  menuCalls: number;
  webhookUrl: string;
  rateLimit: RateLimit | undefined;
}

export interface BotOptions {
  botId?: number;
  botUsername?: string;
  /** Whether the bot sees all group messages (true), or only commands, mentions and replies to it. */
  canReadAllGroupMessages?: boolean;
  rateLimit?: RateLimit;
  /** Direct chats with the bot may have topics. */
  topicsInDirectChats?: boolean;
}

export function createBotState(options: BotOptions): BotState {
  const username = options.botUsername ?? 'pinch_test_bot';
  const user = { id: options.botId ?? 7_000_000_001, is_bot: true as const, first_name: 'Pinch', username };
  const waiters = createWaiters();
  return {
    me: {
      ...user,
      can_join_groups: true,
      can_read_all_group_messages: options.canReadAllGroupMessages ?? true,
      supports_inline_queries: false,
      can_connect_to_business: false,
      has_main_web_app: false,
      has_topics_enabled: options.topicsInDirectChats ?? false,
      allows_users_to_create_topics: options.topicsInDirectChats ?? false,
      can_manage_bots: false,
      supports_join_request_queries: false,
    },
    world: createWorld(user),
    // Telegram starts anywhere; a large number also finds code that keeps ids in 16 bits.
    updates: createUpdateQueue(870_000_001, waiters.notify),
    waiters,
    sent: [],
    silent: [],
    deleted: [],
    actions: [],
    reactions: [],
    presses: [],
    userReactions: new Map(),
    commands: [],
    chatCommands: new Map(),
    menuCalls: 0,
    webhookUrl: '',
    rateLimit: options.rateLimit,
  };
}

/** Throws 429 when the chat had its share of messages in the current window. */
export function checkRate(state: BotState, chatId: number): void {
  const limit = state.rateLimit;
  if (!limit) return;
  const since = Date.now() - limit.perMs;
  const all = [...state.sent, ...state.silent].sort((a, b) => a.at - b.at);
  const recent = all.filter((sent) => sent.chat_id === chatId && sent.at > since);
  const oldest = recent.at(-limit.messages);
  if (!oldest) return;
  const retryAfter = Math.max(1, Math.ceil((oldest.at + limit.perMs - Date.now()) / 1000));
  throw new ApiError(429, `Too Many Requests: retry after ${retryAfter}`, { retry_after: retryAfter });
}
