// WhatsApp on 127.0.0.1, as the real Baileys sees it: Noise, login, pairing, Signal, people who write, faults on order.
// Knows nothing about Pinch. The way of a stanza starts in whatsapp-serve.ts and whatsapp-session.ts.
import type { AuthenticationCreds } from '@whiskeysockets/baileys';
import { HANG_MS } from '../limits.js';
import { createLinkedCreds } from './whatsapp-device.js';
import type { FaultSwitches } from './whatsapp-faults.js';
import { type FakeMedia, startMedia } from './whatsapp-media.js';
import type { BinaryNode } from './whatsapp-node.js';
import { enterCode, scanQr } from './whatsapp-pair.js';
import { createPeople, type People } from './whatsapp-people.js';
import { serveWhatsApp } from './whatsapp-serve.js';
import { endWithStreamError } from './whatsapp-session.js';
import {
  type Account,
  activeSession,
  type ClientReceipt,
  createWorld,
  type Delivery,
  type Presence,
  type World,
} from './whatsapp-state.js';

export type { AckFault } from './whatsapp-faults.js';
export { createMemoryKeys, silentLogger } from './whatsapp-keys.js';
export type { FakeMedia, MediaFields, MediaKind, Upload } from './whatsapp-media.js';
export type { BinaryNode } from './whatsapp-node.js';
export type { Group, Peer, Said, SayOptions } from './whatsapp-people.js';
export type { Account, Addressing, ClientReceipt, Delivery, Presence } from './whatsapp-state.js';

export interface FakeWhatsAppOptions {
  /** Digits of the account's number. */
  phone?: string;
  /** Digits of the account's LID. */
  lid?: string;
  /** The account's push name. */
  name?: string;
  /** 0 takes a free one. */
  port?: number;
}

export interface Faults extends FaultSwitches {
  /** Ends the session: 515 restart, 503; without a code 500; with a conflict `replaced` (440) or, 401, `device_removed`. */
  streamError(code?: number, conflict?: 'replaced' | 'device_removed'): void;
  /** The server says goodbye (`<xmlstreamend>`). */
  endStream(): void;
  /** Cuts every connection. */
  drop(): void;
  /** True: nobody is listening any more and connections are cut; false: listening again on the same port. */
  refuse(isOn: boolean): Promise<void>;
}

export interface FakeWhatsApp extends People {
  /** For `waWebSocketUrl`. */
  url: string;
  account: Account;
  /** Whether a device is linked to the account. */
  linked(): boolean;
  /** Open connections. */
  sockets(): number;
  /** Successful logins so far. */
  readonly logins: number;
  /** Requests for a connection so far, refused ones too. */
  readonly knocks: number;
  /** The version each client gave in its handshake, oldest first. */
  clientVersions: string[];
  /** What an already linked device has stored; an earlier linked device is forgotten. */
  linkedCreds(): AuthenticationCreds;
  /** The owner's phone scans a QR code, as the library gives it. Resolves once the device is linked. */
  scan(qr: string): Promise<void>;
  /** The owner types a pairing code. Resolves once the device is linked; rejects when the code is wrong. */
  enterCode(code: string): Promise<void>;
  /** What somebody decrypted, each message once, in order. */
  sent: Delivery[];
  /** The owner's phone: it gets a copy of what the client sends. */
  ownPhone: { received: Delivery[]; unreadable: string[] };
  /** What the client confirmed: delivered, inactive, read, sender, retry. */
  receipts: ClientReceipt[];
  /** available, unavailable, composing, paused. */
  presences: Presence[];
  /** Every stanza from the client, in order. */
  stanzas: BinaryNode[];
  /** Group metadata queries so far. */
  readonly groupQueries: number;
  /** Stanzas for the client that it has not confirmed yet. */
  unconfirmed(): number;
  faults: Faults;
  media: FakeMedia;
  /** Resolves once `look` gives true; it looks again whenever something happens. Rejects after `timeoutMs` (`HANG_MS`). */
  waitFor(look: () => boolean, timeoutMs?: number): Promise<void>;
  /** Resolves once a client is logged in and ready for messages, for the `count`th time if given. */
  untilLogin(count?: number, timeoutMs?: number): Promise<void>;
  /** Resolves with `sent` once it holds so many messages. */
  untilSent(count: number, timeoutMs?: number): Promise<Delivery[]>;
  /** Resolves with the first message, past or future, that fits. */
  untilSent(fits: (sent: Delivery) => boolean, timeoutMs?: number): Promise<Delivery>;
  /** Resolves with the client's receipt for that message; without a type any but `retry`. */
  untilReceipt(id: string, type?: string, timeoutMs?: number): Promise<ClientReceipt>;
  /** Resolves once the client asked for that message again. */
  untilRetry(id: string, timeoutMs?: number): Promise<ClientReceipt>;
  /** Resolves once the client confirmed everything sent so far. */
  untilConfirmed(timeoutMs?: number): Promise<void>;
  /** Ends everything. Throws if the fake itself failed. */
  close(): Promise<void>;
}

