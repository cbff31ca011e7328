// What the server does with one client: lets it in or not, and hands on each stanza.
import type { proto } from '@whiskeysockets/baileys';
import { sendHistory } from './whatsapp-history.js';
import { answerIq } from './whatsapp-iq.js';
import type { Link } from './whatsapp-link.js';
import { deliverWaiting, settleMail } from './whatsapp-mail.js';
import { type BinaryNode, childOf, childrenOf, el, nowSeconds } from './whatsapp-node.js';
import { takeMessage } from './whatsapp-outbound.js';
import { startPairing, takePairingIq } from './whatsapp-pair.js';
import { takeReceipt } from './whatsapp-receipts.js';
import { deviceJid, type Session, type World } from './whatsapp-state.js';

const conflict = (type: string) => el('conflict', { type });

/** Ends a session with a stream error; without a code the reason names it, as the real server does. */
export function endWithStreamError({ link }: Session, code: number | undefined, conflictType?: string): void {
  const reason = conflictType ? conflict(conflictType) : el('ack');
  const content = code === undefined || conflictType ? [reason] : [];
  link.send(el('stream:error', { code: code === undefined ? undefined : String(code) }, content));
  link.end();
}

/** Why this client may not log in; undefined when it may. */
function loginRefusal(world: World, payload: proto.ClientPayload, noiseKey: Buffer): number | undefined {
  const ordered = world.plan.takeLoginFailure();
  if (ordered !== undefined) return ordered;
  const { device, account } = world;
  const isKnown = device?.noiseKey.equals(noiseKey) && payload.device === account.device;
  return isKnown && String(payload.username) === account.phone ? undefined : 401;
}

async function logIn(world: World, session: Session, payload: proto.ClientPayload): Promise<void> {
  await world.plan.loginAllowed();
  if (world.plan.isSilent() || !world.sessions.has(session)) return;
  const refusal = loginRefusal(world, payload, session.noiseKey);
  if (refusal !== undefined) {
    session.link.send(el('failure', { reason: String(refusal), location: 'fake' }));
    session.link.end();
    return;
  }
  for (const other of world.sessions) {
    if (other !== session && other.stage !== 'pairing') endWithStreamError(other, undefined, 'replaced');
  }
  world.logins++;
  session.link.send(el('success', { t: nowSeconds(), lid: deviceJid(world, 'lid') }));
}

/** The handshake is done: a login, or a client that wants to be linked. */
export async function openSession(
  world: World,
  link: Link,
  payload: proto.ClientPayload,
  noiseKey: Buffer,
): Promise<void> {
  const pairing = payload.devicePairingData;
  const session: Session = { link, noiseKey, stage: pairing ? 'pairing' : 'login', pairing: undefined };
  world.sessions.add(session);
  const { primary, secondary, tertiary } = payload.userAgent?.appVersion ?? {};
  world.clientVersions.push([primary, secondary, tertiary].join('.'));
  world.waiters.notify();
  if (pairing) startPairing(session, pairing);
  else await logIn(world, session, payload);
  world.waiters.notify();
}

export function closeSession(world: World, link: Link): void {
  for (const session of world.sessions) if (session.link === link) world.sessions.delete(session);
  world.waiters.notify();
}

async function takeIq(world: World, session: Session, iq: BinaryNode, mediaHost: string): Promise<void> {
  if (session.stage === 'pairing') return takePairingIq(world, session, iq);
  if (iq.attrs.type !== 'get' && iq.attrs.type !== 'set') return;
  session.link.send(await answerIq(world, iq, mediaHost));
  if (childOf(iq, 'remove-companion-device')) world.device = undefined;
  // Logins are passive at first: mail comes when the client says that it is ready.
  if (childOf(iq, 'active')) {
    session.stage = 'active';
    deliverWaiting(world, session);
    sendHistory(world);
  }
}

/** One stanza from the client. */
export async function takeStanza(world: World, session: Session, node: BinaryNode, mediaHost: string): Promise<void> {
  world.stanzas.push(node);
  if (world.plan.isSilent()) return world.waiters.notify();
  if (node.tag === 'iq') await takeIq(world, session, node, mediaHost);
  else if (node.tag === 'message') await takeMessage(world, session, node);
  else if (node.tag === 'receipt') await takeReceipt(world, session, node);
  else if (node.tag === 'ack') settleMail(world, node.attrs.class, node.attrs.id, node.attrs.participant);
  else if (node.tag === 'presence' || node.tag === 'chatstate') {
    // A presence without a type only tells the name; the library sends one whenever its credentials change.
    const state = node.tag === 'presence' ? node.attrs.type : childrenOf(node)[0]?.tag;
    if (state) world.presences.push({ state, to: node.attrs.to });
  }
  world.waiters.notify();
}
