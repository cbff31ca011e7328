// One connection to Discord's gateway, from its hello to its end (https://discord.com/developers/docs/events/gateway). It is never taken up
// again: discord.ts begins a new one, and reads what was missed. discord.js does not fit: it reconnects by itself, even after it was told
// to end, and what fails then is a rejection that nobody can catch.
import { addAbortListener } from 'node:events';
import { GatewayCloseCodes, GatewayDispatchEvents, GatewayIntentBits, GatewayOpcodes } from 'discord-api-types/v10';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { atMost, type Clock } from '../core/clock.js';
import { ChannelError } from './channel.js';
import { needsOwner } from './discord-errors.js';

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
  self: Self;
  /** The channels and threads of all servers, each with the id of its last message. */
  channels(): { id: string; lastMessageId: bigint }[];
  /** Resolves when no event can arrive any more. */
  close(): Promise<void>;
}

export interface GatewayOptions {
  /** Where the gateway is. */
  url: string;
  token: string;
  clock: Clock;
  onEvent(event: DiscordEvent): void;
  /** The connection is over; only the first reason counts. */
  end(reason: unknown): void;
  /** Aborted by `end`, or by whoever wants the connection to end. */
  signal: AbortSignal;
}

const intents =
  GatewayIntentBits.Guilds |
  GatewayIntentBits.GuildMessages |
  GatewayIntentBits.DirectMessages |
  GatewayIntentBits.MessageContent;
const PROPERTIES = { os: process.platform, browser: 'pinch', device: 'pinch' };
/** From the first byte until Discord has said who we are. */
const READY_TIMEOUT_MS = 90_000;
/** From then on until all servers were told: one that Discord itself cannot reach is left out. */
const SERVERS_TIMEOUT_MS = 15_000;
/** The other side may be gone: its goodbye is not worth a longer wait. */
const CLOSE_TIMEOUT_MS = 2_000;

const packet = z.object({
  op: z.number(),
  t: z.string().nullish(),
  s: z.number().nullish(),
  d: z.unknown().optional(),
});
const hello = z.object({ heartbeat_interval: z.number().positive() });
const welcome = z.object({
  user: z.object({ id: z.string(), username: z.string() }),
  guilds: z.array(z.object({ id: z.string() })),
});
const place = z.object({ id: z.string(), last_message_id: z.string().regex(/^\d+$/).nullish() });
const server = z.object({
  id: z.string(),
  // A server of a form we do not know is read by what is said there, not by what was missed.
  channels: z.array(place).catch([]),
  threads: z.array(place).catch([]),
});

interface Session extends GatewayOptions {
  socket: WebSocket;
  self: Self | undefined;
  /** Of the last event; part of each heartbeat. */
  sequence: number | null;
  /** The last heartbeat was answered. */
  isAnswered: boolean;
  /** Id of the last message in each channel. */
  places: Map<string, bigint>;
  /** Servers that were not told yet. */
  missing: Set<string>;
  /** We know who we are, and all servers. */
  ready(): void;
}

/** Resolves when Discord has told which servers there are. Rejects with ChannelError or the socket's error. */
export async function openGateway(options: GatewayOptions): Promise<DiscordGateway> {
  const { clock, end, signal } = options;
  const socket = new WebSocket(`${options.url}?v=10&encoding=json`);
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.on('close', (code) => end(reasonFor(code)));
  // An error that nobody listens to would end the process.
  socket.on('error', end);
  const close = async (): Promise<void> => {
    socket.close(1000);
    await atMost(clock, CLOSE_TIMEOUT_MS, closed);
    socket.terminate();
  };
  try {
    return await new Promise((resolve, reject) => {
      const places = new Map<string, bigint>();
      const session: Session = {
        ...{ ...options, socket, places, self: undefined, sequence: null, isAnswered: true, missing: new Set() },
        ready() {
          const channels = () => [...places].map(([id, lastMessageId]) => ({ id, lastMessageId }));
          if (session.self) resolve({ self: session.self, channels, close });
        },
      };
      socket.on('message', (data) => readPacket(session, data.toString()));
      AbortSignal.timeout(READY_TIMEOUT_MS).addEventListener('abort', () =>
        reject(new ChannelError('network', 'Discord does not answer in time')),
      );
      addAbortListener(signal, () => reject(signal.reason));
    });
  } catch (error) {
    await close();
    throw error;
  }
}

