// From Discord's messages to committed ones: once each, in order, those too that were written while nobody listened.
import type { ChannelDeps } from './channel.js';
import { storeReceived } from './connection.js';
import type { DiscordApi } from './discord-api.js';
import { toChannelError } from './discord-errors.js';
import type { DiscordEvent, DiscordGateway, Self } from './discord-gateway.js';
import { type DiscordMessage, discordMessage, inboundOf, isSpoken } from './discord-inbound.js';

/** How long a channel's name is believed. */
const NAME_KEPT_MS = 3_600_000;
/** Messages that this process knows to be committed. */
const REMEMBERED = 5_000;
/** Messages of different channels may overtake each other by some seconds, and the store knows what it has. */
const OVERLAP_MS = 60_000;
/** A first start looks back this far: who writes while it comes up gets an answer. */
const FIRST_LOOK_MS = 600_000;
const DISCORD_EPOCH_MS = 1_420_070_400_000;
const CURSOR = 'received';

/** The smallest id a message of that time (epoch ms) can have. */
const idAt = (ms: number): bigint => BigInt(Math.max(0, Math.floor(ms - DISCORD_EPOCH_MS))) << 22n;
const timeOf = (id: bigint): number => Number(id >> 22n) + DISCORD_EPOCH_MS;

/** One connection: what comes through it is committed while it lasts, and not after it. */
export interface Session {
  self: Self;
  signal: AbortSignal;
}

export function createInbox(api: DiscordApi, deps: ChannelDeps) {
  const { storage, clock } = deps;
  const committed = new Set<string>();
  const chatOf = rememberedChats(api, deps);

  const cursor = (): bigint | undefined => {
    const stored = storage.get('cursor', [CURSOR])[CURSOR];
    return stored === undefined ? undefined : BigInt(stored);
  };

  /** Throws ChannelError when the store refuses the message: everything behind it has to wait. */
  async function commit(message: DiscordMessage, { self, signal }: Session, edited: boolean): Promise<void> {
    const id = `${message.id} ${message.edited_timestamp ?? ''}`;
    if (!isSpoken(message) || committed.has(id)) return;
    const { kind, title } = await chatOf(message.channel_id);
    const chat = { address: message.channel_id, kind, title };
    signal.throwIfAborted();
    storeReceived(() => deps.onMessage(inboundOf(message, { chat, self, assistantName: deps.assistantName, edited })));
    committed.add(id);
    for (const old of committed) if (committed.size > REMEMBERED) committed.delete(old);
    const last = BigInt(message.id) > (cursor() ?? 0n) ? [{ kind: 'cursor', id: CURSOR, value: message.id }] : [];
    // Discord lists no direct chats to a bot: those we know are those we heard of.
    storage.set([...last, ...(kind === 'direct' ? knownDirect(deps, message.channel_id) : [])]);
  }

  return {
    /** Commits what a person said. Throws ChannelError when the store refuses, or when Discord cannot be asked where it was said. */
    async take({ type, body }: DiscordEvent, session: Session): Promise<void> {
      const parsed = discordMessage.safeParse(body);
      if (!parsed.success) return;
      const isEdit = type === 'edited';
      // Discord also reports that it has added the preview of a link.
      if (isEdit && !parsed.data.edited_timestamp) return;
      await commit(parsed.data, session, isEdit);
    },
    /** Commits what was said since the last message we know. */
    async catchUp(channels: ReturnType<DiscordGateway['channels']>, session: Session): Promise<void> {
      const last = cursor();
      const since = idAt(last === undefined ? clock.now() - FIRST_LOOK_MS : timeOf(last) - OVERLAP_MS);
      const spoken = channels.filter(({ lastMessageId }) => lastMessageId > since);
      const missed: DiscordMessage[] = [];
      for (const id of new Set([...spoken.map((channel) => channel.id), ...directChats(deps)]))
        missed.push(...(await readable(api.messagesAfter(id, since))));
      missed.sort((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1));
      for (const message of missed) await commit(message, session, false);
    },
  };
}

/** Channels that the bot may see but not read have nothing for us. */
const readable = (messages: Promise<DiscordMessage[]>): Promise<DiscordMessage[]> =>
  messages.catch((error: unknown) => {
    if (toChannelError(error).kind === 'permanent') return [];
    throw error;
  });

const directChats = ({ storage }: ChannelDeps): string[] =>
  (storage.get('chats', ['direct']).direct ?? '').split(' ').filter(Boolean);

/** Ids tell nothing: it is known of the direct ones that wrote. */
export const kindOf = (deps: ChannelDeps, id: string) => (directChats(deps).includes(id) ? 'direct' : undefined);

function knownDirect(deps: ChannelDeps, id: string) {
  const known = directChats(deps);
  return known.includes(id) ? [] : [{ kind: 'chats', id: 'direct', value: [...known, id].join(' ') }];
}

type Place = Awaited<ReturnType<DiscordApi['channel']>>;

/** Asks once an hour for each channel; one that Discord does not show any more must not block the messages behind it. */
function rememberedChats(api: DiscordApi, deps: ChannelDeps): (id: string) => Promise<Place> {
  const { clock } = deps;
  const known = new Map<string, { until: number; place: Promise<Place> }>();
  return (id) => {
    const before = known.get(id);
    if (before && before.until > clock.now()) return before.place;
    const place = api.channel(id).catch((cause: unknown): Place => {
      known.delete(id);
      const error = toChannelError(cause);
      if (error.kind !== 'permanent') throw error;
      return { kind: kindOf(deps, id) ?? 'group', title: `#${id}` };
    });
    known.set(id, { until: clock.now() + NAME_KEPT_MS, place });
    return place;
  };
}
