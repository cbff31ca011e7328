// People who write to the account and groups they share with it, as tests use them.
import { proto } from '@whiskeysockets/baileys';
import { memberAttrs, postGroupEvent } from './whatsapp-groups.js';
import { type BinaryNode, el, nowSeconds, userOf } from './whatsapp-node.js';
import { sendReceipt, sendRetry } from './whatsapp-receipts.js';
import { copyFromOwner, say, type Utterance } from './whatsapp-say.js';
import {
  type Addressing,
  createPerson,
  type Delivery,
  type GroupState,
  newMessageId,
  type Person,
  type World,
} from './whatsapp-state.js';

const { MEDIA_ALBUM } = proto.MessageAssociation.AssociationType;
const { MESSAGE_EDIT } = proto.Message.ProtocolMessage.Type;

/** What somebody writes: text, or a whole message. */
export type Said = string | { message: proto.IMessage };

export interface SayOptions {
  /** A group; without it the account itself. */
  to?: Group;
  id?: string;
  /** As `<enc>` through a Signal session; default false: `<plaintext>`, which costs no cryptography. */
  encrypted?: boolean;
  /** Encrypted, and the first copy is damaged; the client asks again and gets a good one. */
  broken?: boolean;
  /** Not before the next login. Without a client everything waits for it anyway. */
  offline?: boolean;
  /** Who is mentioned; 'me' is the account. The text should hold `@` and the digits, see `mention`. */
  mentions?: (Peer | 'me')[];
  /** An answer to this message; `by` is who wrote it, 'me' the account. */
  replyTo?: { id: string; by: Peer | 'me'; text?: string };
  /** Epoch seconds; now if left out. */
  at?: number;
  /** One-to-one only: the name the server uses for the sender. */
  as?: Addressing;
}

export interface AlbumOptions extends SayOptions {
  announced?: number;
  /** Which of the parts are sent now; all if left out. The message that announces them goes before the first. */
  only?: number[];
}

export interface Peer {
  readonly phone: string;
  /** `<phone>@s.whatsapp.net`. */
  readonly jid: string;
  /** `<digits>@lid`. */
  readonly lid: string;
  readonly name: string;
  /** What this person decrypted, each message once. */
  readonly received: Delivery[];
  /** Ids that could not be decrypted, once per attempt; each was asked for again. */
  readonly unreadable: string[];
  says(what: Said, options?: SayOptions): Promise<{ id: string }>;
  /**
   * Pictures chosen together: first a message that says how many, then each with the name of that one, in a wrapper as from newer programs.
   * `parts` are messages with media (`media.offer`); `announced` where another number was promised.
   */
  sendsAlbum(parts: proto.IMessage[], options?: AlbumOptions): Promise<{ id: string; parts: string[] }>;
  /** A new version of the peer's own message: its text, or with `of` the caption of a picture, which then says not where it lies. */
  edits(id: string, text: string, options?: SayOptions & { of?: 'text' | 'caption' }): Promise<{ id: string }>;
  /** An emoji on a message; '' takes it back. */
  reacts(to: { id: string; by: Peer | 'me' }, emoji: string, options?: SayOptions): Promise<{ id: string }>;
  /** A read receipt for a message of the account. */
  reads(id: string): void;
  /** Claims that a message cannot be decrypted: the client has to send it again. */
  asksRetry(id: string): void;
  /** Loses all Signal sessions, as after a reinstall: the next message cannot be decrypted and is asked for again. */
  forgetsSessions(): Promise<void>;
}

export interface Group {
  /** `…@g.us`. */
  readonly id: string;
  readonly addressing: Addressing;
  subject(): string;
  members(): Peer[];
  /** `@` and the digits by which this group knows somebody, for the text of a mention. */
  mention(who: Peer | 'me'): string;
  /** Each tells the client. */
  rename(subject: string, by?: Peer): void;
  add(peer: Peer, by?: Peer): void;
  remove(who: Peer | 'me', by?: Peer): void;
}

