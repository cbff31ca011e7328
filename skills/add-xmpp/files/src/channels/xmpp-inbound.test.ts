import { xml } from '@xmpp/client';
import { describe, expect, test } from 'vitest';
import { isPublic } from './xmpp-files.js';
import { type Place, toMessage } from './xmpp-inbound.js';
import type { Element } from './xmpp-stream.js';

const own = 'pinch@example.org';
const direct: Place = { own, assistantName: 'Pinch' };
const room: Place = {
  ...direct,
  room: { address: 'family@rooms.example.org', nick: 'Pinch', title: 'Family', isOpen: true },
};

const child = (name: string, attributes: Record<string, string>, ...children: (Element | string)[]) =>
  xml(name, attributes, ...children);

function read(attributes: Record<string, string>, body: string, { place = direct, children = [] as Element[] } = {}) {
  const message = xml('message', attributes, ...(body ? [xml('body', {}, body)] : []), ...children);
  return toMessage({ id: 'archive-1', sentAt: 1_000, message }, place);
}
const anna = { from: 'anna@people.example/phone', to: own, type: 'chat', id: 'one' };
const inRoom = { from: 'family@rooms.example.org/Anna', type: 'groupchat', id: 'one' };

describe('direct messages', () => {
  test('one of a person', () => {
    expect(read(anna, 'hello')).toEqual({
      chat: { address: 'anna@people.example', kind: 'direct', title: 'anna' },
      sender: { address: 'anna@people.example', name: 'anna' },
      platformId: 'one',
      text: 'hello',
      sentAt: 1_000,
      forwarded: false,
      addressesAssistant: true,
      edited: false,
      media: [],
    });
  });

  test.each([
    ['our own words from another program', { ...anna, from: `${own}/phone` }, 'x'],
    ['an error', { ...anna, type: 'error' }, 'x'],
    ['news of a server', { ...anna, type: 'headline' }, 'x'],
    ['what a room says, in our own archive', { ...anna, type: 'groupchat' }, 'x'],
    ['a sign of typing', anna, ''],
    ['nobody', { type: 'chat' }, 'x'],
  ])('not: %s', (_name, attributes, body) => {
    expect(read(attributes, body)).toBeUndefined();
  });

  test('a whisper in a room is none: its sender is not known', () => {
    const whisper = child('x', { xmlns: 'http://jabber.org/protocol/muc#user' });
    expect(read({ ...anna, from: 'family@rooms.example.org/Anna' }, 'x', { children: [whisper] })).toBeUndefined();
  });

  test('without an id it has the one of the archive', () => {
    const { id: _, ...rest } = anna;
    expect(read(rest, 'x')?.platformId).toBe('archive-1');
  });

  test('a correction is the same message', () => {
    const replace = child('replace', { xmlns: 'urn:xmpp:message-correct:0', id: 'one' });
    expect(read({ ...anna, id: 'two' }, 'x', { children: [replace] })).toMatchObject({
      platformId: 'one',
      edited: true,
    });
  });

  test('an answer without the words it repeats', () => {
    const children = [
      child('reply', { xmlns: 'urn:xmpp:reply:0', id: 'pinch-1', to: own }),
      child(
        'fallback',
        { xmlns: 'urn:xmpp:fallback:0', for: 'urn:xmpp:reply:0' },
        xml('body', { start: '0', end: '11' }),
      ),
    ];
    expect(read(anna, '> 😀 Milk?\n yes', { children })).toMatchObject({
      text: 'yes',
      replyTo: { platformId: 'pinch-1', sender: 'Pinch', text: '😀 Milk?' },
    });
  });

  test('a file is no text', () => {
    const url = 'https://files.example/a%20b/ph%C3%B6to.JPG?x=1';
    const children = [child('x', { xmlns: 'jabber:x:oob' }, xml('url', {}, url))];
    expect(read(anna, url, { children })).toMatchObject({
      text: '',
      media: [{ kind: 'image', fileName: 'phöto.JPG', mimeType: 'image/jpeg', sizeBytes: 0, ref: url }],
    });
    const other = [child('x', { xmlns: 'jabber:x:oob' }, xml('url', {}, 'file:///etc/passwd'))];
    expect(read(anna, 'look', { children: other })?.media).toEqual([]);
  });
});

