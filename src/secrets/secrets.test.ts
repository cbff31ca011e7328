import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSecrets } from './secrets.js';

const KEY = 'sk-ant-api03-Zq7/x_W9+bT2%kL\\n"5vQ=';
const LONG = `-----BEGIN PRIVATE KEY-----\n${randomBytes(900).toString('base64').replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----`;
const OTHERS = [
  '123456:AAF-otherBotToken_xyz0987',
  'pässwörtchen-Z9!',
  'hunter2hunter',
  'Ñandú-Wq93x',
  KEY.slice(0, 20),
  'W9+bT2%kL',
];

const held = (...values: (string | Buffer)[]) => {
  const secrets = createSecrets();
  for (const [index, value] of values.entries()) expect(secrets.add(`S${index}`, value)).toBe(true);
  return secrets;
};

const hex = (text: string) => Buffer.from(text).toString('hex');
const percent = (char: string) => encodeURIComponent(char).replace(/^[^%]$/, `%${hex(char)}`);
const between = (text: string, what: string) => [...text].join(what);
const everyOther = (text: string, change: (char: string) => string) =>
  [...text].map((char, at) => (at % 2 ? change(char) : char)).join('');
const unicode = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

const forms: Record<string, (text: string) => string> = {
  plain: (text) => text,
  'upper case': (text) => text.toUpperCase(),
  reversed: (text) => [...text].reverse().join(''),
  'base64, first place': (text) => Buffer.from(text).toString('base64'),
  'base64, second place': (text) => Buffer.from(`x${text}yz`).toString('base64'),
  'base64, third place': (text) => Buffer.from(`xy${text}z`).toString('base64'),
  'base64url, second place': (text) => Buffer.from(`x${text}`).toString('base64url'),
  'base64 inside of a long one': (text) =>
    Buffer.concat([randomBytes(301), Buffer.from(text), randomBytes(400)]).toString('base64'),
  'base64 in lines': (text) => Buffer.from(text).toString('base64').replace(/.{20}/g, '$&\r\n'),
  'base64 in a URL': (text) => encodeURIComponent(Buffer.from(text).toString('base64')),
  hex,
  'hex, upper case': (text) => hex(text).toUpperCase(),
  'hex, both cases': (text) => everyOther(hex(text), (char) => char.toUpperCase()),
  'percent-encoded': (text) => [...text].map(percent).join(''),
  'percent-encoded, lower case': (text) => [...text].map(percent).join('').toLowerCase(),
  'percent-encoded here and there': (text) => everyOther(text, percent),
  'percent-encoded twice': (text) => encodeURIComponent([...text].map(percent).join('')),
  encodeURIComponent,
  'with zero-width spaces': (text) => between(text, '\u200b'),
  'with soft hyphens': (text) => between(text, '\u00ad'),
  'with joiners and marks': (text) => between(text, '\u200d\u2060\ufeff\u200e\ufe0f'),
  'with tags': (text) => between(text, '\u{e0041}'),
  'with percent-encoded zero-width spaces': (text) => [...text].map(encodeURIComponent).join('%E2%80%8B'),
  'with escaped zero-width spaces': (text) => JSON.stringify(text).replace(/^"(..)/, '"$1\\u200b'),
  JSON: (text) => JSON.stringify(text),
  'JSON in JSON': (text) => JSON.stringify(JSON.stringify({ text })),
  'JSON with every character escaped': (text) => [...text].map(unicode).join(''),
  'JSON with some characters escaped': (text) =>
    [...text].map((char, at) => (at % 2 ? unicode(char) : JSON.stringify(char).slice(1, -1))).join(''),
  'escaped bytes': (text) => hex(text).replace(/../g, '\\x$&'),
};

describe.each(Object.entries(forms))('%s', (_name, form) => {
  const neighbours = ['', ' ', 'a', 'sk-ant-api03-', '\\\\', 'Grüße 🦞 ', '{"a":"b\\n', '\u200b'];

  test.each([KEY, LONG, ...OTHERS])('is found beside anything: %#', (value) => {
    const text = form(value);
    const secrets = held(KEY, LONG, ...OTHERS);
    for (const before of neighbours)
      for (const after of neighbours) expect(secrets.clean(`${before}${text}${after}`).names, before).not.toEqual([]);
  });

  test('is found wherever a stream is cut, and nothing is longer or shorter', () => {
    const secrets = held(KEY, ...OTHERS);
    const text = Buffer.from(`before, ${form(KEY)} after`);
    const whole = secrets.mask(() => undefined);
    const expected = Buffer.concat([whole.feed(text), whole.end()]);
    expect(expected).toHaveLength(text.length);
    expect(secrets.clean(expected.toString('latin1')).names).toEqual([]);
    for (let cut = 0; cut <= text.length; cut += 1) {
      const names: string[] = [];
      const mask = secrets.mask((name) => names.push(name));
      const parts = [mask.feed(text.subarray(0, cut)), mask.feed(text.subarray(cut)), mask.end()];
      expect(names).toContain('S0');
      const passed = Buffer.concat(parts);
      expect(passed).toHaveLength(text.length);
      expect(secrets.clean(passed.toString()).names).toEqual([]);
      // At most three characters have gone before it was clear what they begin.
      expect(passed.subarray(-20)).toEqual(expected.subarray(-20));
    }
    const mask = secrets.mask(() => undefined);
    const bytewise = Buffer.concat([...[...text].map((byte) => mask.feed(Buffer.from([byte]))), mask.end()]);
    expect(secrets.clean(bytewise.toString()).names).toEqual([]);
    expect(bytewise).toHaveLength(text.length);
  });
});
