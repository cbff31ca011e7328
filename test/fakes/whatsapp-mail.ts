// Stanzas on their way to the client. Each is kept until the client confirms it and comes again at every login until then.
import { type BinaryNode, el } from './whatsapp-node.js';
import { activeSession, type Session, type World } from './whatsapp-state.js';

/** Sends a stanza now, or at the next login when there is nobody to send it to (or `later`). */
export function postMail(world: World, stanza: BinaryNode, later = false): void {
  world.mail.push(stanza);
  if (!later) activeSession(world)?.link.send(stanza);
  world.waiters.notify();
}

/** The client has it: a message by a receipt, anything by an ack, refusals too. */
export function settleMail(world: World, tag: string | undefined, id: string | undefined, participant?: string): void {
  const index = world.mail.findIndex(
    (stanza) =>
      stanza.tag === tag &&
      stanza.attrs.id === id &&
      // Each member of a group sends a receipt of their own for the same message.
      (tag !== 'receipt' || stanza.attrs.participant === participant),
  );
  if (index >= 0) world.mail.splice(index, 1);
}

/** What waited, in order, and then the word that this was all. */
export function deliverWaiting(world: World, { link }: Session): void {
  for (const [index, stanza] of world.mail.entries()) {
    link.send({ ...stanza, attrs: { ...stanza.attrs, offline: String(index) } });
  }
  if (world.plan.endsBacklog()) link.send(el('ib', {}, [el('offline', { count: String(world.mail.length) })]));
}
