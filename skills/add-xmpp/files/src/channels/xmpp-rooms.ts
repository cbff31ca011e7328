// Rooms (XEP-0045): entering them, and noticing that we are not in one any more. Knows nothing about what is said there.
import { xml } from '@xmpp/client';
import { ChannelError } from './channel.js';
import { hasArchive } from './xmpp-archive.js';
import { conditionOf } from './xmpp-errors.js';
import type { Room } from './xmpp-inbound.js';
import { attribute, type Element, parseAddress, type Stream } from './xmpp-stream.js';

const MUC = 'http://jabber.org/protocol/muc';
const MUC_USER = 'http://jabber.org/protocol/muc#user';
const INFO = 'http://jabber.org/protocol/disco#info';
const ANSWER_MS = 20_000;
/** This presence is about ourselves; the room was made by our entering it. */
const SELF = '110';
const CREATED = '201';

export interface Rooms {
  joined: Room[];
  /** What keeps us out of the others, for the owner. */
  problems: string[];
  /** Asks each room whether we are still in it; rejects when we are not. */
  check(): Promise<void>;
  /** Rejects when a room shows us the door or shuts down, never resolves. */
  left: Promise<never>;
}

/** Enters those it can. */
export async function enterRooms(stream: Stream, addresses: string[], nick: string): Promise<Rooms> {
  const joined: Room[] = [];
  const problems: string[] = [];
  for (const address of addresses) {
    try {
      joined.push({ address, nick: await enter(stream, address, nick), ...(await describe(stream, address)) });
    } catch (error) {
      if (error instanceof ChannelError) throw error;
      problems.push(`not in ${address}: ${conditionOf(error)}`);
    }
  }
  return {
    joined,
    problems,
    async check() {
      for (const room of joined) await ping(stream, room);
    },
    left: untilLeft(stream, joined),
  };
}

/** Resolves when all that we sent to the room before was handled by it (XEP-0410). Throws the stanza error when we are not in it. */
export async function ping(stream: Stream, { address, nick }: Room): Promise<void> {
  const iq = xml('iq', { type: 'get', to: `${address}/${nick}` }, xml('ping', { xmlns: 'urn:xmpp:ping' }));
  try {
    await stream.request(iq);
  } catch (error) {
    // These say that we are in and another program of ours does not know pings.
    if (!['service-unavailable', 'feature-not-implemented', 'item-not-found'].includes(conditionOf(error))) throw error;
  }
}

/** Resolves with the nickname we have there, which the room may have changed. */
async function enter(stream: Stream, address: string, nick: string): Promise<string> {
  if (!(await hasArchive(stream, address))) throw new Error('the room keeps no archive (XEP-0313)');
  const answer = answerOf(stream, address);
  try {
    // What was said before comes from the archive.
    const history = xml('history', { maxstanzas: '0' });
    await stream.send(xml('presence', { to: `${address}/${nick}` }, xml('x', { xmlns: MUC }, history)));
    const presence = await Promise.race([answer.come, stream.lost]);
    const error = presence.getChild('error');
    if (error) throw new Error(error.getChildElements()[0]?.name ?? 'undefined-condition');
    const own = parseAddress(attribute(presence, 'from')).resource;
    if (!statusesOf(presence).includes(CREATED)) return own;
    await stream.send(xml('presence', { to: `${address}/${own}`, type: 'unavailable' }));
    throw new Error('there is no such room');
  } finally {
    answer.forget();
  }
}

/** The presence of ourselves in the room, or its refusal. */
function answerOf(stream: Stream, room: string): { come: Promise<Element>; forget(): void } {
  const late = AbortSignal.timeout(ANSWER_MS);
  let forget = (): void => undefined;
  const come = new Promise<Element>((resolve, reject) => {
    forget = stream.listen((stanza) => {
      if (stanza.name !== 'presence' || parseAddress(attribute(stanza, 'from')).bare !== room) return;
      if (attribute(stanza, 'type') === 'error' || statusesOf(stanza).includes(SELF)) resolve(stanza);
    });
    late.addEventListener('abort', () => reject(new Error('the room does not answer')), { once: true });
  });
  come.catch(() => undefined);
  return { come, forget };
}

const statusesOf = (presence: Element): string[] =>
  (presence.getChild('x', MUC_USER)?.getChildren('status') ?? []).map((status) => attribute(status, 'code'));

function untilLeft(stream: Stream, joined: Room[]): Promise<never> {
  const left = new Promise<never>((_, reject) => {
    stream.listen((stanza) => {
      if (stanza.name !== 'presence' || attribute(stanza, 'type') !== 'unavailable') return;
      const room = joined.find(({ address, nick }) => attribute(stanza, 'from') === `${address}/${nick}`);
      if (room) reject(new ChannelError('network', `we are not in ${room.address} any more`));
    });
  });
  left.catch(() => undefined);
  return left;
}

async function describe(stream: Stream, address: string): Promise<Pick<Room, 'title' | 'isOpen'>> {
  const answer = await stream.request(xml('iq', { type: 'get', to: address }, xml('query', { xmlns: INFO })));
  const info = answer.getChild('query', INFO);
  const name = attribute(info?.getChild('identity'), 'name').trim();
  return {
    title: name || (address.split('@')[0] ?? address),
    isOpen: (info?.getChildren('feature') ?? []).some((one) => attribute(one, 'var') === 'muc_nonanonymous'),
  };
}
