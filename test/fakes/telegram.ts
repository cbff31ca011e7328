// The Telegram Bot API on 127.0.0.1, as a real client sees it: strict, with people who write to the bot and faults on order.
// Knows nothing about Pinch. Methods are in telegram-methods.ts and telegram-send.ts, HTML in telegram-html.ts.
import type { UserFromGetMe } from 'grammy/types';
import { HANG_MS } from '../limits.js';
import { createFaults, type Faults } from './telegram-faults.js';
import { createPeople, type People } from './telegram-people.js';
import { type LoggedRequest, serveBotApi } from './telegram-serve.js';
import {
  type BotOptions,
  type ButtonPress,
  type ChatAction,
  createBotState,
  type Reaction,
  type SentMessage,
} from './telegram-state.js';
import type { FakeUpdate } from './telegram-world.js';

export type { Fault, Faults } from './telegram-faults.js';
export type { UserFile, UserMessage } from './telegram-people.js';
export type { LoggedRequest } from './telegram-serve.js';
export type { ChatAction, Reaction, SentMessage } from './telegram-state.js';
export type { FakeChat, FakeMessage, FakeUpdate } from './telegram-world.js';

export interface FakeTelegramOptions extends BotOptions {
  token?: string;
  /** 0 takes a free one. */
  port?: number;
}

export interface FakeTelegram extends People {
  /** What a client takes as its API root, e.g. `http://127.0.0.1:41234`. */
  url: string;
  token: string;
  bot: UserFromGetMe;
  /** Every outgoing message the server accepted, edits too, in order. */
  sent: SentMessage[];
  /** "typing…" and the like. */
  actions: ChatAction[];
  reactions: Reaction[];
  /** What came in silence, and its edits: none of it is in `sent`. */
  silent: SentMessage[];
  /** What the bot took away. */
  deleted: { chat_id: number; message_id: number }[];
  /** Every press of a button, in order. */
  presses: ButtonPress[];
  /** Every call, refused ones too, in order of arrival. */
  requests: LoggedRequest[];
  faults: Faults;
  /** The commands last set with `setMyCommands`, for everybody or for one chat. */
  commands(chatId?: number): { command: string; description: string }[];
  /** How often commands were set or deleted. */
  menuCalls(): number;
  /** Updates no offset has confirmed yet, served or not. */
  pendingUpdates(): FakeUpdate[];
  /** One more than the highest confirmed update id; 0 before the first. */
  confirmedOffset(): number;
  /** `getUpdates` calls held open now: 0 or 1. */
  heldPolls(): number;
  /** True: every connection is cut, open ones and new ones, until false. */
  offline(isOffline: boolean): void;
  /** Resolves with `sent` once it holds `count` messages; rejects after `timeoutMs` (`HANG_MS`). */
  waitForSent(count: number, timeoutMs?: number): Promise<SentMessage[]>;
  /** Resolves with the first accepted message, past or future, that fits. */
  waitForSent(fits: (sent: SentMessage) => boolean, timeoutMs?: number): Promise<SentMessage>;
  /** Resolves with the first call, past or future, that fits; a name means that method. */
  waitForRequest(fits: string | ((request: LoggedRequest) => boolean), timeoutMs?: number): Promise<LoggedRequest>;
  /** Resolves once a `getUpdates` is held open: the bot is up and listening. */
  waitForPoll(timeoutMs?: number): Promise<void>;
  /** Resolves once every update so far is confirmed. */
  waitForConfirmed(timeoutMs?: number): Promise<void>;
  /** Resolves once `look` gives true; it looks again whenever something happens. */
  waitFor(look: () => boolean, timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_TOKEN = '7000000001:AAFakeTokenForTests-0123456789abcdefgh';

/** Starts the fake; close it at the end of the test. */
export async function startFakeTelegram(options: FakeTelegramOptions = {}): Promise<FakeTelegram> {
  const state = createBotState(options);
  const faults = createFaults();
  const requests: LoggedRequest[] = [];
  const token = options.token ?? DEFAULT_TOKEN;
  const server = await serveBotApi({ token, state, faults, requests }, options.port ?? 0);
  const describe = () =>
    `${state.sent.length} sent, ${requests.length} requests (last: ${requests.at(-1)?.method}), ${state.updates.pending().length} updates pending`;
  const until = <T>(look: () => T | undefined, timeoutMs: number, what: string) =>
    state.waiters.until(look, timeoutMs, () => `${what}; so far ${describe()}`);
  const waitFor = async (look: () => boolean, timeoutMs = HANG_MS, what = 'a condition') => {
    await until(() => look() || undefined, timeoutMs, what);
  };

  function waitForSent(count: number, timeoutMs?: number): Promise<SentMessage[]>;
  function waitForSent(fits: (sent: SentMessage) => boolean, timeoutMs?: number): Promise<SentMessage>;
  function waitForSent(
    wanted: number | ((sent: SentMessage) => boolean),
    timeoutMs = HANG_MS,
  ): Promise<SentMessage[] | SentMessage> {
    if (typeof wanted === 'function') return until(() => state.sent.find(wanted), timeoutMs, 'a fitting message');
    return until(() => (state.sent.length >= wanted ? state.sent : undefined), timeoutMs, `${wanted} messages`);
  }

  return {
    ...createPeople(state),
    url: `http://127.0.0.1:${server.port}`,
    token,
    bot: state.me,
    sent: state.sent,
    actions: state.actions,
    reactions: state.reactions,
    silent: state.silent,
    deleted: state.deleted,
    presses: state.presses,
    requests,
    faults,
    commands: (chatId) => (chatId === undefined ? state.commands : (state.chatCommands.get(chatId) ?? [])),
    menuCalls: () => state.menuCalls,
    pendingUpdates: state.updates.pending,
    confirmedOffset: state.updates.confirmedOffset,
    heldPolls: state.updates.held,
    offline: server.offline,
    waitForSent,
    waitForRequest(fits, timeoutMs = HANG_MS) {
      const isIt = typeof fits === 'string' ? (request: LoggedRequest) => request.method === fits : fits;
      return until(() => requests.find(isIt), timeoutMs, 'a fitting request');
    },
    waitForPoll: (timeoutMs = HANG_MS) => waitFor(() => state.updates.held() > 0, timeoutMs, 'a held poll'),
    waitForConfirmed: (timeoutMs = HANG_MS) =>
      waitFor(() => state.updates.pending().length === 0, timeoutMs, 'every update to be confirmed'),
    waitFor: (look, timeoutMs) => waitFor(look, timeoutMs),
    close: server.close,
  };
}