export interface People {
  contact(who: { phone: string; lid: string; name: string; addressing?: Addressing }): Peer;
  group(what: { subject: string; members: Peer[]; addressing?: Addressing; id?: string }): Group;
  /** Typed on the owner's phone: arrives with fromMe. */
  ownPhoneSays(what: Said, options: Omit<SayOptions, 'to'> & { to: Peer | Group }): Promise<{ id: string }>;
}

/** What the objects of tests stand for. */
interface Directory {
  people: Map<Peer, Person>;
  groups: Map<Group, GroupState>;
}

function known<K, V>(map: Map<K, V>, key: K): V {
  const value = map.get(key);
  if (!value) throw new Error('this peer or group belongs to another fake');
  return value;
}

const personOf = (world: World, { people }: Directory, who: Peer | 'me'): Person =>
  who === 'me' ? world.owner : known(people, who);

/** The name under which a chat knows somebody. */
function nameIn(group: GroupState | undefined, person: Person, as: Addressing): string {
  if (group) return memberAttrs(group, person).jid;
  return as === 'lid' ? person.lid : person.jid;
}

function compose(world: World, book: Directory, what: Said, group: GroupState | undefined, options: SayOptions) {
  if (typeof what !== 'string') return what.message;
  const { mentions = [], replyTo, as = 'lid' } = options;
  if (mentions.length === 0 && !replyTo) return { conversation: what };
  const contextInfo: proto.IContextInfo = {
    mentionedJid: mentions.map((who) => nameIn(group, personOf(world, book, who), as)),
  };
  if (replyTo) {
    contextInfo.stanzaId = replyTo.id;
    contextInfo.participant = nameIn(group, personOf(world, book, replyTo.by), as);
    contextInfo.quotedMessage = { conversation: replyTo.text ?? '' };
  }
  return { extendedTextMessage: { text: what, contextInfo } };
}

function utter(world: World, book: Directory, person: Person, what: Said, options: SayOptions): Utterance {
  const group = options.to && known(book.groups, options.to);
  const as = options.as ?? person.addressing;
  return {
    id: options.id ?? newMessageId(),
    message: compose(world, book, what, group, { ...options, as }),
    group,
    encrypted: options.encrypted ?? options.broken ?? false,
    broken: options.broken ?? false,
    later: options.offline ?? false,
    at: options.at ?? Math.floor(Date.now() / 1000),
    as,
  };
}

