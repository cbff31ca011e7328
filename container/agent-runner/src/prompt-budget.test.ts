// What the prompt costs before anybody said a word: the first request of a group without memory, services or a web search.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ServicesHome, startHome } from '../../../src/services/testing/home.js';
import { aboutTokens } from '../../../src/wire.js';
import { type Bench, setUp } from './testing/setup.js';

const MAX_TOKENS = 6_000;
const tokensOf = (part: unknown) => aboutTokens(JSON.stringify(part));

let bench: Bench;
let home: ServicesHome;
beforeAll(async () => {
  bench = await setUp([]);
  const service = { kind: 'http', url: 'http://127.0.0.1:9', groups: ['main', 'family'] };
  home = await startHome({
    issues: { ...service, description: 'the issues of our projects' },
    notes: { ...service, description: 'what we wrote down' },
    web: { ...service, search: 'searxng' },
  });
  fs.cpSync(path.join(import.meta.dirname, '../../skills'), bench.paths.skills, { recursive: true });
});
afterAll(() => Promise.all([bench.close(), home.end()]));

test(`tools and system text of the main group have ${MAX_TOKENS} tokens at most`, async () => {
  bench.fake.push({ text: 'ok' });
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

test('what `pinch config` says that services add is what they add', async () => {
  const { services, search } = {
    services: home.module.forRun(home.group.id),
    search: home.module.searchFor(home.group.id),
  };
  bench.fake.push({ text: 'ok' }, { text: 'ok' });
  await bench.run({ id: 2, session: 'without' });
  await bench.run({ id: 3, session: 'with', ...(services && { services }), ...(search && { search }) });
  const [without, all] = bench.fake.requests
    .slice(-2)
    .map(({ body }) => tokensOf(body?.tools) + tokensOf(body?.system));
  const parts = home.module.promptParts();
  console.log(parts);
  expect(parts.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
    'services heading',
    'issues http',
    'notes http',
    'web http',
  ]);
  expect(parts.every(({ groups }) => groups.join() === 'main,family')).toBe(true);
  // The line about the search that is missing goes when there is one.
  const about =
    (all ?? 0) - (without ?? 0) + aboutTokens(' There is no web search: the owner can set one up (docs/services.md).');
  const said = parts.reduce((sum, { tokens }) => sum + tokens, 0);
  expect(Math.abs(said - about)).toBeLessThanOrEqual(8);
});
