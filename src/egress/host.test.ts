// One name, one form: whatever a program inside or a person writes, what is decided on is what is connected to.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../test/property.js';
import { canonicalHost, canonicalPattern, matchesPattern, parseAuthority, shownHost } from './host.js';

test.each([
  ['Example.COM', 'example.com'],
  ['example.com.', 'example.com'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['BÜCHER.example', 'xn--bcher-kva.example'],
  ['ｅｘａｍｐｌｅ.com', 'example.com'],
  ['example。com', 'example.com'],
  ['_dmarc.example.com', '_dmarc.example.com'],
  ['localhost', 'localhost'],
])('%s is %s', (text, host) => {
  expect(canonicalHost(text)).toBe(host);
});

test.each([
  '127.0.0.1',
  '127.1',
  '0x7f.1',
  '2130706433',
  '017700000001',
  '0x7f000001',
  '127.0.0.1.',
  '１２７.0.0.1',
  '127.0.1',
])('%s is 127.0.0.1', (text) => {
  expect(canonicalHost(text)).toBe('127.0.0.1');
});

test.each([
  '',
  '.',
  'a..b',
  '[::1]',
  '::1',
  'fe80::1%eth0',
  'a b',
  'a\tb',
  'exa\nmple.com',
  'a\r\nx-y: z',
  'user@example.com',
  'example.com/path',
  'example.com\\@evil.example',
  'example.com#x',
  'example.com?x',
  'ex%61mple.com',
  'example.com:80',
  '256.1.1.1',
  '1.2.3.4.5',
  'a'.repeat(64),
  `${'a.'.repeat(130)}com`,
  'a,b',
  "a'b",
  '*',
  '*.example.com',
])('%j names no host', (text) => {
  expect(canonicalHost(text)).toBeUndefined();
});

test('the canonical form of a canonical form is itself, and a header or a log line may hold it', async () => {
  await holds(
    fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.domain(), fc.ipV4Extended()), (text) => {
      const host = canonicalHost(text);
      if (host === undefined) return;
      expect(host).toMatch(/^[a-z0-9._-]{1,253}$/);
      expect(canonicalHost(host)).toBe(host);
      expect(new URL(`http://${host}/`).hostname).toBe(host);
    }),
  );
});

test('a star stands for exactly one label', () => {
  const pattern = canonicalPattern('*.Example.com') ?? '';
  const matching = ['a.example.com', 'example.com', 'a.b.example.com', 'aexample.com', 'a.example.com.evil'];
  expect(matching.filter((host) => matchesPattern(pattern, host))).toEqual(['a.example.com']);
  expect(matchesPattern('example.com', 'a.example.com')).toBe(false);
});

test.each([
  '*.com',
  '*.*.com',
  '**.example.com',
  'a.*.com',
  '*.10.0.0.1',
  '*.',
  '*.localhost',
])('%s is no pattern', (text) => {
  expect(canonicalPattern(text)).toBeUndefined();
});

test.each([
  ['example.com:443', { host: 'example.com', port: 443 }],
  ['EXAMPLE.com.:65535', { host: 'example.com', port: 65_535 }],
  ['example.com', { host: 'example.com', port: undefined }],
  ['example.com:0', undefined],
  ['example.com:65536', undefined],
  ['example.com:0x50', undefined],
  ['example.com:443:443', undefined],
  ['[::1]:443', undefined],
  ['user@example.com:443', undefined],
])('%s as a target', (text, target) => {
  expect(parseAuthority(text)).toEqual(target);
});

test.each([
  ['example.com', 'example.com'],
  ['*.example.com', '*.example.com'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example (looks like bücher.example, Latin letters)'],
  ['xn--80ak6aa92e.com', 'xn--80ak6aa92e.com (looks like аррӏе.com, Cyrillic letters)'],
  ['*.xn--80ak6aa92e.com', '*.xn--80ak6aa92e.com (looks like аррӏе.com, Cyrillic letters)'],
  ['xn--pypal-4ve.com', 'xn--pypal-4ve.com (looks like pаypal.com, mixed letters: Latin and Cyrillic)'],
  [
    'login.xn--pypal-4ve.com',
    'login.xn--pypal-4ve.com (looks like login.pаypal.com, mixed letters: Latin and Cyrillic)',
  ],
  ['xn--wgv71a119e.jp', 'xn--wgv71a119e.jp (looks like 日本語.jp, Han letters)'],
  // Written from right to left it would turn the words around it, and a sign is no letter.
  ['xn--mgbh0fb.example', 'xn--mgbh0fb.example (Arabic letters)'],
  ['xn--ls8h.la', 'xn--ls8h.la (unusual letters)'],
  ['xn--a.com', 'xn--a.com (unusual letters)'],
])('%s is shown as %s', (host, shown) => {
  expect(shownHost(host)).toBe(shown);
});

test('whatever a name hides, people are shown its form in ASCII first, and no character that hides or turns others', () =>
  holds(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (text) => {
      const host = canonicalHost(`${text}.example`);
      if (host === undefined) return;
      expect(shownHost(host).startsWith(host)).toBe(true);
      expect(shownHost(host)).not.toMatch(/[\p{C}\p{Bidi_Control}\u0590-\u08ff]/u);
    }),
  ));
