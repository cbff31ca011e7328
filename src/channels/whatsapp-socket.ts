// One WhatsApp connection after the other: opened, watched, replaced as its end demands. What a dead one still says counts for nothing.
import makeWASocket, {
  jidNormalizedUser,
  makeCacheableSignalKeyStore,
  type WAMessage,
  type WAMessageKey,
  type WASocket,
  type WAVersion,
} from '@whiskeysockets/baileys';
import { z } from 'zod';
import { atMost } from '../core/clock.js';
import { describeError } from '../core/errors.js';
import { type ChannelDeps, ChannelError, type Edit, type MessageRef, type OutboundPart } from './channel.js';
import { loadAuth, type WhatsAppAuth } from './whatsapp-auth.js';
import { decideClose } from './whatsapp-close.js';
import { createCommitter, isIgnored } from './whatsapp-commit.js';
import { type Contacts, createContacts } from './whatsapp-contacts.js';
import { createGroupCache, type GroupCache } from './whatsapp-groups.js';
import { toJid } from './whatsapp-people.js';
import { createReceiver, type Receiver } from './whatsapp-receive.js';
import { createSender, type Sender } from './whatsapp-send.js';

export interface WhatsAppSettings {
  /** Digits; asks for a pairing code instead of a QR code. */
  pairingPhone: string | undefined;
  url: string | undefined;
  version: WAVersion | undefined;
  /** The owner's own number, not one of the assistant's. */
  shared: boolean;
}

interface WhatsApp {
  deps: ChannelDeps;
  settings: WhatsAppSettings;
  sender: Sender;
  receiver: Receiver;
  groups: GroupCache;
  contacts: Contacts;
  retries: ReturnType<typeof createCache>;
  over: AbortController;
  /** The connection in use; every other one is dead. */
  sock: WASocket | undefined;
  isOpen: boolean;
  /** Stopped until a person does something. */
  isWaiting: boolean;
  /** Closes in a row. */
  failures: number;
  wasReplaced: boolean;
}

const STEADY_MS = 60_000;
/** The library waits for ever when the server refuses the upgrade with an HTTP status. */
const CONNECT_TIMEOUT_MS = 120_000;
const SEND_GRACE_MS = 3_000;
/** Messages that somebody could not read and we, or they, asked for again. */
const MAX_CACHED = 1_000;

/** Connects at once. `stop` resolves when no event can arrive any more. */
export function connectWhatsApp(deps: ChannelDeps, settings: WhatsAppSettings) {
  silenceConsole();
  const { shared } = settings;
  const over = new AbortController();
  const contacts = createContacts(deps);
  const groups = createGroupCache(deps, contacts);
  const sender = createSender(deps, {
    prefix: shared ? `*${deps.assistantName}:* ` : '',
    membersOf: groups.membersOf,
    over: over.signal,
  });
  const receiver = createReceiver(deps, { findSent: sender.find, groups, contacts, shared, over: over.signal });
  const connection: WhatsApp = {
    ...{ deps, settings, sender, receiver, groups, contacts, over, retries: createCache() },
    ...{ sock: undefined, isOpen: false, isWaiting: false, failures: 0, wasReplaced: false },
  };
  let stopping: Promise<void> | undefined;
  deps.onState({ state: 'connecting', detail: '' });
  open(connection);
  const connected = (): WASocket => {
    if (!connection.sock || !connection.isOpen) throw new ChannelError('network', 'WhatsApp is not connected');
    return connection.sock;
  };
  return {
    send: async (part: OutboundPart) => sender.send(connected(), part),
    edit: async (edit: Edit) => sender.edit(connected(), edit),
    remove: async (address: string, platformId: string) => sender.remove(connected(), address, platformId),
    react: async (address: string, message: MessageRef, emoji: string) =>
      sender.react(connected(), { address, message, emoji }),
    typing(address: string): void {
      if (!connection.isOpen) return;
      connection.sock
        ?.sendPresenceUpdate('composing', toJid(address))
        .catch(() => deps.log.debug('whatsapp typing not shown'));
    },
    link(): void {
      if (!connection.isWaiting || over.signal.aborted) return;
      connection.failures = 0;
      deps.onState({ state: 'linking', detail: 'asking WhatsApp for a code' });
      open(connection);
    },
    stop: () => {
      stopping ??= stop(connection);
      return stopping;
    },
  };
}

