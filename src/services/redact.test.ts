// The credential does not come back, whole, coded or in pieces.

import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRedactor, matcherOf, redactText } from './redact.js';

const SECRET = 'ghp_s3cr3t/+token"ü~9';
const forms = {
  plain: SECRET,
  base64: Buffer.from(SECRET).toString('base64'),
  'base64 for URLs': Buffer.from(SECRET).toString('base64url'),
  percent: encodeURIComponent(SECRET),
  'percent in small letters': encodeURIComponent(SECRET).replace(/%../g, (byte) => byte.toLowerCase()),
  JSON: JSON.stringify(SECRET).slice(1, -1),
  'in longer base64': Buffer.from(`authorization: Bearer ${SECRET}\n`).toString('base64'),
  'in longer base64, one on': Buffer.from(`xauthorization: Bearer ${SECRET}\n`).toString('base64'),
  'in longer base64, two on': Buffer.from(`xxauthorization: Bearer ${SECRET}\n`).toString('base64'),
};

async function pass(text: Buffer, cuts: number[]): Promise<string> {
  const edges = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
  const chunks = edges.slice(1).map((end, at) => text.subarray(edges[at], end));
  return (await buffer(Readable.from(chunks).pipe(createRedactor(matcherOf([SECRET]))))).toString('latin1');
}

test.each(Object.entries(forms))('%s is taken out wherever the chunks part', async (_name, form) => {
  const text = Buffer.from(`{"a": "${form}", "b": "${form}${form}"} end`);
  const whole = await pass(text, []);
  expect(whole).toHaveLength(text.length);
  expect(whole).not.toContain(form.slice(4, -8));
  expect(whole).toContain('"} end');
  for (let cut = 1; cut < text.length; cut++) expect(await pass(text, [cut])).toBe(whole);
  expect(redactText(matcherOf([SECRET]), form)).not.toContain(form.slice(4, -8));
});

test('any chunks of any text come out as the whole would, nothing else is changed', async () => {
  const part = fc.oneof(
    fc.constantFrom(...Object.values(forms)),
    fc.string(),
    fc.constant('ghp_s3'),
    fc.constant('Bearer '),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 8 }), async (parts, cuts) => {
      const text = Buffer.from(parts.join(''));
      const out = await pass(text, cuts);
      expect(out).toBe(await pass(text, []));
      expect(out).not.toContain(Buffer.from(SECRET).toString('latin1'));
      if (!parts.some((one) => Object.values(forms).includes(one))) expect(out).toBe(text.toString('latin1'));
    }),
    { numRuns: 200 },
  );
});

test('what cannot be the beginning of a secret is not kept back', async () => {
  const redactor = createRedactor(matcherOf([SECRET]));
  redactor.write('data: hello\n\n');
  expect(String(redactor.read())).toBe('data: hello\n\n');
  redactor.write('data: ghp_s3');
  expect(String(redactor.read())).toBe('data: ');
  redactor.end('x');
  expect((await buffer(redactor)).toString()).toBe('ghp_s3x');
});
