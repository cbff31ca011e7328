// A message of an archive as an inbound message: who, where, which words, which file. Pure; knows no network.
import type { InboundMedia, InboundMessage } from './channel.js';
import { safeFileName } from './file-name.js';
import type { Archived } from './xmpp-archive.js';
import { attribute, type Element, parseAddress } from './xmpp-stream.js';

export interface Room {
  address: string;
  /** Ours there. */
  nick: string;
  title: string;
  /** It shows everybody's address to everybody, and puts it to what they say. */
  isOpen: boolean;
}

export interface Place {
  /** Our own account. */
  own: string;
  assistantName: string;
  /** Set when the archive is a room's. */
  room?: Room | undefined;
}

const MUC_USER = 'http://jabber.org/protocol/muc#user';

/** Undefined for what nobody says to us: our own words, errors, signs of typing. Never throws for a message a server can send. */
export function toMessage({ id: archiveId, sentAt, message }: Archived, place: Place): InboundMessage | undefined {
  const { bare, resource } = parseAddress(attribute(message, 'from'));
  const type = attribute(message, 'type') || 'normal';
  const { room } = place;
  if (bare === '' || (room ? type !== 'groupchat' : !['chat', 'normal'].includes(type))) return undefined;
  if (room ? bare !== room.address || resource === '' || resource === room.nick : bare === place.own) return undefined;
  // Whispers of a room come as direct messages from the room: from somebody whose address we do not know.
  if (!room && message.getChild('x', MUC_USER)) return undefined;
  const replaced = attribute(message.getChild('replace', 'urn:xmpp:message-correct:0'), 'id');
  const idOf = (own: string) => (own === '' ? archiveId : room ? `${resource}/${own}` : own);
  const { words, quoted } = wordsOf(message);
  const file = fileOf(message);
  const text = file && words === file ? '' : words;
  if (text === '' && file === undefined) return undefined;
  const reply = message.getChild('reply', 'urn:xmpp:reply:0');
  const repliesTo = attribute(reply, 'to');
  const isToUs = repliesTo !== '' && [place.own, ...(room ? [`${room.address}/${room.nick}`] : [])].includes(repliesTo);
  return {
    chat: room
      ? { address: room.address, kind: 'group', title: room.title }
      : { address: bare, kind: 'direct', title: nameOf(message, bare) },
    sender: room ? occupantOf(message, room, resource) : { address: bare, name: nameOf(message, bare) },
    platformId: idOf(replaced || attribute(message, 'id')),
    text,
    sentAt,
    // No program marks what it passes on, and whom an answer is to is the sender's word: our own rows prove it.
    forwarded: false,
    addressesAssistant: room === undefined || mentions(message, text, room),
    ...(reply && {
      replyTo: {
        platformId: attribute(reply, 'id'),
        sender: isToUs ? place.assistantName : parseAddress(repliesTo).resource || repliesTo,
        text: quoted,
      },
    }),
    edited: replaced !== '',
    media: file === undefined ? [] : [mediaOf(file)],
  };
}

const nameOf = (message: Element, bare: string) =>
  message.getChildText('nick', 'http://jabber.org/protocol/nick')?.trim() || (bare.split('@')[0] ?? bare);

/** A nickname alone is nobody's for sure, and what stands beside it is the room's word only where it tells everybody's address. */
function occupantOf(message: Element, room: Room, nick: string): InboundMessage['sender'] {
  const [told, ...others] = message.getChildren('x', MUC_USER);
  const isTold = room.isOpen && others.length === 0;
  const { bare } = parseAddress(isTold ? attribute(told?.getChild('item'), 'jid') : '');
  return bare ? { address: bare, name: nick } : { address: `${room.address}/${nick}`, name: nick, isNameOnly: true };
}

/** Some programs repeat what is answered at the start of the body, and say how far it goes (XEP-0428). */
function wordsOf(message: Element): { words: string; quoted: string } {
  const body = (message.getChildText('body') ?? '').replace(/\r\n?/g, '\n');
  const fallback = message
    .getChildren('fallback', 'urn:xmpp:fallback:0')
    .find((one) => attribute(one, 'for') === 'urn:xmpp:reply:0');
  const range = fallback?.getChild('body');
  if (!fallback) return { words: body.trim(), quoted: '' };
  const characters = [...body];
  const [start, end] = [Number(attribute(range, 'start') || 0), Number(attribute(range, 'end') || characters.length)];
  const words = [...characters.slice(0, start), ...characters.slice(end)].join('').trim();
  const quoted = characters.slice(start, end).join('').replace(/^> ?/gm, '').trim();
  return words === '' ? { words: body.trim(), quoted: '' } : { words, quoted };
}

/** XEP-0372, or the nickname in front as people write it in rooms. */
function mentions(message: Element, text: string, { address, nick }: Room): boolean {
  const uris = message
    .getChildren('reference', 'urn:xmpp:reference:0')
    .filter((one) => attribute(one, 'type') === 'mention')
    .map((one) => attribute(one, 'uri').replace(/^xmpp:/, ''));
  if (uris.some((uri) => uri === `${address}/${nick}` || uri === `${address}/${encodeURIComponent(nick)}`)) return true;
  const lower = text.toLowerCase();
  return [':', ','].some((mark) => lower.startsWith(`${nick.toLowerCase()}${mark}`));
}

/** A file that was uploaded somewhere (XEP-0066). */
function fileOf(message: Element): string | undefined {
  const url = message.getChild('x', 'jabber:x:oob')?.getChildText('url')?.trim() ?? '';
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? url : undefined;
}

const TYPES: Record<string, [InboundMedia['kind'], string]> = {
  jpg: ['image', 'image/jpeg'],
  jpeg: ['image', 'image/jpeg'],
  png: ['image', 'image/png'],
  gif: ['image', 'image/gif'],
  webp: ['image', 'image/webp'],
  mp3: ['audio', 'audio/mpeg'],
  m4a: ['audio', 'audio/mp4'],
  ogg: ['audio', 'audio/ogg'],
  opus: ['audio', 'audio/ogg'],
  mp4: ['video', 'video/mp4'],
  pdf: ['document', 'application/pdf'],
  txt: ['document', 'text/plain'],
};

function mediaOf(url: string): InboundMedia {
  const last = new URL(url).pathname.split('/').at(-1) ?? '';
  const fileName = safeFileName(decoded(last));
  const [kind, mimeType] = TYPES[fileName.split('.').at(-1)?.toLowerCase() ?? ''] ?? [
    'document',
    'application/octet-stream',
  ];
  return { kind, fileName, mimeType, sizeBytes: 0, ref: url };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
