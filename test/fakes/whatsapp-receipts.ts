// "Got it", "read it" and "cannot read it", in both directions.
import { encodeBigEndian } from '@whiskeysockets/baileys';
import { memberAttrs } from './whatsapp-groups.js';
import { postMail, settleMail } from './whatsapp-mail.js';
import { type BinaryNode, childOf, childrenOf, el, nowSeconds } from './whatsapp-node.js';
import { resend } from './whatsapp-say.js';
import type { Person, Session, World } from './whatsapp-state.js';

/** A phone gives up on a message after so many attempts. */
const MAX_RETRIES = 5;

/** `chat` is where the client sent the message: a group, or the person under the name the client used. */
export function sendReceipt(
  world: World,
  person: Person,
  { id, chat, type }: { id: string; chat: string; type?: 'read' | 'retry' },
  content: BinaryNode[] = [],
): void {
  const group = world.groups.find((one) => one.id === chat);
  const participant = group ? memberAttrs(group, person).jid : undefined;
  postMail(world, el('receipt', { from: chat, participant, id, type, t: nowSeconds() }, content));
}

/** The person could not decrypt it, and asks for it again. */
export function sendRetry(world: World, person: Person, id: string, chat: string): void {
  const count = Math.max(1, person.unreadable.filter((one) => one === id).length);
  if (count > MAX_RETRIES) return;
  const retry = el('retry', { count: String(count), id, t: nowSeconds(), v: '1' });
  const registration = el('registration', {}, encodeBigEndian(person.signal.creds.registrationId));
  sendReceipt(world, person, { id, chat, type: 'retry' }, [retry, registration]);
}

/** One receipt from the client, for one message or several. */
export async function takeReceipt(world: World, session: Session, node: BinaryNode): Promise<void> {
  const { id = '', to = '', participant, type = 'delivered' } = node.attrs;
  const more = childrenOf(childOf(node, 'list'), 'item').map((item) => item.attrs.id ?? '');
  for (const one of [id, ...more]) {
    world.receipts.push({ id: one, to, participant, type });
    // What cannot be read is settled by the refusal that follows.
    if (type !== 'retry') settleMail(world, 'message', one);
  }
  session.link.send(el('ack', { class: 'receipt', id, from: to, participant, type: node.attrs.type }));
  if (type === 'retry') await resend(world, id);
}
