// Discord on 127.0.0.1: its gateway and the part of its REST API that a bot uses, for the channel as it is. What people do is here; HTTP and
// sockets are in discord-serve.ts, the REST routes in discord-routes.ts.

import { HANG_MS } from '../limits.js';
import { describeChannel, describeGuild, describeMessage } from './discord-routes.js';
import { type DiscordServer, serveDiscord } from './discord-serve.js';
import { createWaiters } from './telegram-wait.js';

export interface FakeUser {
  id: string;
  username: string;
  global_name: string;
  bot?: boolean;
}

export interface FakeChannel {
  id: string;
  kind: 'dm' | 'text';
  name?: string;
  /** The other person of a `dm`. */
  user?: FakeUser;
  /** False: the bot sees it and may not read it. */
  readable: boolean;
}

export interface FakeAttachment {
  id: string;
  filename: string;
  content_type: string;
  bytes: Buffer;
  /** Where it says it can be downloaded; this server by default. */
  url?: string;
}

export interface FakeMessage {
  id: string;
  channel: string;
  author: FakeUser;
  content: string;
  type: number;
  at: number;
  editedAt?: number;
  replyTo?: string;
  attachments: FakeAttachment[];
  nonce?: string;
  webhook?: boolean;
  stickers?: string[];
  flags?: number;
  mentionsAllowed?: unknown;
}

/** What the next call of a route meets. */
export type Fault =
  | { status: number; code?: number; message?: string; retryAfter?: number }
  /** `after`: performed, and the answer is lost. */
  | { cut: 'before' | 'after' }
  | { hang: true };

export interface World {
  token: string;
  self: FakeUser;
  /** "Message Content Intent" of the application. */
  mayReadContent: boolean;
  /** How often the gateway wants to hear that the client is there, ms. */
  heartbeatMs: number;
  /** False: the gateway says nothing any more, as after a line was cut somewhere else. */
  answersHeartbeats: boolean;
  /** The gateway takes connections and does not say hello. */
  isMute: boolean;
  users: Map<string, FakeUser>;
  channels: Map<string, FakeChannel>;
  messages: FakeMessage[];
  /** Messages of the bot that people were notified of, those that are gone too. */
  rings: number;
  /** Names of the routes that were called, in order, refused ones too; `heartbeat` for each beat. */
  requests: string[];
  faults: Map<string, Fault[]>;
  nextId(): string;
}

export type FakeDiscord = Awaited<ReturnType<typeof startFakeDiscord>>;

interface Words {
  content?: string;
  replyTo?: string;
  attachments?: FakeAttachment[];
  type?: number;
  webhook?: boolean;
  stickers?: string[];
}

export async function startFakeDiscord() {
  const world = createWorld();
  const waiters = createWaiters();
  const server: DiscordServer = await serveDiscord(world, waiters.notify);
  const origin = `http://127.0.0.1:${server.port}`;
  const places = (message: FakeMessage) =>
    world.channels.get(message.channel)?.kind === 'dm' ? {} : { guild_id: '900' };
  const tell = (type: string, message: FakeMessage) =>
    server.dispatch(type, { ...describeMessage(world, message, origin), ...places(message) });

  return {
    url: `${origin}/api`,
    port: server.port,
    world,
    token: world.token,
    messages: world.messages,
    user(id: string, name: string, more: Partial<FakeUser> = {}): FakeUser {
      const user = { id, username: name.toLowerCase().replace(/\W/g, ''), global_name: name, ...more };
      world.users.set(id, user);
      return user;
    },
    channel(channel: Omit<FakeChannel, 'readable'> & { readable?: boolean }): FakeChannel {
      const whole = { readable: true, ...channel };
      world.channels.set(whole.id, whole);
      return whole;
    },
    /** Somebody writes; the message's id. */
    says(channel: FakeChannel, author: FakeUser, words: string | Words): string {
      const { content = '', type, ...rest } = typeof words === 'string' ? { content: words } : words;
      const kind = type ?? (rest.replyTo === undefined ? 0 : 19);
      const message: FakeMessage = {
        id: world.nextId(),
        channel: channel.id,
        author,
        content,
        at: Date.now(),
        attachments: [],
        ...rest,
        type: kind,
      };
      world.messages.push(message);
      tell('MESSAGE_CREATE', message);
      return message.id;
    },
    /** New words; without any, Discord only adds the preview of a link. */
    edits(id: string, content?: string): void {
      const message = world.messages.find((one) => one.id === id);
      if (!message) throw new Error(`nobody wrote ${id}`);
      if (content !== undefined) Object.assign(message, { content, editedAt: Date.now() });
      tell('MESSAGE_UPDATE', message);
    },
    /** What the assistant posted, in order. */
    sent: () => world.messages.filter(({ author }) => author === world.self),
    fault(route: string, ...faults: Fault[]): void {
      world.faults.set(route, [...(world.faults.get(route) ?? []), ...faults]);
    },
    untilCalled: (route: string, times = 1): Promise<true> =>
      waiters.until(
        () => world.requests.filter((one) => one === route).length >= times || undefined,
        HANG_MS,
        () => `${route}; ${world.requests}`,
      ),
    offline: server.offline,
    /** Cuts the sockets at once. */
    cut: server.cut,
    /** Discord asks for a new connection. */
    recycle: server.recycle,
    /** The gateway says this to every client. */
    babble: server.babble,
    close: server.close,
  };
}

const DISCORD_EPOCH_MS = 1_420_070_400_000;

function createWorld(): World {
  let last = 0n;
  return {
    token: `${'MTIzNDU2Nzg5MDEyMzQ1Njc4'}.GsEcReT.${'x'.repeat(38)}`,
    self: { id: '100', username: 'pinch', global_name: 'Pinch', bot: true },
    mayReadContent: true,
    heartbeatMs: 400_000,
    answersHeartbeats: true,
    isMute: false,
    users: new Map(),
    channels: new Map(),
    messages: [],
    rings: 0,
    requests: [],
    faults: new Map(),
    nextId() {
      const now = BigInt(Date.now() - DISCORD_EPOCH_MS) << 22n;
      last = now > last ? now : last + 1n;
      return String(last);
    },
  };
}

export { describeChannel, describeGuild };
