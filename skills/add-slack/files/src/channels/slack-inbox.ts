// From Slack's events to committed messages: once each, in order, those too that were written while nobody listened.
import type { Clock } from '../core/clock.js';
import type { ChannelDeps, InboundMessage } from './channel.js';
import { storeReceived } from './connection.js';
import type { Conversation, Self, SlackApi } from './slack-api.js';
import { toChannelError } from './slack-errors.js';
import {
  mediaOf,
  mentionedIn,
  plainText,
  readEvent,
  type SlackMessage,
  type Update,
  updateOf,
  withoutAddress,
} from './slack-inbound.js';
import type { SlackEvent } from './slack-socket.js';

/** How long the name of a person or a channel is believed. */
const NAME_KEPT_MS = 3_600_000;
/** Messages that this process knows to be committed; Slack repeats an event for an hour at most. */
const REMEMBERED = 5_000;
/** Slack's events may overtake each other by some seconds, and the store knows what it has. */
const OVERLAP_S = 60;
/** A first start looks back this far: who writes while it comes up gets an answer. */
const FIRST_LOOK_S = 600;
/** How old the first message of a thread may be in which somebody answered while nobody listened. */
const THREAD_AGE_S = 24 * 3_600;

type MessageUpdate = Extract<Update, { kind: 'message' }>;

/** One connection: what comes through it is committed while it lasts, and not after it. */
export interface Session {
  self: Self;
  signal: AbortSignal;
}

export function createInbox(api: SlackApi, deps: ChannelDeps) {
  const committed = new Set<string>();
  const directory = createDirectory(api, deps);

  /** Throws ChannelError when the store refuses the message: everything behind it has to wait. */
  async function commit(update: MessageUpdate, { self, signal }: Session): Promise<void> {
    const { channel, message } = update;
    const id = `${channel} ${message.ts} ${message.edited?.ts ?? ''}`;
    if (committed.has(id) || message.user === self.userId) return;
    const inbound = await describe(directory, update, { self, assistantName: deps.assistantName });
    signal.throwIfAborted();
    storeReceived(() => deps.onMessage(inbound));
    committed.add(id);
    for (const old of committed) if (committed.size > REMEMBERED) committed.delete(old);
    keepCursor(deps, Number(message.ts));
  }

  return {
    /** Commits, then acknowledges. Throws ChannelError when the store refuses, or when Slack cannot be asked who somebody is. */
    async take({ type, body, acknowledge }: SlackEvent, session: Session): Promise<void> {
      const update = readEvent(type, body);
      if (update.kind === 'moved') deps.onChatMoved(update.from, update.to);
      if (update.kind === 'message') await commit(update, session);
      await acknowledge();
    },
    /** Commits what is in the history since the last message we know. */
    async catchUp(session: Session): Promise<void> {
      const since = cursorOf(deps) - OVERLAP_S;
      const missed: MessageUpdate[] = [];
      const patient = patientApi(api, deps, session.signal);
      for (const { id } of await patient.conversations())
        for (const message of await messagesSince(patient, id, since)) {
          const update = updateOf(id, message, false);
          if (update.kind === 'message') missed.push(update);
        }
      missed.sort((a, b) => Number(a.message.ts) - Number(b.message.ts));
      for (const update of missed) await commit(update, session);
    },
  };
}

/** Epoch s by Slack's clock. */
function cursorOf({ storage, clock }: ChannelDeps): number {
  const stored = storage.get('cursor', ['received']).received;
  return stored === undefined ? clock.now() / 1000 - FIRST_LOOK_S : Number(stored);
}

function keepCursor(deps: ChannelDeps, ts: number): void {
  const stored = deps.storage.get('cursor', ['received']).received;
  if (stored === undefined || ts > Number(stored))
    deps.storage.set([{ kind: 'cursor', id: 'received', value: ts.toFixed(6) }]);
}

type Reading = Pick<SlackApi, 'conversations' | 'history' | 'replies'>;

/** Slack lets us read some fifty conversations a minute: with more of them, beginning again would never come to an end. */
function patientApi(api: SlackApi, { clock }: ChannelDeps, signal: AbortSignal): Reading {
  const patiently = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      signal.throwIfAborted();
      try {
        return await ask();
      } catch (error) {
        const { retryAfterMs } = toChannelError(error);
        if (retryAfterMs === undefined) throw error;
        await clock.sleep(retryAfterMs, signal);
      }
    }
  };
  return {
    conversations: () => patiently(api.conversations),
    history: (channel, oldest) => patiently(() => api.history(channel, oldest)),
    replies: (channel, ts, oldest) => patiently(() => api.replies(channel, ts, oldest)),
  };
}

