// The provider's own search in the loop: its blocks go back as they came, paused turns go on, and a history of them serves a back end without it.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RunSpec } from '../../../src/wire.js';
import { testMessage } from './testing/host.js';
import { type Bench, setUp, use } from './testing/setup.js';

let bench: Bench;
beforeEach(async () => {
  bench = await setUp([]);
});
afterEach(() => bench.close());

const found = [
  { url: 'https://tea.example/?a=1', title: 'Tea' },
  { url: 'https://water.example/', title: 'Water' },
];
const search = (id: string) => ({ type: 'server_tool_use' as const, id: `srvtoolu_${id}`, query: `about ${id}` });
const result = (id: string, pages: typeof found | string = found) => ({
  ...{ type: 'web_search_tool_result' as const, id: `srvtoolu_${id}` },
  found: pages,
});
const text = (words: string, cites?: string) => ({ type: 'text' as const, text: words, ...(cites && { cites }) });

const run = (id: number, changes: Partial<RunSpec> = {}) =>
  bench.run({ id, search: 'model', messages: [testMessage(id, `question ${id}`)], ...changes });
const bodies = () => bench.fake.requests.map(({ body }) => body);
const kinds = (at: number) =>
  bodies()[at]?.messages.map(
    ({ role, content }) => `${role}: ${typeof content === 'string' ? '' : content.map((b) => b.type).join(' ')}`,
  );
const fine = () => expect(bench.fake.rejections()).toEqual([]);

test('what was found goes back byte for byte in every later call, and its sources are named', async () => {
  bench.fake.push(
    {
      content: [text('Let me look.'), search('a'), result('a'), text('Tea is '), text('hot', found[0]?.url), text('.')],
      splitBytes: 7,
    },
    { text: 'again' },
  );
  const first = await run(1);
  expect(first).toMatchObject({ outcome: 'done', text: 'Tea is hot.\n\nSources:\n- <https://tea.example/?a=1>' });
  await run(2);
  fine();
  const [one, two] = bodies();
  const tools = one?.tools?.filter(({ name }) => name === 'web_search');
  expect(tools).toEqual([{ type: 'web_search_20250305', name: 'web_search', max_uses: 5 }]);
  expect(JSON.stringify(one?.system)).not.toContain('There is no web search');
  const sent = two?.messages[1]?.content;
  const stored = bench.history().find((r) => r.kind === 'assistant');
  expect(stored?.kind === 'assistant' && stored.content).toEqual(sent);
  expect(kinds(1)?.[1]).toBe('assistant: text server_tool_use web_search_tool_result text text text');
  expect(bench.fake.prefixChanges()).toEqual([]);
  const told = bench.host.events.filter(({ detail }) => detail.id === 'srvtoolu_a').map(({ kind }) => kind);
  expect(told).toEqual(['tool_started', 'tool_finished']);
});

test('a paused turn goes on, also when its search has no result yet', async () => {
  bench.fake.push(
    { content: [text('Looking.'), search('a'), result('a'), search('b')], stopReason: 'pause_turn' },
    { content: [result('b'), text('Both found.')] },
    { text: 'ok' },
  );
  expect(await run(1)).toMatchObject({ outcome: 'done', text: 'Both found.' });
  await run(2);
  fine();
  expect(kinds(1)?.at(-1)).toBe('assistant: text server_tool_use web_search_tool_result server_tool_use');
});

test('a search beside calls of our own waits for their results', async () => {
  bench.fake.push(
    { content: [search('a'), use('bash', { command: 'echo 1' })], stopReason: 'tool_use' },
    { content: [result('a'), text('done')] },
    { text: 'ok' },
  );
  expect(await run(1)).toMatchObject({ text: 'done' });
  await run(2);
  fine();
  expect(kinds(2)?.slice(1, 4)).toEqual([
    'assistant: server_tool_use tool_use',
    'user: tool_result',
    'assistant: web_search_tool_result text',
  ]);
});

test('a search that failed ends nothing', async () => {
  bench.fake.push({ content: [search('a'), result('a', 'too_many_requests'), text('No luck.')] }, { text: 'ok' });
  expect(await run(1)).toMatchObject({ outcome: 'done', text: 'No luck.' });
  await run(2);
  fine();
  expect(bench.host.events.find(({ kind }) => kind === 'tool_finished')?.detail).toMatchObject({ ok: false });
});

test('a turn that was paused and then given up leaves a history that the provider takes', async () => {
  const fault = { fault: 400, type: 'invalid_request_error', message: 'no' };
  bench.fake.push({ content: [text('Looking.'), search('a')], stopReason: 'pause_turn' }, fault, { text: 'ok' });
  expect(await run(1)).toMatchObject({ outcome: 'failed' });
  expect(await run(2)).toMatchObject({ outcome: 'done', text: 'ok' });
  fine();
  expect(kinds(2)).toEqual(['user: text', 'assistant: text', 'user: text']);
});

test('a reply that was cut behind a search goes on without it', async () => {
  bench.fake.push({ content: [text('Looking.'), search('a')], stopReason: 'max_tokens' }, { text: 'and on' });
  await run(1);
  fine();
  expect(kinds(1)?.[1]).toBe('assistant: text');
});

test('a long conversation is not summarized while a turn is paused', async () => {
  bench.fake.push(
    { content: [search('a')], stopReason: 'pause_turn', usage: { input_tokens: 170_000 } },
    { content: [result('a'), text('found')], usage: { input_tokens: 170_000 } },
    { text: 'nothing' },
    { text: 'the summary' },
    { text: 'ok' },
  );
  expect(await run(1)).toMatchObject({ text: 'found' });
  expect(await run(2)).toMatchObject({ text: 'ok' });
  fine();
  expect(bench.history().filter(({ kind }) => kind === 'compact')).toHaveLength(1);
});

test('once it is switched off, the words stay and what only the provider can read goes', async () => {
  bench.fake.push(
    { content: [{ type: 'thinking', thinking: 'hm' }, search('a'), result('a'), text('hot', found[0]?.url)] },
    { content: [{ type: 'thinking', thinking: 'and' }, text('more')] },
    { text: 'ok' },
    { text: 'still' },
  );
  await run(1);
  await run(2);
  for (const off of [undefined, { service: 'brave', engine: 'brave' as const }]) {
    const id = off ? 4 : 3;
    await bench.run({ id, messages: [testMessage(id, 'go')], ...(off && { search: off }) });
  }
  fine();
  expect(kinds(2)).toEqual(['user: text', 'assistant: text', 'user: text', 'assistant: text', 'user: text']);
  expect(JSON.stringify(bodies()[2]?.messages)).not.toContain('encrypted');
  // A tool of our own with the same name would be refused beside the provider's.
  expect(bodies()[3]?.tools?.filter(({ name }) => name === 'web_search')).toHaveLength(1);
});