type Waits = Pick<
  FakeWhatsApp,
  'waitFor' | 'untilLogin' | 'untilSent' | 'untilReceipt' | 'untilRetry' | 'untilConfirmed'
>;

function createWaits(world: World): Waits {
  const describe = () =>
    `${world.sessions.size} sessions, ${world.logins} logins, ${world.sent.length} sent, ${world.mail.length} unconfirmed` +
    `, last stanza <${world.stanzas.at(-1)?.tag}>${world.problems.length ? `, problem: ${String(world.problems[0])}` : ''}`;
  const until = <T>(look: () => T | undefined, what: string, timeoutMs = HANG_MS) =>
    world.waiters.until(look, timeoutMs, () => `${what}; so far ${describe()}`);
  const waitFor = async (look: () => boolean, timeoutMs?: number, what = 'a condition') => {
    await until(() => look() || undefined, what, timeoutMs);
  };

  function untilSent(count: number, timeoutMs?: number): Promise<Delivery[]>;
  function untilSent(fits: (sent: Delivery) => boolean, timeoutMs?: number): Promise<Delivery>;
  function untilSent(
    wanted: number | ((sent: Delivery) => boolean),
    timeoutMs?: number,
  ): Promise<Delivery[] | Delivery> {
    if (typeof wanted === 'function') return until(() => world.sent.find(wanted), 'a fitting message', timeoutMs);
    return until(() => (world.sent.length >= wanted ? world.sent : undefined), `${wanted} messages`, timeoutMs);
  }

  const untilReceipt = (id: string, type?: string, timeoutMs?: number) => {
    const fits = (receipt: ClientReceipt) =>
      receipt.id === id && (type === undefined ? receipt.type !== 'retry' : receipt.type === type);
    return until(() => world.receipts.find(fits), `a receipt (${type ?? 'any'}) for ${id}`, timeoutMs);
  };
  return {
    waitFor: (look, timeoutMs) => waitFor(look, timeoutMs),
    untilLogin: (count = 1, timeoutMs) =>
      waitFor(() => world.logins >= count && activeSession(world) !== undefined, timeoutMs, `login ${count}`),
    untilSent,
    untilReceipt,
    untilRetry: (id, timeoutMs) => untilReceipt(id, 'retry', timeoutMs),
    untilConfirmed: (timeoutMs) => waitFor(() => world.mail.length === 0, timeoutMs, 'every stanza to be confirmed'),
  };
}

/** Starts the fake; close it at the end of the test. */
export async function startFakeWhatsApp(options: FakeWhatsAppOptions = {}): Promise<FakeWhatsApp> {
  const world = createWorld(options);
  const media = await startMedia();
  const listener = await serveWhatsApp(world, { port: options.port ?? 0, mediaHost: media.host });
  const faults: Faults = {
    ...world.switches,
    streamError(code, conflict) {
      if (conflict === 'device_removed') world.device = undefined;
      for (const session of world.sessions) endWithStreamError(session, code, conflict);
    },
    endStream() {
      for (const { link } of world.sessions) link.send({ tag: 'xmlstreamend', attrs: {} });
    },
    drop: listener.cutAll,
    refuse: listener.refuse,
  };
  return {
    ...createPeople(world),
    ...createWaits(world),
    url: `ws://127.0.0.1:${listener.port}`,
    account: world.account,
    linked: () => world.device !== undefined,
    sockets: listener.sockets,
    get logins() {
      return world.logins;
    },
    get knocks() {
      return world.knocks;
    },
    clientVersions: world.clientVersions,
    linkedCreds: () => createLinkedCreds(world),
    scan: (qr) => scanQr(world, qr),
    enterCode: (code) => enterCode(world, code),
    sent: world.sent,
    ownPhone: world.owner,
    receipts: world.receipts,
    presences: world.presences,
    stanzas: world.stanzas,
    get groupQueries() {
      return world.groupQueries;
    },
    unconfirmed: () => world.mail.length,
    faults,
    media,
    async close() {
      await listener.close();
      await media.close();
      for (const person of [world.owner, ...world.people]) person.signal.close();
      if (world.problems.length) throw world.problems[0];
    },
  };
}
