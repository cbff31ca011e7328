// Messages from the client: people decrypt them, and the server says that it took them, or not.
import { setTimeout as wait } from 'node:timers/promises';
import type { proto } from '@whiskeysockets/baileys';
import type { AckFault } from './whatsapp-faults.js';
import { type BinaryNode, bytesAt, childOf, childrenOf, deviceOf, el, nowSeconds } from './whatsapp-node.js';
import { sendReceipt, sendRetry } from './whatsapp-receipts.js';
import { type Delivery, type Person, personAt, type Session, type World } from './whatsapp-state.js';

/** Text or caption of a message, '' without. */
export function textOf(message: proto.IMessage): string {
  const inner = message.ephemeralMessage?.message ?? message.documentWithCaptionMessage?.message ?? message;
  return (
    inner.conversation ??
    inner.extendedTextMessage?.text ??
    inner.imageMessage?.caption ??
    inner.videoMessage?.caption ??
    inner.documentMessage?.caption ??
    ''
  );
}

function record(list: Delivery[], delivery: Omit<Delivery, 'stanzas'>): void {
  const known = list.find((one) => one.id === delivery.id && one.to === delivery.to);
  if (known) known.stanzas++;
  else list.push({ ...delivery, stanzas: 1 });
}

/** Who gets which ciphertexts of a stanza. */
function addressees(world: World, node: BinaryNode): { person: Person; parts: BinaryNode[] }[] {
  const own = childrenOf(childOf(node, 'participants'), 'to').map((to) => ({
    jid: to.attrs.jid ?? '',
    parts: childrenOf(to, 'enc'),
  }));
  const shared = childrenOf(node, 'enc');
  const group = world.groups.find((one) => one.id === node.attrs.to);
  if (!group || node.attrs.participant) {
    // Without <participants> there is one receiver: a resend, or a message to one's own phone.
    if (shared.length) own.push({ jid: node.attrs.participant ?? node.attrs.to ?? '', parts: shared });
    return own.flatMap(({ jid, parts }) => {
      const person = deviceOf(jid) === 0 ? personAt(world, jid) : undefined;
      return person ? [{ person, parts }] : [];
    });
  }
  return [...group.members, world.owner].map((person) => {
    const extra = own.find(({ jid }) => deviceOf(jid) === 0 && personAt(world, jid) === person)?.parts ?? [];
    return { person, parts: [...extra, ...shared] };
  });
}

async function readParts(world: World, person: Person, parts: BinaryNode[], group: string | undefined) {
  const from = world.device?.address ?? '';
  let message: proto.IMessage | undefined;
  for (const part of parts) {
    const read = await person.signal.decrypt(from, part.attrs.type ?? '', bytesAt(part), group);
    const { senderKeyDistributionMessage: _, messageContextInfo: __, ...content } = read;
    if (Object.values(content).some((value) => value !== null && value !== undefined)) message = read;
  }
  return message?.deviceSentMessage?.message ?? message;
}

/** Everybody decrypts their copy. The returned function sends what their phones answer: got it, or send it again. */
async function deliver(world: World, node: BinaryNode): Promise<() => void> {
  const { id = '', to = '' } = node.attrs;
  const read: { person: Person; message: proto.IMessage }[] = [];
  const unread: Person[] = [];
  for (const { person, parts } of addressees(world, node)) {
    try {
      const message = await readParts(world, person, parts, to.endsWith('@g.us') ? to : undefined);
      if (message) read.push({ person, message });
    } catch {
      unread.push(person);
    }
  }
  // Written down for all of them at once: who waits for a message may look at anybody's.
  const delivery = { id, to, from: world.account.jid, encrypted: true as const };
  for (const { person, message } of read) {
    record(person.received, { ...delivery, text: textOf(message), message });
  }
  const others = read.filter(({ person }) => person !== world.owner);
  const [first] = others;
  if (first) record(world.sent, { ...delivery, text: textOf(first.message), message: first.message });
  for (const person of unread) person.unreadable.push(id);
  return () => {
    for (const { person } of others) sendReceipt(world, person, { id, chat: to });
    for (const person of unread) sendRetry(world, person, id, to);
  };
}

async function acknowledge(session: Session, node: BinaryNode, fault: AckFault | undefined): Promise<void> {
  if (fault?.delayMs) await wait(fault.delayMs);
  const { id, to } = node.attrs;
  session.link.send(el('ack', { class: 'message', id, from: to, t: nowSeconds(), error: fault?.error }));
}

/** One message from the client. */
export async function takeMessage(world: World, session: Session, node: BinaryNode): Promise<void> {
  const fault = world.plan.takeAck();
  if (fault?.dropSocket === 'before') return session.link.cut();
  const answer = fault?.error === undefined ? await deliver(world, node) : () => undefined;
  if (fault?.dropSocket === 'after') session.link.cut();
  // Not awaited: while this answer is late, others are not.
  else if (!fault?.never) void acknowledge(session, node, fault);
  answer();
}
