// Bodies made to take long, as any call with JSON may have them, and what must go through all the same.
import { Readable } from 'node:stream';
import { beforeAll, expect, test } from 'vitest';
import { createLoopCheck } from '../../test/fakes/loop-delay.js';
import { caught } from '../../test/fakes/model-proxy.js';
import { readJson } from './body.js';

const room = { take: () => true, leave: () => undefined };
const MIB = 1024 * 1024;
const read = (body: string) => {
  const bytes = Buffer.from(body);
  const pieces = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, n) =>
    bytes.subarray(n * 65_536, (n + 1) * 65_536),
  );
  return readJson(Readable.from(pieces), MIB, room);
};
let holdsNobody: Awaited<ReturnType<typeof createLoopCheck>>;
beforeAll(async () => {
  holdsNobody = await createLoopCheck();
});

const keys = (count: number) => Array.from({ length: count }, (_, n) => `"k${n}":1`).join(',');
test.each([
  ['lists', `[${'[],'.repeat(MIB / 3 - 2)}1]`],
  ['numbers', `[${'1,'.repeat(MIB / 2 - 2)}1]`],
  ['keys', `{${keys(75_000)}}`],
  ['nesting', '['.repeat(MIB - 1)],
  ['short texts', `[${'"abc",'.repeat(MIB / 6 - 2)}1]`],
])('a megabyte of %s is refused before it is parsed', async (name, body) => {
  let error: unknown;
  await holdsNobody(name, async () => {
    error = await caught(read(body));
  });
  expect(error).toMatchObject({ code: 'too_large' });
});

test.each([
  ['a long text with everything in it', { text: `"\\\n\u0001ü${'🐧'.repeat(100_000)}`, step: 1 }],
  ['a long key', { ['k'.repeat(5_000)]: 'v'.repeat(5_000) }],
  ['ten thousand numbers', { handledMessageIds: Array.from({ length: 10_000 }, (_, n) => 1_000_000 + n) }],
  ['an own __proto__', JSON.parse(`{"__proto__":"${'x'.repeat(2_000)}"}`)],
])('%s arrives as it was sent', async (_name, value) => {
  const got = await read(JSON.stringify(value));
  expect(JSON.stringify(got)).toBe(JSON.stringify(value));
});

const escapes = '\\u0001'.repeat(MIB / 8);
const texts = Array.from({ length: 300 }, () => `"${'\\n'.repeat(1_000)}"`);
test.each([
  ['one text of escapes', `["${escapes}"]`],
  ['long texts, one after the other', `[${texts}]`],
  ['long keys', `{${texts.map((text, n) => `"${n}${text.slice(1)}:1`)}}`],
  ['all the keys and values there may be', `{"text":"${escapes}","list":[${'1,'.repeat(8_000)}1],${keys(2_900)}}`],
])('the fullest body there may be, %s, holds nobody', async (name, body) => {
  await holdsNobody(name, async () => {
    expect(await read(body)).toBeDefined();
  });
});

test.each([
  '',
  '{',
  `"${'x'.repeat(5_000)}`,
  `"${'x'.repeat(5_000)}\n"`,
  `"${'\\q'.repeat(5_000)}"`,
])('what is no JSON has no value (%#)', async (body) => {
  expect(await read(body)).toBeUndefined();
});