function createPeer(world: World, book: Directory, person: Person): Peer {
  const chatOf = (id: string): string => {
    const delivery = person.received.find((one) => one.id === id);
    return delivery?.to ?? nameIn(undefined, person, person.addressing);
  };
  const says = async (what: Said, options: SayOptions = {}) => {
    const said = utter(world, book, person, what, options);
    await say(world, person, said);
    return { id: said.id };
  };
  return {
    phone: person.phone,
    jid: person.jid,
    lid: person.lid,
    name: person.name,
    received: person.received,
    unreadable: person.unreadable,
    says,
    async sendsAlbum(parts, { announced = parts.length, only = parts.map((_, index) => index), id, ...options } = {}) {
      const album = id ?? newMessageId();
      const remoteJid = options.to?.id ?? nameIn(undefined, world.owner, options.as ?? person.addressing);
      const messageAssociation = {
        associationType: MEDIA_ALBUM,
        parentMessageKey: { id: album, fromMe: true, remoteJid },
      };
      const expectedVideoCount = parts.filter(({ videoMessage }) => videoMessage).length;
      const albumMessage = { expectedImageCount: announced - expectedVideoCount, expectedVideoCount };
      if (only.includes(0)) await says({ message: { albumMessage } }, { ...options, id: album });
      const sent: string[] = [];
      for (const [index, part] of parts.entries()) {
        if (!only.includes(index)) continue;
        const message = { associatedChildMessage: { message: part }, messageContextInfo: { messageAssociation } };
        sent.push((await says({ message }, options)).id);
      }
      return { id: album, parts: sent };
    },
    edits(id, text, { of = 'text', ...options } = {}) {
      const remoteJid = options.to?.id ?? nameIn(undefined, world.owner, options.as ?? person.addressing);
      const group = options.to && known(book.groups, options.to);
      const as = options.as ?? person.addressing;
      const editedMessage =
        of === 'caption' ? { imageMessage: { caption: text } } : compose(world, book, text, group, { ...options, as });
      const protocolMessage = { key: { id, fromMe: true, remoteJid }, type: MESSAGE_EDIT, editedMessage };
      return says({ message: { editedMessage: { message: { protocolMessage } } } }, options);
    },
    reacts(to, emoji, options = {}) {
      const group = options.to && known(book.groups, options.to);
      const author = personOf(world, book, to.by);
      // Keys are written as the sender sees them: mine, yours, or somebody's in the group.
      const key = {
        id: to.id,
        fromMe: author === person,
        remoteJid: group?.id ?? nameIn(undefined, world.owner, options.as ?? person.addressing),
        ...(group ? { participant: memberAttrs(group, author).jid } : {}),
      };
      return says({ message: { reactionMessage: { key, text: emoji, senderTimestampMs: Date.now() } } }, options);
    },
    reads: (id) => sendReceipt(world, person, { id, chat: chatOf(id), type: 'read' }),
    asksRetry: (id) => sendRetry(world, person, id, chatOf(id)),
    forgetsSessions: () => person.signal.forget(),
  };
}

function createGroup(world: World, book: Directory, state: GroupState): Group {
  const tell = (by: Peer | undefined, change: BinaryNode) =>
    postGroupEvent(world, state, by ? known(book.people, by) : (state.members[0] ?? world.owner), change);
  const naming = (person: Person) => [el('participant', memberAttrs(state, person))];
  return {
    id: state.id,
    addressing: state.addressing,
    subject: () => state.subject,
    members: () => [...book.people].filter(([, person]) => state.members.includes(person)).map(([peer]) => peer),
    mention: (who) => `@${userOf(memberAttrs(state, personOf(world, book, who)).jid)}`,
    rename(subject, by) {
      state.subject = subject;
      tell(by, el('subject', { subject, s_t: nowSeconds() }));
    },
    add(peer, by) {
      const person = known(book.people, peer);
      state.members.push(person);
      tell(by, el('add', {}, naming(person)));
    },
    remove(who, by) {
      const person = personOf(world, book, who);
      tell(by, el('remove', {}, naming(person)));
      state.members = state.members.filter((member) => member !== person);
      if (person === world.owner) state.hasAccount = false;
    },
  };
}

export function createPeople(world: World): People {
  const book: Directory = { people: new Map(), groups: new Map() };
  return {
    contact(who) {
      const person = createPerson(who);
      const peer = createPeer(world, book, person);
      world.people.push(person);
      book.people.set(peer, person);
      return peer;
    },
    group({ subject, members, addressing = 'lid', id }) {
      const state: GroupState = {
        id: `${userOf(id ?? `1203630000000${String(world.groups.length).padStart(5, '0')}`)}@g.us`,
        subject,
        addressing,
        members: members.map((peer) => known(book.people, peer)),
        hasAccount: true,
        createdAt: Math.floor(Date.now() / 1000),
      };
      const group = createGroup(world, book, state);
      world.groups.push(state);
      book.groups.set(group, state);
      return group;
    },
    async ownPhoneSays(what, options) {
      const { to, ...rest } = options;
      const group = 'says' in to ? undefined : known(book.groups, to);
      const said = utter(world, book, world.owner, what, rest);
      const jid = 'says' in to ? nameIn(undefined, known(book.people, to), rest.as ?? 'lid') : to.id;
      copyFromOwner(world, jid, { ...said, group });
      return { id: said.id };
    },
  };
}
