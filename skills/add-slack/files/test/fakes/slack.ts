// Slack on 127.0.0.1: Socket Mode and the part of the Web API that a bot uses, for the real @slack/socket-mode and @slack/web-api.
// What people do is here; HTTP and sockets are in slack-serve.ts, the methods in slack-methods.ts.
import { randomUUID } from 'node:crypto';
import { HANG_MS } from '../limits.js';
import { callMethod, fileBytes, takeUpload } from './slack-methods.js';
import { type SlackServer, serveSlack } from './slack-serve.js';
import { createWaiters } from './telegram-wait.js';

export interface FakeUser {
  id: string;
  name: string;
  real_name: string;
}

export interface FakeConversation {
  id: string;
  kind: 'im' | 'mpim' | 'channel' | 'group';
  name: string;
  /** The other person of an `im`. */
  user?: string;
  /** Whether the bot is in it. */
  joined: boolean;
}

export interface FakeFile {
  id: string;
  name: string;
  mimetype: string;
  bytes: Buffer;
  /** Where it says it can be downloaded; Slack's own host by default. */
  url?: string;
}

export interface FakeMessage {
  channel: string;
  ts: string;
  user?: string;
  bot_id?: string;
  subtype?: string;
  text: string;
  thread_ts?: string;
  edited?: { user: string; ts: string };
  files?: string[];
  metadata?: unknown;
}

export interface Envelope {
  id: string;
  type: string;
  payload: unknown;
  attempt: number;
}

/** What the next call of a method meets. */
export type Fault =
  | { error: string; needed?: string }
  | { status: number; retryAfter?: number; body?: string }
  /** `after`: performed, and the answer is lost. */
  | { cut: 'before' | 'after' }
  | { hang: true };

export interface World {
  botToken: string;
  appToken: string;
  self: { userId: string; botId: string; name: string; team: string };
  users: Map<string, FakeUser>;
  conversations: Map<string, FakeConversation>;
  files: Map<string, FakeFile>;
  messages: FakeMessage[];
  /** Methods that were called, in order, refused ones too. */
  requests: string[];
  faults: Map<string, Fault[]>;
  /** Events sent and not yet acknowledged, oldest first. */
  held: Envelope[];
  nextTs(): string;
}

export type FakeSlack = Awaited<ReturnType<typeof startFakeSlack>>;

type Words = string | { text?: string; thread_ts?: string; files?: FakeFile[]; subtype?: string; bot_id?: string };

export async function startFakeSlack() {
  const world = createWorld();
  const waiters = createWaiters();
  const server: SlackServer = await serveSlack(world, {
    call: (method, call) => {
      waiters.notify();
      return callMethod(world, method, call);
    },
    acknowledged: waiters.notify,
    upload: takeUpload,
    file: fileBytes,
  });

  const emit = (event: Record<string, unknown>): void => {
    const payload = { type: 'event_callback', team_id: 'T1', api_app_id: 'A1', event_id: `Ev${randomUUID()}`, event };
    server.deliver({ id: randomUUID(), type: 'events_api', payload, attempt: 0 });
  };
  const eventOf = (message: FakeMessage) => {
    const kind = world.conversations.get(message.channel)?.kind;
    const files = message.files?.map((id) => describeFile(world, id));
    const { metadata: _unseen, ...shown } = message;
    return { type: 'message', channel_type: kind, event_ts: message.ts, team: 'T1', ...shown, ...(files && { files }) };
  };

  return {
    url: `http://127.0.0.1:${server.port}/api`,
    port: server.port,
    ...world,
    user(id: string, name: string): FakeUser {
      const user = { id, name: name.toLowerCase(), real_name: name };
      world.users.set(id, user);
      return user;
    },
    conversation(conversation: Omit<FakeConversation, 'joined'> & { joined?: boolean }): FakeConversation {
      const whole = { joined: true, ...conversation };
      world.conversations.set(whole.id, whole);
      return whole;
    },
    file(file: FakeFile): FakeFile {
      world.files.set(file.id, file);
      return file;
    },
    /** A person writes; the message's ts. */
    says(conversation: FakeConversation, user: FakeUser, words: Words): string {
      const { files, ...rest } = typeof words === 'string' ? { text: words } : words;
      for (const file of files ?? []) world.files.set(file.id, file);
      const message: FakeMessage = {
        channel: conversation.id,
        ts: world.nextTs(),
        user: user.id,
        text: '',
        ...rest,
        ...(files && { files: files.map(({ id }) => id), subtype: 'file_share' }),
      };
      world.messages.push(message);
      emit(eventOf(message));
      return message.ts;
    },
    edits(ts: string, text: string): void {
      const message = world.messages.find((one) => one.ts === ts);
      if (!message) throw new Error(`nobody wrote ${ts}`);
      const previous = eventOf(message);
      message.text = text;
      message.edited = { user: message.user ?? '', ts: world.nextTs() };
      const event = { type: 'message', subtype: 'message_changed', hidden: true, channel: message.channel };
      emit({ ...event, ts: message.edited.ts, message: eventOf(message), previous_message: previous });
    },
    /** Any other event. */
    emit,
    /** What the assistant posted, in order. */
    sent: () => world.messages.filter(({ bot_id: bot }) => bot === world.self.botId),
    unacknowledged: () => world.held.length,
    /** Sends again what nobody acknowledged, as Slack does after three seconds, a minute and five minutes. */
    repeat: server.repeat,
    fault(method: string, ...faults: Fault[]): void {
      world.faults.set(method, [...(world.faults.get(method) ?? []), ...faults]);
    },
    untilAcknowledged: (): Promise<true> =>
      waiters.until(
        () => world.held.length === 0 || undefined,
        HANG_MS,
        () => `${world.held.length} held events`,
      ),
    untilCalled: (method: string): Promise<true> =>
      waiters.until(
        () => world.requests.includes(method) || undefined,
        HANG_MS,
        () => `${method}; ${world.requests}`,
      ),
    offline: server.offline,
    /** Cuts the sockets at once. */
    cut: server.cut,
    /** Slack recycles a connection: it says so and waits for the client to go. */
    recycle: server.recycle,
    close: server.close,
  };
}

function createWorld(): World {
  let last = 0;
  return {
    botToken: 'xoxb-1111111111-very-secret-bot-token',
    appToken: 'xapp-1-A1-very-secret-app-token',
    self: { userId: 'UBOT', botId: 'BBOT', name: 'pinch', team: 'Acme' },
    users: new Map(),
    conversations: new Map(),
    files: new Map(),
    messages: [],
    requests: [],
    faults: new Map(),
    held: [],
    nextTs() {
      last = Math.max(Date.now() * 1000, last + 1);
      return `${Math.floor(last / 1_000_000)}.${String(last % 1_000_000).padStart(6, '0')}`;
    },
  };
}

export function describeFile({ files }: World, id: string): Record<string, unknown> {
  const file = files.get(id);
  return file
    ? { id, name: file.name, mimetype: file.mimetype, size: file.bytes.length, mode: 'hosted' }
    : { id, mode: 'tombstone' };
}

/** What a person reads of the text of a message: entities and links resolved, marks left as they are. */
export function plainSlack(text: string): string {
  const links = text.replace(/<([^<>|]*)\|([^<>]*)>/g, '$2').replace(/<([^<>|]*)>/g, '$1');
  return links.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