async function stop(connection: WhatsApp): Promise<void> {
  const { deps, sender, over } = connection;
  over.abort();
  await atMost(deps.clock, SEND_GRACE_MS, sender.idle());
  connection.isOpen = false;
  sender.disconnected();
  // What it still hands over while it ends counts: WhatsApp was told that we have it.
  await connection.sock?.end(undefined);
  connection.sock = undefined;
  deps.onState({ state: 'stopped', detail: '' });
}

function open(connection: WhatsApp): void {
  const { deps, settings, sender, receiver, groups, retries } = connection;
  connection.isWaiting = false;
  const auth = loadAuth(deps.storage);
  // Its lines hold keys and texts.
  const silent = deps.log.child({}, { level: 'silent' });
  let isBroken = false;
  const takeIn: ChannelDeps['takeIn'] = (...incoming) => {
    try {
      // What is behind a message that was not stored must not overtake it.
      if (isBroken || connection.sock !== sock) throw new Error('this connection is over');
      return deps.takeIn(...incoming);
    } catch (error) {
      isBroken = true;
      // Not confirmed, it comes again with the next connection.
      const why = `a message could not be stored: ${describeError(error)}`;
      deps.log.error({ why }, 'whatsapp message not stored');
      void sock.end(new ChannelError('retry', why));
      throw error;
    }
  };
  const commit = (message: WAMessage) => receiver.commit(sock, message);
  const committer = createCommitter({ creds: auth.state.creds, takeIn, commit });
  const sock = makeWASocket({
    auth: { creds: auth.state.creds, keys: makeCacheableSignalKeyStore(auth.state.keys, silent) },
    logger: silent,
    ...(settings.url && { waWebSocketUrl: settings.url }),
    ...(settings.version && { version: settings.version }),
    // Otherwise the owner's phone no longer rings.
    markOnlineOnConnect: false,
    syncFullHistory: false,
    generateHighQualityLinkPreview: false,
    makeSignalRepository: committer.makeSignalRepository,
    msgRetryCounterCache: retries,
    cachedGroupMetadata: async (jid) => groups.get(jid),
    getMessage: async ({ id }: WAMessageKey) => sender.find(id ?? ''),
    shouldIgnoreJid: isIgnored,
  });
  connection.sock = sock;
  committer.watch(sock);
  holdNothingBack(sock);
  watch(connection, sock, auth);
}

/** The library confirms old messages, holds them back until the last one is in, and drops them when the connection ends. */
function holdNothingBack({ ev, registerSocketEndHandler }: WASocket): void {
  ev.buffer = () => undefined;
  // It has a second way to hold back, while it synchronizes settings.
  registerSocketEndHandler(() => void ev.flush());
}

function watch(connection: WhatsApp, sock: WASocket, auth: WhatsAppAuth): void {
  const { deps, sender, receiver, groups, contacts, over } = connection;
  const steady = new AbortController();
  const answered = new AbortController();
  const on: WASocket['ev']['on'] = (event, handle) =>
    sock.ev.on(event, (data) => {
      if (connection.sock === sock) handle(data);
    });
  sender.listen(sock);
  groups.watch(sock, on);
  contacts.watch(on);
  on('creds.update', auth.saveCreds);
  on('messages.upsert', ({ messages, type }) => {
    // What people wrote while we were away is appended like our own echoes, and counts.
    const fresh = messages.filter(({ key }) => type === 'notify' || !key.fromMe);
    receiver.take(sock, fresh);
  });
  on('lid-mapping.update', ({ pn, lid }) => deps.onChatMoved(jidNormalizedUser(lid), pn.split(/[@:]/)[0] ?? pn));
  on('connection.update', ({ connection: state, qr, lastDisconnect }) => {
    if (qr || state === 'open' || state === 'close') answered.abort();
    if (over.signal.aborted) return;
    if (qr) void showLink(connection, sock, qr);
    if (state === 'open') opened(connection, sock, AbortSignal.any([steady.signal, over.signal]));
    if (state !== 'close') return;
    steady.abort();
    void closed(connection, lastDisconnect?.error);
  });
  const settled = AbortSignal.any([answered.signal, over.signal]);
  void deps.clock.sleep(CONNECT_TIMEOUT_MS, settled).then(() => {
    if (settled.aborted || connection.sock !== sock) return;
    void closed(connection, undefined);
    void sock.end(undefined);
  });
}

