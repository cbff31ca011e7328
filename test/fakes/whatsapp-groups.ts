// How groups look on the wire. Knows nothing about who asks.
import { postMail } from './whatsapp-mail.js';
import { type BinaryNode, el, nowSeconds, userOf } from './whatsapp-node.js';
import { type GroupState, newMessageId, type Person, type World } from './whatsapp-state.js';

/** A person under the name their group knows them by, and under the other one. */
export function memberAttrs(group: GroupState, person: Person): { jid: string; phone_number?: string; lid?: string } {
  return group.addressing === 'lid'
    ? { jid: person.lid, phone_number: person.jid }
    : { jid: person.jid, lid: person.lid };
}

/** `<group>` as a metadata query gets it. The first member made it and is its admin. */
export function groupNode(world: World, group: GroupState): BinaryNode {
  const members = [...group.members, ...(group.hasAccount ? [world.owner] : [])];
  const creator = members[0] ?? world.owner;
  const attrs = {
    id: userOf(group.id),
    subject: group.subject,
    creation: String(group.createdAt),
    s_t: String(group.createdAt),
    creator: memberAttrs(group, creator).jid,
    size: String(members.length),
    addressing_mode: group.addressing,
  };
  const participants = members.map((person) =>
    el('participant', { ...memberAttrs(group, person), type: person === creator ? 'superadmin' : undefined }),
  );
  return el('group', attrs, participants);
}

/** Tells the client that somebody changed the group. */
export function postGroupEvent(world: World, group: GroupState, by: Person, change: BinaryNode): void {
  const { jid, phone_number } = memberAttrs(group, by);
  const who = { participant: jid, participant_pn: phone_number, notify: by.name };
  const attrs = { ...who, from: group.id, type: 'w:gp2', id: newMessageId(), t: nowSeconds() };
  postMail(world, el('notification', { ...attrs, addressing_mode: group.addressing }, [change]));
}