describe('rooms', () => {
  const said = (body: string, children: Element[] = [], attributes: Record<string, string> = inRoom) =>
    read(attributes, body, { place: room, children });

  test('somebody there, whose address the room does not tell', () => {
    expect(said('hello')).toMatchObject({
      chat: { address: 'family@rooms.example.org', kind: 'group', title: 'Family' },
      sender: { address: 'family@rooms.example.org/Anna', name: 'Anna', isNameOnly: true },
      platformId: 'Anna/one',
      addressesAssistant: false,
    });
  });

  test('somebody whose address it tells', () => {
    const item = xml('item', { jid: 'anna@people.example/phone' });
    const x = child('x', { xmlns: 'http://jabber.org/protocol/muc#user' }, item);
    expect(said('hello', [x])?.sender).toEqual({ address: 'anna@people.example', name: 'Anna' });
  });

  test('what a person puts beside their words is not the room’s word', () => {
    const told = (jid: string) => child('x', { xmlns: 'http://jabber.org/protocol/muc#user' }, xml('item', { jid }));
    const closed = { ...room, room: { address: '', nick: '', title: '', ...room.room, isOpen: false } };
    const forged = read(inRoom, 'hello', { place: closed, children: [told('olga@people.example')] });
    expect(forged?.sender.address).toBe('family@rooms.example.org/Anna');
    const twice = said('hello', [told('olga@people.example'), told('anna@people.example')]);
    expect(twice?.sender.address).toBe('family@rooms.example.org/Anna');
  });

  test('the same id of somebody else is another message', () => {
    expect(said('x', [], { ...inRoom, from: 'family@rooms.example.org/Ben' })?.platformId).toBe('Ben/one');
  });

  test.each([
    ['our own words', { ...inRoom, from: 'family@rooms.example.org/Pinch' }],
    ['the room itself', { ...inRoom, from: 'family@rooms.example.org' }],
    ['another room', { ...inRoom, from: 'other@rooms.example.org/Anna' }],
    ['no room message', { ...inRoom, type: 'chat' }],
  ])('not: %s', (_name, attributes) => {
    expect(said('x', [], attributes)).toBeUndefined();
  });

  test.each([
    ['the nickname in front', 'pinch: milk?', [], true],
    ['the nickname and a comma', 'Pinch, milk?', [], true],
    ['the nickname elsewhere', 'ask pinch: milk', [], false],
    ['a longer nickname', 'Pinchy: milk?', [], false],
    [
      'a mention',
      'milk?',
      [
        child('reference', {
          xmlns: 'urn:xmpp:reference:0',
          type: 'mention',
          uri: 'xmpp:family@rooms.example.org/Pinch',
        }),
      ],
      true,
    ],
    [
      'a mention of somebody else',
      'milk?',
      [
        child('reference', {
          xmlns: 'urn:xmpp:reference:0',
          type: 'mention',
          uri: 'xmpp:family@rooms.example.org/Ben',
        }),
      ],
      false,
    ],
    [
      'an answer that is said to be to us',
      'yes',
      [child('reply', { xmlns: 'urn:xmpp:reply:0', id: '1', to: 'family@rooms.example.org/Pinch' })],
      false,
    ],
    [
      'an answer to somebody else',
      'yes',
      [child('reply', { xmlns: 'urn:xmpp:reply:0', id: '1', to: 'family@rooms.example.org/Ben' })],
      false,
    ],
  ])('%s', (_name, body, children, isToUs) => {
    expect(said(body, children)?.addressesAssistant).toBe(isToUs);
  });
});

describe('where links may lead', () => {
  test.each(['93.184.216.34', '1.1.1.1', '2606:4700::1111', '2a00:1450:4001::1'])('%s', (address) => {
    expect(isPublic(address)).toBe(true);
  });

  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.17.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001::1',
    'ff02::1',
    '2001:db8::1',
  ])('not %s', (address) => {
    expect(isPublic(address)).toBe(false);
  });
});