function opened(connection: WhatsApp, sock: WASocket, steady: AbortSignal): void {
  const { deps, receiver } = connection;
  connection.isOpen = true;
  receiver.linked();
  deps.onState({ state: 'open', detail: `+${sock.user?.id.split(/[@:]/)[0]}` });
  void deps.clock.sleep(STEADY_MS, steady).then(() => {
    if (!steady.aborted) Object.assign(connection, { failures: 0, wasReplaced: false });
  });
}

async function closed(connection: WhatsApp, error: unknown): Promise<void> {
  const { deps, sender, over } = connection;
  Object.assign(connection, { sock: undefined, isOpen: false, failures: connection.failures + 1 });
  sender.disconnected();
  const shape = z.object({ message: z.string(), output: z.object({ statusCode: z.number() }) });
  const { message = '', output } = shape.safeParse(error).data ?? {};
  const { failures, wasReplaced } = connection;
  const code = output?.statusCode;
  const next = decideClose({ code, message, failures, wasReplaced, jitter: deps.clock.random() });
  deps.log.info({ code, next: next.kind, failures }, 'whatsapp connection closed');
  if (code === 440) connection.wasReplaced = true;
  if (next.kind === 'forget') deps.storage.archive();
  connection.isWaiting = next.kind !== 'retry';
  deps.onState({ state: next.state, detail: error instanceof ChannelError ? error.message : next.detail });
  if (next.kind !== 'retry') return;
  await deps.clock.sleep(next.delayMs, over.signal);
  if (!over.signal.aborted && !connection.sock) open(connection);
}

async function showLink(connection: WhatsApp, sock: WASocket, qr: string): Promise<void> {
  const { deps, settings } = connection;
  if (settings.pairingPhone === undefined) {
    const detail = 'scan the QR code with the phone: WhatsApp → Linked devices';
    return deps.onState({ state: 'linking', detail, link: { qr } });
  }
  // One code per connection: each new one would make worthless the one that is being typed.
  if (sock.authState.creds.pairingCode) return;
  try {
    const code = await sock.requestPairingCode(settings.pairingPhone);
    if (connection.sock !== sock) return;
    const detail = `enter ${code} on the phone: WhatsApp → Linked devices → Link with phone number instead`;
    deps.onState({ state: 'linking', detail, link: { code } });
  } catch (error) {
    deps.log.warn({ error: error instanceof Error ? error.message : 'unknown' }, 'no whatsapp pairing code');
  }
}

/** A cache as Baileys wants one, kept from connection to connection; what was set longest ago goes first. */
export function createCache() {
  const values = new Map();
  return {
    get: (key: string) => values.get(key),
    set(key: string, value: unknown): void {
      values.delete(key);
      values.set(key, value);
      const [oldest] = values.keys();
      if (values.size > MAX_CACHED) values.delete(oldest);
    },
    del: (key: string) => void values.delete(key),
    flushAll: () => values.clear(),
  };
}

/** libsignal prints whole sessions with their private keys to the console, which nothing of ours uses. */
function silenceConsole(): void {
  for (const method of ['debug', 'log', 'info', 'warn', 'error', 'trace'] as const) console[method] = () => undefined;
}
