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

function record(list: Delivery[], delivery: Omit<Delivery, 'stanzas'>, isNewStanza: boolean): void {
  const known = list.find((one) => one.id === delivery.id && one.to === delivery.to);
  if (!known) list.push({ ...delivery, stanzas: 1 });
  else if (isNewStanza) known.stanzas++;
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

/** Everybody decrypts their copy and answers as a phone does: got it, or send it again. */
async function deliver(world: World, node: BinaryNode): Promise<void> {
  const { id = '', to = '' } = node.attrs;
  const group = to.endsWith('@g.us') ? to : undefined;
  let isNewStanza = true;
  for (const { person, parts } of addressees(world, node)) {
    try {
      const message = await readParts(world, person, parts, group);
      if (!message) continue;
      const isOwner = person === world.owner;
      const delivery = { id, to, from: world.account.jid, text: textOf(message), message, encrypted: true as const };
      record(person.received, delivery, true);
      if (isOwner) continue;
      record(world.sent, delivery, isNewStanza);
      isNewStanza = false;
      sendReceipt(world, person, { id, chat: to });
    } catch {
      person.unreadable.push(id);
      sendRetry(world, person, id, to);
    }
  }
  world.waiters.notify();
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
  if (fault?.error === undefined) await deliver(world, node);
  if (fault?.dropSocket === 'after') return session.link.cut();
  // Not awaited: while this answer is late, others are not.
  if (!fault?.never) void acknowledge(session, node, fault);
}
