// Which words of a chat open a door: those a person who may ask typed as a link, nothing that only passed through their hands.
import { expect, test } from 'vitest';
import { hostsTyped, isOwnWord } from './own-words.js';

const hosts = (text: string) => hostsTyped(text).map(({ host, port }) => (port ? `${host}:${port}` : host));

test.each([
  ['look at https://example.com/a?b=c#d', ['example.com']],
  ['(see http://Example.com.)', ['example.com']],
  ['https://a.example, https://b.example; https://c.example!', ['a.example', 'b.example', 'c.example']],
  ['HTTPS://EXAMPLE.COM:8443/x', ['example.com:8443']],
  ['<https://example.com> and [x](https://other.example)', ['example.com', 'other.example']],
  ['"https://example.com"', ['example.com']],
  ['https://bücher.example/', ['xn--bcher-kva.example']],
  ['http://192.168.1.5:8080/', ['192.168.1.5:8080']],
  ['https://example.com:', ['example.com']],
  ['https://a.example/?to=https://b.example/#https://c.example', ['a.example']],
  ['https://a.example/(https://b.example/) https://c.example', ['a.example', 'c.example']],
  ['[https://a.example/x](https://b.example/y) "https://c.example/z"', ['a.example', 'b.example', 'c.example']],
])('%s', (text, named) => {
  expect(hosts(text)).toEqual(named);
});

test.each([
  'example.com',
  'www.example.com/path',
  'ftp://example.com/',
  'xhttps://example.com/',
  'https:/example.com',
  'https://',
  'https://example.com@evil.example/',
  'https://user:pw@evil.example/',
  'https://[::1]/',
  'https://exa%6dple.com/',
  'javascript:alert(1)',
])('%s names no host', (text) => {
  expect(hosts(text)).toEqual([]);
});

test('a backslash ends the host, as in browsers', () => {
  expect(hosts('https://example.com\\@evil.example/')).toEqual(['example.com']);
});

test('a long text takes no time', () => {
  expect(new Set(hosts('https://'.repeat(20_000)))).toEqual(new Set(['https']));
  expect(hostsTyped(`https://${'a'.repeat(200_000)}`)).toEqual([]);
});

const message = {
  ...{ id: 1, chatId: 1, platformId: '1', senderName: 'Anna', text: '', replyTo: null, media: [], sentAt: 1 },
  ...{
    edited: false,
    senderId: 1,
    direction: 'in' as const,
    role: 'owner' as const,
    mayAsk: true,
    forwarded: false,
    byHost: false,
    outboxId: null,
    album: null,
    replaces: null,
  },
};
test.each([
  ['the owner', {}, true],
  ['a member who may ask', { role: 'member' as const }, true],
  ['a member who may not', { role: 'member' as const, mayAsk: false }, false],
  ['a forward', { forwarded: true }, false],
  ['the agent, on a button that the owner pressed', { outboxId: 7 }, false],
  ['the assistant', { direction: 'out' as const }, false],
  ['somebody in an old row', { role: null }, false],
])('words of %s', (_who, change, counts) => {
  expect(isOwnWord({ ...message, ...change })).toBe(counts);
});
