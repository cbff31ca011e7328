// What people write to the account, as stanzas: plain or encrypted, to the account or into a group.
import { proto } from '@whiskeysockets/baileys';
import { memberAttrs } from './whatsapp-groups.js';
import { postMail } from './whatsapp-mail.js';
import { type BinaryNode, el } from './whatsapp-node.js';
import type { Addressing, GroupState, LinkedDevice, Person, World } from './whatsapp-state.js';

export interface Utterance {
  id: string;
  message: proto.IMessage;
  group: GroupState | undefined;
  /** Encrypted for the device, or as `<plaintext>`, which the library takes too. */
  encrypted: boolean;
  /** The first copy cannot be decrypted; the one sent on request can. */
  broken: boolean;
  /** Not before the next login. */
  later: boolean;
  /** Epoch seconds. */
  at: number;
  /** Under which name; only in one-to-one chats. */
  as: Addressing;
}

function stanzaType(message: proto.IMessage): string {
  if (message.reactionMessage) return 'reaction';
  const media = message.imageMessage ?? message.videoMessage ?? message.audioMessage ?? message.documentMessage;
  return media || message.stickerMessage || message.documentWithCaptionMessage ? 'media' : 'text';
}

/** The envelope: who writes to whom, and under which names the two are known. */
export function envelope(person: Person, { id, message, group, at, as }: Utterance) {
  const common = { id, t: String(at), type: stanzaType(message), notify: person.name };
  if (!group) {
    return as === 'lid'
      ? { ...common, from: person.lid, sender_pn: person.jid }
      : { ...common, from: person.jid, sender_lid: person.lid };
  }
  const { jid, phone_number, lid } = memberAttrs(group, person);
  const names = { participant: jid, participant_pn: phone_number, participant_lid: lid };
  return { ...common, ...names, from: group.id, addressing_mode: group.addressing };
}

const plaintext = (message: proto.IMessage) => el('plaintext', {}, proto.Message.encode(message).finish());

function damaged(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  const last = copy.length - 1;
  copy[last] = (copy[last] ?? 0) ^ 0xff;
  return copy;
}

async function ciphertexts(device: LinkedDevice, person: Person, said: Utterance): Promise<BinaryNode[]> {
  const { group, message, broken } = said;
  const parts = group
    ? await person.signal.encryptForGroup(group.id, memberAttrs(group, person).jid, device, message)
    : [await person.signal.encrypt(device, message)];
  const last = parts.length - 1;
  return parts.map(({ type, ciphertext }, index) =>
    el('enc', { v: '2', type }, broken && index === last ? damaged(ciphertext) : ciphertext),
  );
}

/** Puts a message on its way to the client. Throws when it must be encrypted and no device is linked. */
export async function say(world: World, person: Person, said: Utterance): Promise<void> {
  const attrs = envelope(person, said);
  if (!said.encrypted) return postMail(world, el('message', attrs, [plaintext(said.message)]), said.later);
  const { device } = world;
  if (!device) throw new Error('no device is linked: nobody to encrypt for');
  world.said.set(said.id, { person, said, attempts: 1 });
  postMail(world, el('message', attrs, await ciphertexts(device, person, said)), said.later);
}

/** The client could not read it: the same message again, in a new session of its own. */
export async function resend(world: World, id: string): Promise<void> {
  const known = world.said.get(id);
  if (!known || !world.device) return;
  const { person, said } = known;
  const { type, ciphertext } = await person.signal.encrypt(world.device, said.message, true);
  const enc = el('enc', { v: '2', type, count: String(known.attempts++) }, ciphertext);
  postMail(world, el('message', envelope(person, said), [enc]));
}

/** Typed on the owner's phone: the linked device gets a copy. `chat` is where it was sent. */
export function copyFromOwner(world: World, chat: string, said: Utterance): void {
  const { id, at, message, group } = said;
  const common = { id, t: String(at), type: stanzaType(message), notify: world.account.name };
  const attrs = group
    ? envelope(world.owner, said)
    : { ...common, from: chat.endsWith('@lid') ? world.account.lid : world.account.jid, recipient: chat };
  const copy = { deviceSentMessage: { destinationJid: chat, message } };
  postMail(world, el('message', attrs, [plaintext(group ? message : copy)]), said.later);
}
