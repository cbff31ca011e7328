// One connection to Discord's gateway, from its ready to its end. The library would reconnect by itself; here the connection ends at the
// first break, and discord.ts decides when to begin again: only then is it known what was missed.
import {
  Client,
  DiscordjsError,
  Events,
  GatewayCloseCodes,
  GatewayDispatchEvents,
  GatewayIntentBits,
  Options,
} from 'discord.js';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { ChannelError } from './channel.js';
import type { DiscordSettings } from './discord.js';
import { restOptions } from './discord-api.js';
import { NeedsOwner } from './discord-errors.js';

export interface DiscordEvent {
  type: 'said' | 'edited';
  body: unknown;
}

/** The assistant's own account. */
export interface Self {
  id: string;
  name: string;
}

export interface DiscordGateway {
  self(): Self;
  /** The channels and threads of all servers, each with the id of its last message. */
  channels(): { id: string; lastMessageId: bigint }[];
  /** Resolves when the connection is over, for whatever reason. */
  closed: Promise<void>;
  /** Resolves when no event can arrive any more. A second call is harmless. */
  close(): Promise<void>;
}

const intents = [
  GatewayIntentBits.Guilds,
  GatewayIntentBits.GuildMessages,
  GatewayIntentBits.DirectMessages,
  GatewayIntentBits.MessageContent,
];
/** From the login until everything is there. */
const READY_TIMEOUT_MS = 90_000;
/** The other side may be gone: its goodbye is not worth a longer wait. */
const CLOSE_TIMEOUT_MS = 2_000;
/** The library keeps what it sees; we need none of that. */
const noCache = { MessageManager: 0, ReactionManager: 0, PresenceManager: 0, GuildMemberManager: 0, UserManager: 1 };

const place = z.object({ id: z.string(), last_message_id: z.string().regex(/^\d+$/).nullish() });
const server = z.object({ channels: z.array(place).default([]), threads: z.array(place).default([]) });

/** Resolves when Discord has told which servers there are. Throws the library's errors, NeedsOwner or ChannelError. */
export async function openGateway(
  { token, root }: DiscordSettings,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  onEvent: (event: DiscordEvent) => void,
): Promise<DiscordGateway> {
  const client = new Client({ intents, makeCache: Options.cacheWithLimits(noCache), rest: restOptions(root) });
  const places = new Map<string, bigint>();
  const ending = new AbortController();
  const closed = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve()));
  const end = (reason: Error): void => ending.abort(reason);
  client.ws.on(GatewayDispatchEvents.MessageCreate, (body: unknown) => onEvent({ type: 'said', body }));
  client.ws.on(GatewayDispatchEvents.MessageUpdate, (body: unknown) => onEvent({ type: 'edited', body }));
  client.ws.on(GatewayDispatchEvents.GuildCreate, (body: unknown) => {
    // A server of a form we do not know is read by what is said there, not by what was missed.
    const { channels, threads } = server.safeParse(body).data ?? { channels: [], threads: [] };
    for (const { id, last_message_id: last } of [...channels, ...threads]) places.set(id, BigInt(last ?? 0));
  });
  client.on(Events.ShardReconnecting, () => end(new ChannelError('network', 'the connection to Discord was lost')));
  client.on(Events.ShardDisconnect, ({ code }) => end(reasonFor(code)));
  client.on(Events.ShardError, (error) =>
    end(new ChannelError('network', 'Discord cannot be reached', { cause: error })),
  );
  client.on(Events.Error, (error) => end(new ChannelError('network', 'Discord cannot be reached', { cause: error })));

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= leave(client, clock);
    end(new ChannelError('network', 'the connection was closed'));
    return closing;
  };
  const onAbort = () => void close();
  signal.addEventListener('abort', onAbort);
  void closed.then(() => signal.removeEventListener('abort', onAbort));
  try {
    await untilReady(client, { token, clock, ending: ending.signal });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    self: () => ({ id: client.user?.id ?? '', name: client.user?.username ?? '' }),
    channels: () => [...places].map(([id, lastMessageId]) => ({ id, lastMessageId })),
    closed,
    close,
  };
}

async function untilReady(
  client: Client,
  { token, clock, ending }: { token: string; clock: Clock; ending: AbortSignal },
): Promise<void> {
  const waited = new AbortController();
  const ready = new Promise<void>((resolve) => client.once(Events.ClientReady, () => resolve()));
  const ended = new Promise<never>((_resolve, reject) => {
    ending.addEventListener('abort', () => reject(ending.reason));
  });
  const late = clock.sleep(READY_TIMEOUT_MS, waited.signal).then(() => {
    if (!waited.signal.aborted) throw new ChannelError('network', 'Discord does not answer in time');
  });
  try {
    const login = client.login(token).then(() => ready);
    await Promise.race([login, ended, late.then(() => ready)]);
  } catch (error) {
    if (error instanceof DiscordjsError && String(error.code) === 'TokenInvalid') throw new NeedsOwner('token');
    throw error;
  } finally {
    waited.abort();
  }
}

async function leave(client: Client, clock: Clock): Promise<void> {
  const done = new AbortController();
  await Promise.race([client.destroy(), clock.sleep(CLOSE_TIMEOUT_MS, done.signal)]);
  done.abort();
  client.removeAllListeners();
  client.ws.removeAllListeners();
  // It may still complain while it goes.
  client.on(Events.Error, () => undefined);
}

function reasonFor(code: number): Error {
  if (code === GatewayCloseCodes.AuthenticationFailed) return new NeedsOwner('token');
  if (code === GatewayCloseCodes.DisallowedIntents) return new NeedsOwner('intents');
  return new ChannelError('network', `Discord ended the connection (${code})`);
}