/** Never throws: what cannot be read ends the connection. */
function readPacket(session: Session, text: string): void {
  if (session.signal.aborted) return;
  try {
    handlePacket(session, packet.parse(JSON.parse(text)));
  } catch (cause) {
    session.end(new ChannelError('network', 'Discord says what we do not understand', { cause }));
  }
}

function handlePacket(session: Session, { op, t: type, s: sequence, d: body }: z.infer<typeof packet>): void {
  const { token, end } = session;
  switch (op) {
    case GatewayOpcodes.Hello:
      void keepAlive(session, hello.parse(body).heartbeat_interval);
      return sendPacket(session, GatewayOpcodes.Identify, { token, intents, properties: PROPERTIES });
    case GatewayOpcodes.Heartbeat:
      return sendPacket(session, GatewayOpcodes.Heartbeat, session.sequence);
    case GatewayOpcodes.HeartbeatAck:
      session.isAnswered = true;
      return;
    case GatewayOpcodes.Reconnect:
    case GatewayOpcodes.InvalidSession:
      return end(new ChannelError('network', 'Discord asks for a new connection'));
    case GatewayOpcodes.Dispatch:
      session.sequence = sequence ?? session.sequence;
      return handleEvent(session, type ?? '', body);
  }
}

function handleEvent(session: Session, type: string, body: unknown): void {
  const { missing, places, clock, signal, ready, onEvent } = session;
  if (type === GatewayDispatchEvents.MessageCreate) onEvent({ type: 'said', body });
  if (type === GatewayDispatchEvents.MessageUpdate) onEvent({ type: 'edited', body });
  if (type === GatewayDispatchEvents.Ready) {
    const { user, guilds } = welcome.parse(body);
    session.self = { id: user.id, name: user.username };
    for (const { id } of guilds) missing.add(id);
    if (missing.size > 0) void clock.sleep(SERVERS_TIMEOUT_MS, signal).then(ready);
    else ready();
  }
  if (type === GatewayDispatchEvents.GuildCreate) {
    const { id, channels, threads } = server.parse(body);
    for (const { id: channel, last_message_id: last } of [...channels, ...threads])
      places.set(channel, BigInt(last ?? 0));
    if (missing.delete(id) && missing.size === 0) ready();
  }
}

/** Beats until the connection is over, and ends it when Discord has not answered a beat by the next one. */
async function keepAlive(session: Session, intervalMs: number): Promise<void> {
  const { clock, signal, end } = session;
  // The first one comes at a time of its own, so that not all bots beat together after an outage.
  for (let ms = intervalMs * clock.random(); ; ms = intervalMs) {
    await clock.sleep(ms, signal);
    if (signal.aborted) return;
    if (!session.isAnswered) return end(new ChannelError('network', 'Discord does not answer in time'));
    session.isAnswered = false;
    sendPacket(session, GatewayOpcodes.Heartbeat, session.sequence);
  }
}

function sendPacket({ socket, signal }: Session, op: GatewayOpcodes, d: unknown): void {
  if (!signal.aborted) socket.send(JSON.stringify({ op, d }));
}

function reasonFor(code: number): ChannelError {
  if (code === GatewayCloseCodes.AuthenticationFailed) return needsOwner('token');
  if (code === GatewayCloseCodes.DisallowedIntents) return needsOwner('intents');
  return new ChannelError('network', `Discord ended the connection (${code})`);
}
