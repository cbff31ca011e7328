// Sends a message once: under an id that stays the same when it is tried again, and not again when the archive has it already.
// Knows nothing about receiving.
import { createHash } from 'node:crypto';
import { xml } from '@xmpp/client';
import { ChannelError, type OutboundPart } from './channel.js';
import { markdownToWhatsApp } from './whatsapp-format.js';
import { readArchive } from './xmpp-archive.js';
import { toChannelError } from './xmpp-errors.js';
import type { Room } from './xmpp-inbound.js';
import { ping } from './xmpp-rooms.js';
import { attribute, type Element, parseAddress, type Stream } from './xmpp-stream.js';

const HINTS = 'urn:xmpp:hints';
const STATES = 'http://jabber.org/protocol/chatstates';
const SID = 'urn:xmpp:sid:0';
/** Our clock and the server's may differ by so much. */
const CLOCK_SKEW_MS = 600_000;
const MAX_LOOKS = 20;
const PAGE = 50;

export interface Outgoing {
  part: OutboundPart;
  /** Where its file lies, when it has one. */
  link: string | undefined;
  /** When it is one's turn to speak to a room. */
  room: Room | undefined;
  own: string;
  salt: string;
}

/** The same for the same part, so that a repetition can be told. */
export function idOf({ part, salt }: Outgoing): string {
  const what = [salt, part.key, part.address, part.text, part.file?.fileName ?? ''].join('\0');
  return `pinch-${createHash('sha256').update(what).digest('base64url').slice(0, 27)}`;
}

/** Message styling (XEP-0393) has the marks of WhatsApp. */
export const toBody = (markdown: string): string => markdownToWhatsApp(markdown) || markdown;

/** Resolves with the id answers refer to, once the server or the room took it. Throws ChannelError. */
export async function sendOnce(stream: Stream, outgoing: Outgoing): Promise<string> {
  const { part, room, own, link } = outgoing;
  const id = idOf(outgoing);
  const echo = answersTo(stream, id, part.address);
  try {
    // Programs show a file only when the message is nothing but its address; what is said of it follows.
    const isLinkOnly = link !== undefined && part.text.trim() === '';
    if (link !== undefined) await stream.send(messageOf(outgoing, isLinkOnly ? id : `${id}-file`, link));
    if (!isLinkOnly) await stream.send(messageOf(outgoing, id, toBody(part.text)));
    // Servers handle what one client sends in order: when this is answered, the message was handled before it.
    await (room ? ping(stream, room) : pingServer(stream, own.split('@')[1] ?? ''));
    const { error, stanzaId } = echo.heard();
    if (error) throw refusal(error);
    if (room && stanzaId === undefined) throw new ChannelError('retry', 'the room did not take the message');
    return (room && stanzaId) || id;
  } finally {
    echo.forget();
  }
}

function messageOf({ part, room, link }: Outgoing, id: string, body: string): Element {
  return xml(
    'message',
    { to: part.address, type: room ? 'groupchat' : 'chat', id },
    xml('body', {}, body),
    xml('origin-id', { xmlns: SID, id }),
    ...(body === link ? [xml('x', { xmlns: 'jabber:x:oob' }, xml('url', {}, body))] : []),
    ...(room ? [] : [xml('active', { xmlns: STATES })]),
    xml('store', { xmlns: HINTS }),
  );
}

/** Resolves when the server handled all that we sent before. */
export const pingServer = (stream: Stream, domain: string): Promise<Element> =>
  stream.request(xml('iq', { type: 'get', to: domain }, xml('ping', { xmlns: 'urn:xmpp:ping' })));

interface SendAnswer {
  error?: Element;
  /** Under which the room archived it; empty when it does not say. */
  stanzaId?: string;
}

function answersTo(stream: Stream, id: string, address: string): { heard(): SendAnswer; forget(): void } {
  const heard: SendAnswer = {};
  const forget = stream.listen((stanza) => {
    const { bare } = parseAddress(attribute(stanza, 'from'));
    if (stanza.name !== 'message' || attribute(stanza, 'id') !== id || bare !== address) return;
    if (attribute(stanza, 'type') === 'error') heard.error = stanza;
    else heard.stanzaId = stanzaIdOf(stanza, address);
  });
  return { heard: () => heard, forget };
}

const stanzaIdOf = (stanza: Element, by: string): string =>
  attribute(
    stanza.getChildren('stanza-id', SID).find((one) => attribute(one, 'by') === by),
    'id',
  );

function refusal(stanza: Element): ChannelError {
  const error = stanza.getChild('error');
  const condition = error?.getChildElements()[0]?.name ?? 'undefined-condition';
  return toChannelError(
    Object.assign(new Error(condition), { name: 'StanzaError', condition, type: attribute(error, 'type') }),
  );
}

/** The id under which an earlier try, begun at `since`, arrived all the same; undefined when it did not. */
export async function findSent(stream: Stream, outgoing: Outgoing, since: number): Promise<string | undefined> {
  const { part, room, own } = outgoing;
  const id = idOf(outgoing);
  const where = room ? { room: room.address } : { with: part.address };
  let after: string | undefined;
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const page = await readArchive(stream, own, { ...where, start: since - CLOCK_SKEW_MS, after, max: PAGE });
    const found = page.items.find(({ message }) => {
      const from = parseAddress(attribute(message, 'from'));
      return attribute(message, 'id') === id && (room ? from.resource === room.nick : from.bare === own);
    });
    if (found) return room ? found.id : id;
    after = page.items.at(-1)?.id;
    if (page.isLast || after === undefined) return undefined;
  }
  return undefined;
}

/** "is typing…", which no archive keeps. */
export const composing = (address: string, isRoom: boolean): Element =>
  xml(
    'message',
    { to: address, type: isRoom ? 'groupchat' : 'chat' },
    xml('composing', { xmlns: STATES }),
    xml('no-store', { xmlns: HINTS }),
  );