/** Messages of a conversation and of its threads; a thread shows in the history by its first message only. */
async function messagesSince(api: Reading, channel: string, since: number): Promise<SlackMessage[]> {
  const found = await api.history(channel, since - THREAD_AGE_S);
  for (const { ts, latest_reply } of [...found])
    if (latest_reply !== undefined && Number(latest_reply) >= since)
      found.push(...(await api.replies(channel, ts, since)));
  const byId = new Map(found.map((message) => [message.ts, message]));
  return [...byId.values()].filter(({ ts }) => Number(ts) >= since);
}

async function describe(
  directory: Directory,
  { channel, message, edited }: MessageUpdate,
  { self, assistantName }: { self: Self; assistantName: string },
): Promise<InboundMessage> {
  const { user = '', ts, thread_ts: thread } = message;
  const chat = await directory.conversation(channel);
  const sender = await directory.person(user);
  const first = thread === undefined || thread === ts ? undefined : await directory.firstOfThread(channel, thread);
  const us = { userId: self.userId, assistantName };
  const names = new Map<string, string>();
  for (const id of mentionedIn(`${message.text} ${first?.text ?? ''}`))
    if (id !== us.userId && !names.has(id)) names.set(id, (await directory.person(id)).name);
  const title = chat.kind === 'direct' ? sender.name : `#${chat.name ?? channel}`;
  return {
    chat: { address: channel, kind: chat.kind, title },
    sender: { address: user, name: sender.name },
    platformId: ts,
    text: plainText(withoutAddress(message.text, self.userId), names, us),
    sentAt: Math.round(Number(message.edited?.ts ?? ts) * 1000),
    // What somebody shares is not in the text: that is the sharer's own.
    forwarded: false,
    addressesAssistant: mentionedIn(message.text).includes(self.userId) || first?.user === self.userId,
    ...(first && {
      replyTo: {
        platformId: first.ts,
        sender: first.user === self.userId ? assistantName : (await directory.person(first.user ?? '')).name,
        text: plainText(first.text, names, us),
      },
    }),
    edited,
    media: mediaOf(message),
  };
}

/** Ids of direct conversations begin with D; those of group conversations and channels with G or C. */
export const kindOf = (id: string): Conversation['kind'] => (id.startsWith('D') ? 'direct' : 'group');

type Directory = ReturnType<typeof createDirectory>;

/** Who people are, what channels are called and how threads began. Throws ChannelError only when Slack cannot be asked. */
function createDirectory(api: SlackApi, { clock }: ChannelDeps) {
  const conversation = (id: string): Conversation => ({ id, kind: kindOf(id) });
  const person: Awaited<ReturnType<SlackApi['person']>> = { name: 'Someone' };
  const threads = remembered<SlackMessage | undefined>(clock, {
    ask: (id) => api.firstOfThread(...splitId(id)),
    otherwise: () => undefined,
  });
  return {
    conversation: remembered(clock, { ask: api.conversation, otherwise: conversation }),
    person: remembered(clock, { ask: api.person, otherwise: () => person }),
    firstOfThread: (channel: string, ts: string) => threads(`${channel} ${ts}`),
  };
}

function splitId(id: string): [string, string] {
  const [channel = '', ts = ''] = id.split(' ');
  return [channel, ts];
}

/** Asks once an hour for each id; what Slack refuses to tell must not block the messages behind it. */
function remembered<T>(clock: Clock, { ask, otherwise }: { ask(id: string): Promise<T>; otherwise(id: string): T }) {
  const known = new Map<string, { until: number; value: Promise<T> }>();
  return (id: string): Promise<T> => {
    const before = known.get(id);
    if (before && before.until > clock.now()) return before.value;
    const value = ask(id).catch((cause: unknown) => {
      known.delete(id);
      const error = toChannelError(cause);
      if (error.kind !== 'permanent') throw error;
      return otherwise(id);
    });
    known.set(id, { until: clock.now() + NAME_KEPT_MS, value });
    return value;
  };
}
