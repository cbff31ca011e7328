// A plain Baileys client with its state in memory, for holding the fake against the real library. Knows nothing about Pinch.
import {
  type AuthenticationCreds,
  type BaileysEventMap,
  type ConnectionState,
  makeWASocket,
  type SignalKeyStore,
  type UserFacingSocketConfig,
  type WAMessage,
  type WASocket,
} from '@whiskeysockets/baileys';
import { HANG_MS } from '../limits.js';
import { createWaiters } from './telegram-wait.js';
import type { FakeWhatsApp } from './whatsapp.js';
import { createMemoryKeys, silentLogger } from './whatsapp-keys.js';

export interface ClientState {
  creds: AuthenticationCreds;
  keys: SignalKeyStore;
}

export interface TestClient {
  sock: WASocket;
  state: ClientState;
  /** Every message the library showed, with the kind of upsert it came in. */
  upserts: { message: WAMessage; type: 'notify' | 'append' }[];
  updates: BaileysEventMap['messages.update'];
  /** Who joined and left groups, and their new names. */
  groupEvents: unknown[];
  /** How the connection ended; undefined while it has not. */
  ended(): ConnectionState['lastDisconnect'] | undefined;
  untilOpen(): Promise<void>;
  /** The status code the library ended with; undefined after a plain `end`. */
  untilClosed(timeoutMs?: number): Promise<number | undefined>;
  /** Every status and refusal code that the library told of a message, in an update or in the message itself. */
  fates(id: string): unknown[];
  /** The first message with that id that was read. */
  untilMessage(id: string): Promise<WAMessage>;
  untilQr(): Promise<string>;
  /** Looks again after every event. */
  until<T>(look: () => T | undefined, what: string, timeoutMs?: number): Promise<T>;
  end(): Promise<void>;
}

/** The status code in the error of a closed connection. */
function codeOf(error: Error | undefined): number | undefined {
  if (!error || !('output' in error)) return undefined;
  const { output } = error;
  if (typeof output !== 'object' || output === null || !('statusCode' in output)) return undefined;
  return typeof output.statusCode === 'number' ? output.statusCode : undefined;
}

/** libsignal prints sessions, private keys included, to the console. Gives back the way to hear it again. */
export function muteConsole(): () => void {
  const { info, warn, error } = console;
  const nothing = () => undefined;
  Object.assign(console, { info: nothing, warn: nothing, error: nothing });
  return () => void Object.assign(console, { info, warn, error });
}

/** State of a device that is linked already. */
export const linkedState = (fake: FakeWhatsApp): ClientState => ({
  creds: fake.linkedCreds(),
  keys: createMemoryKeys(),
});

type Seen = Pick<TestClient, 'upserts' | 'updates' | 'groupEvents'> & {
  open: boolean;
  closed: boolean;
  last: ConnectionState['lastDisconnect'] | undefined;
  qr: string | undefined;
};

function record(seen: Seen, events: Partial<BaileysEventMap>): void {
  const { connection, lastDisconnect, qr } = events['connection.update'] ?? {};
  if (connection === 'open') seen.open = true;
  if (connection === 'close') [seen.closed, seen.last] = [true, lastDisconnect];
  if (qr) seen.qr = qr;
  const { messages = [], type = 'notify' } = events['messages.upsert'] ?? {};
  for (const message of messages) seen.upserts.push({ message, type });
  seen.updates.push(...(events['messages.update'] ?? []));
  const moved = events['group-participants.update'];
  if (moved) seen.groupEvents.push([moved.action, ...moved.participants.map((one) => one.id)]);
  seen.groupEvents.push(...(events['groups.update'] ?? []).map((one) => one.subject));
}

/** Connects; `end` it at the end of the test. */
export function connectClient(
  fake: FakeWhatsApp,
  state: ClientState,
  config: Partial<UserFacingSocketConfig> = {},
): TestClient {
  const waiters = createWaiters();
  const lists = { upserts: [], updates: [], groupEvents: [] };
  const seen: Seen = { ...lists, open: false, closed: false, last: undefined, qr: undefined };
  const sock = makeWASocket({
    auth: state,
    waWebSocketUrl: fake.url,
    logger: silentLogger,
    retryRequestDelayMs: 0,
    markOnlineOnConnect: false,
    ...config,
  });
  sock.ev.process((events) => {
    Object.assign(state.creds, events['creds.update']);
    record(seen, events);
    waiters.notify();
  });
  const until = <T>(look: () => T | undefined, what: string, timeoutMs = HANG_MS) =>
    waiters.until(look, timeoutMs, () => `${what}; so far ${seen.upserts.length} messages, open ${seen.open}`);
  const wasRead = ({ message, key, messageStubType }: WAMessage, id: string) =>
    key.id === id && message && !messageStubType;
  return {
    sock,
    state,
    upserts: seen.upserts,
    updates: seen.updates,
    groupEvents: seen.groupEvents,
    ended: () => seen.last,
    fates: (id) =>
      [...seen.upserts.map(({ message }) => ({ key: message.key, update: message })), ...seen.updates]
        .filter(({ key }) => key.id === id)
        .flatMap(({ update }) => [update.status, ...(update.messageStubParameters ?? [])]),
    until,
    async untilOpen() {
      await until(() => seen.open || undefined, 'an open connection');
      await fake.untilLogin(fake.logins);
    },
    async untilClosed(timeoutMs) {
      await until(() => seen.closed || undefined, 'the end of the connection', timeoutMs);
      return codeOf(seen.last?.error);
    },
    untilMessage: (id) =>
      until(() => seen.upserts.find(({ message }) => wasRead(message, id))?.message, `message ${id}`),
    untilQr: () => until(() => seen.qr, 'a QR code'),
    end: () => sock.end(undefined),
  };
}
