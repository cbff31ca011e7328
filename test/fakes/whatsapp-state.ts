// Everything the fake remembers: the account and its linked device, people and groups, what was said and what arrived.
// Knows nothing about the network.
import { randomBytes } from 'node:crypto';
import type { proto } from '@whiskeysockets/baileys';
import { createWaiters, type Waiters } from './telegram-wait.js';
import { createFaults, type FaultPlan, type FaultSwitches } from './whatsapp-faults.js';
import type { Link } from './whatsapp-link.js';
import { type BinaryNode, SERVER, userOf } from './whatsapp-node.js';
import type { Pairing } from './whatsapp-pair.js';
import type { Utterance } from './whatsapp-say.js';
import { createSignalPeer, type DeviceKeys, type SignalPeer } from './whatsapp-signal.js';

export type Addressing = 'lid' | 'pn';

export interface Account {
  phone: string;
  /** `<phone>@s.whatsapp.net`. */
  jid: string;
  /** `<digits>@lid`. */
  lid: string;
  name: string;
  /** The number of the linked device; a new link gets a new one. */
  device: number;
}

export interface LinkedDevice extends DeviceKeys {
  noiseKey: Buffer;
  /** Just linked: the phone still has to send it the chats of the past. */
  awaitsHistory: boolean;
}

/** A message somebody decrypted. */
export interface Delivery {
  id: string;
  /** The chat: a person's jid as the client addressed it, or a group. */
  to: string;
  from: string;
  /** Text or caption, '' without. */
  text: string;
  message: proto.IMessage;
  encrypted: true;
  /** How often the client sent it: 2 after a resend. A receiver shows it once. */
  stanzas: number;
}

/** Somebody with a phone: a contact, or the owner of the account. */
export interface Person {
  phone: string;
  jid: string;
  lid: string;
  name: string;
  /** How the server names them in one-to-one chats. */
  addressing: Addressing;
  signal: SignalPeer;
  received: Delivery[];
  /** Ids they could not decrypt, once per attempt. */
  unreadable: string[];
}

export interface GroupState {
  id: string;
  subject: string;
  addressing: Addressing;
  members: Person[];
  /** False once the account was removed. */
  hasAccount: boolean;
  createdAt: number;
}

export interface ClientReceipt {
  id: string;
  /** The chat. */
  to: string;
  participant: string | undefined;
  /** 'delivered' unless the receipt names another: inactive, read, sender, retry, … */
  type: string;
}

export interface Presence {
  /** available, unavailable, composing, paused. */
  state: string;
  to: string | undefined;
}

/** One connection that got through the handshake. */
export interface Session {
  link: Link;
  stage: 'pairing' | 'login' | 'active';
  /** Of a client that wants to be linked. */
  pairing: Pairing | undefined;
  noiseKey: Buffer;
}

export interface World {
  account: Account;
  /** The owner's phone. */
  owner: Person;
  device: LinkedDevice | undefined;
  people: Person[];
  groups: GroupState[];
  sessions: Set<Session>;
  /** Stanzas the client has not confirmed yet: they come again at the next login. */
  mail: BinaryNode[];
  /** Encrypted messages by id, for a client that could not read them. */
  said: Map<string, { person: Person; said: Utterance; attempts: number }>;
  sent: Delivery[];
  receipts: ClientReceipt[];
  presences: Presence[];
  /** Every stanza from the client, in order. */
  stanzas: BinaryNode[];
  logins: number;
  /** What each connection said it is, oldest first. */
  clientVersions: string[];
  /** Requests for a connection so far, refused ones too. */
  knocks: number;
  groupQueries: number;
  switches: FaultSwitches;
  plan: FaultPlan;
  waiters: Waiters;
  /** Where the fake itself failed; `close` throws the first. */
  problems: unknown[];
}

export function createPerson(who: { phone: string; lid: string; name: string; addressing?: Addressing }): Person {
  return {
    phone: who.phone,
    jid: `${who.phone}@${SERVER}`,
    lid: `${userOf(who.lid)}@lid`,
    name: who.name,
    addressing: who.addressing ?? 'lid',
    signal: createSignalPeer(),
    received: [],
    unreadable: [],
  };
}

export function createWorld(options: { phone?: string; lid?: string; name?: string }): World {
  const { phone = '491700000001', lid = '100000000000001', name = 'Pinch' } = options;
  const owner = createPerson({ phone, lid, name });
  const { switches, plan } = createFaults();
  return {
    account: { phone, jid: owner.jid, lid: owner.lid, name, device: 0 },
    owner,
    device: undefined,
    people: [],
    groups: [],
    sessions: new Set(),
    mail: [],
    said: new Map(),
    sent: [],
    receipts: [],
    presences: [],
    stanzas: [],
    logins: 0,
    clientVersions: [],
    knocks: 0,
    groupQueries: 0,
    switches,
    plan,
    waiters: createWaiters(),
    problems: [],
  };
}

/** Whom a jid names, by phone number or LID; the owner too. */
export function personAt(world: World, jid: string): Person | undefined {
  const [user, isLid] = [userOf(jid), jid.endsWith('@lid')];
  return [world.owner, ...world.people].find((person) => userOf(isLid ? person.lid : person.jid) === user);
}

/** `1000:7@lid` and the like: the linked device under either of the account's names. */
export function deviceJid({ account }: World, addressing: Addressing, device = account.device): string {
  const [user, server] = addressing === 'lid' ? [userOf(account.lid), 'lid'] : [account.phone, SERVER];
  return `${user}:${device}@${server}`;
}

/** The session that gets messages: logged in and ready. */
export const activeSession = (world: World): Session | undefined =>
  [...world.sessions].find((session) => session.stage === 'active');

/** An id as phones make them. */
export const newMessageId = (): string => `3A${randomBytes(9).toString('hex').toUpperCase()}`;
