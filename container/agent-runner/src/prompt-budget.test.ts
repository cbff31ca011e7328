// What the prompt costs before anybody said a word: the first request of a group without memory, services or a web search.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bench, setUp } from './testing/setup.js';

const MAX_TOKENS = 6_000;
/** About so many characters of JSON make a token. */
const CHARS_PER_TOKEN = 3.6;
const tokensOf = (part: unknown) => Math.ceil(JSON.stringify(part).length / CHARS_PER_TOKEN);

let bench: Bench;
beforeAll(async () => {
  bench = await setUp([{ text: 'ok' }]);
  fs.cpSync(path.join(import.meta.dirname, '../../skills'), bench.paths.skills, { recursive: true });
});
afterAll(() => bench.close());

test(`tools and system text of the main group have ${MAX_TOKENS} tokens at most`, async () => {
  await bench.run();
  const { tools = [], system } = bench.fake.requests[0]?.body ?? {};
  const texts = typeof system === 'string' ? [] : (system ?? []).flatMap(({ text }) => text.split(/\n\n(?=# )/));
  expect(texts.map((text) => text.split('\n')[0])).toEqual([
    expect.stringContaining('You are'),
    '# Rules',
    '# Tools',
    '# Skills',
  ]);
  for (const tool of tools) console.log(`  ${tool.name}: ${tokensOf(tool)}`);
  for (const text of texts) console.log(`  ${text.split('\n')[0]?.slice(0, 20)}: ${tokensOf(text)}`);
  console.log(`tools ${tokensOf(tools)} + system ${tokensOf(system)} tokens of ${MAX_TOKENS}`);
  expect(tokensOf(tools) + tokensOf(system)).toBeLessThanOrEqual(MAX_TOKENS);
});
