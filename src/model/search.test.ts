// The search of the provider through the real proxy: only where the owner switched it on, paid for, and known before its results enter a container.
import type Anthropic from '@anthropic-ai/sdk';
import { afterEach, expect, test } from 'vitest';
import {
  type Closer,
  caught,
  closeAll,
  hello,
  type ProxySetup,
  startProxy,
  textOf,
} from '../../test/fakes/model-proxy.js';
import { PROVIDER_SEARCH } from '../wire.js';
import { withSearches } from './request.js';
import { createUsageTap, tokensOf } from './sse.js';

const closers: Closer[] = [];
afterEach(() => closeAll(closers));
const start = (setup?: ProxySetup) => startProxy(closers, { modelSearch: true, ...setup });
const asked: Anthropic.MessageCreateParamsNonStreaming = { ...hello, tools: [PROVIDER_SEARCH] };
const found = [{ url: 'https://tea.example/', title: 'Tea' }];
const searched = {
  content: [
    { type: 'text' as const, text: 'Looking.' },
    { type: 'server_tool_use' as const, id: 'srvtoolu_1', query: 'tea' },
    { type: 'web_search_tool_result' as const, id: 'srvtoolu_1', found },
    { type: 'text' as const, text: 'Tea is hot.', cites: 'https://tea.example/' },
  ],
};

test('a search costs what the provider takes for it, and its worst case is held meanwhile', async () => {
  const { client, fake, recorded, state, searches } = await start();
  fake.push(searched, { text: 'ok' });
  const first = await client.messages.stream({ ...asked, cache_control: { type: 'ephemeral' } }).finalMessage();
  expect(textOf(first)).toBe('Looking.Tea is hot.');
  expect(searches).toEqual([7]);
  // Five searches at a cent each alone.
  expect(state.mostReserved).toBeGreaterThan(50_000 + 5 * 15_000 * 2.5);
  const assistant = { role: 'assistant' as const, content: first.content };
  await client.messages.create({
    ...asked,
    messages: [...hello.messages, assistant, { role: 'user', content: 'and?' }],
  });
  expect(fake.rejections()).toEqual([]);
  const [call, next] = await recorded(2);
  const billed = fake.requests[0]?.usage;
  const tokens = 2 * (billed?.input_tokens ?? 0) + 2.5 * (billed?.cache_creation_input_tokens ?? 0);
  expect(call).toMatchObject({ estimated: false });
  expect(call?.costMicroUsd).toBe(10_000 + Math.ceil(tokens + 10 * (billed?.output_tokens ?? 0)));
  // What is in the history was found, and paid, before.
  expect(next?.costMicroUsd).toBeLessThan(10_000);
  expect(searches).toEqual([7]);
});

test('a reply without streaming is seen as well', async () => {
  const { client, fake, searches, recorded } = await start();
  fake.push(searched);
  await client.messages.create(asked);
  expect(searches).toEqual([7]);
  expect((await recorded(1))[0]?.costMicroUsd).toBeGreaterThan(10_000);
});

test('of a reply that broke off nobody knows how often it searched: all that was allowed counts', async () => {
  const { client, fake, recorded } = await start();
  fake.push({ ...searched, interrupt: { after: 6, by: 'end' } });
  await caught(client.messages.stream(asked).finalMessage());
  const [call] = await recorded(1);
  expect(call?.estimated).toBe(true);
  expect(call?.costMicroUsd).toBeGreaterThan(50_000 + 5 * 15_000 * 2);
});

test('no budget, no search', async () => {
  const { client, fake } = await start({ limitMicroUsd: 60_000 });
  expect(await caught(client.messages.create(asked))).toMatchObject({ status: 402 });
  expect(fake.requests.filter(({ path }) => path === '/v1/messages')).toEqual([]);
  await client.messages.create(hello);
});

test('a container cannot switch it on, nor send what would come of it', async () => {
  const { client, fake } = await start({ modelSearch: false });
  expect(String(await caught(client.messages.create(asked)))).toContain('web_search_20250305: not available');
  for (const block of [
    { type: 'server_tool_use' as const, id: 'srvtoolu_1', name: 'web_search' as const, input: { query: 'x' } },
    { type: 'web_search_tool_result' as const, tool_use_id: 'srvtoolu_1', content: [] },
  ]) {
    const messages = [...hello.messages, { role: 'assistant' as const, content: [block] }];
    expect(String(await caught(client.messages.create({ ...hello, messages })))).toContain(
      `a block of type ${block.type}`,
    );
  }
  expect(fake.requests).toEqual([]);
});

test.each<[string, Record<string, unknown>]>([
  ['more searches than may be reserved', { max_uses: 6 }],
  ['searches without limit', { max_uses: null }],
  ['no limit at all', { max_uses: undefined }],
  ['another version', { type: 'web_search_20260318' }],
  ['another tool', { type: 'web_fetch_20250910', name: 'web_fetch' }],
  ['another name', { name: 'search' }],
  ['further settings', { user_location: { type: 'approximate', city: 'x' } }],
  ['another caller', { allowed_callers: ['code_execution_20250825'] }],
])('switched on, %s is refused all the same', async (_what, changes) => {
  const { url, fake } = await start();
  const body = JSON.stringify({ ...asked, tools: [{ ...PROVIDER_SEARCH, ...changes }] });
  const answer = await fetch(`${url}/v1/messages`, { method: 'POST', body });
  expect(answer.status).toBe(400);
  expect(await answer.text()).toContain('not available through this gateway');
  expect(fake.requests).toEqual([]);
});

test.each<[string, object]>([
  ['code execution', { type: 'server_tool_use', id: 'srvtoolu_1', name: 'code_execution', input: {} }],
  ['its result', { type: 'code_execution_tool_result', tool_use_id: 'srvtoolu_1', content: {} }],
  [
    'a file among results',
    { type: 'web_search_tool_result', tool_use_id: 'a', content: [{ type: 'document', source: { type: 'url' } }] },
  ],
  ['a container for results', { type: 'web_search_tool_result', tool_use_id: 'a', content: 'text' }],
  [
    'a search in a result',
    { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'server_tool_use', name: 'web_search' }] },
  ],
])('switched on, %s in the history is refused all the same', async (_what, block) => {
  const { url, fake } = await start();
  const messages = [...hello.messages, { role: 'assistant', content: [block] }];
  const answer = await fetch(`${url}/v1/messages`, { method: 'POST', body: JSON.stringify({ ...asked, messages }) });
  expect(answer.status).toBe(400);
  expect(fake.requests).toEqual([]);
});

test('results are seen however the bytes are cut and however long they are, and not in what the model says', () => {
  const block = { type: 'web_search_tool_result', content: [{ encrypted_content: 'x'.repeat(3_000_000) }] };
  const event = (data: object) => Buffer.from(`event: x\ndata: ${JSON.stringify(data)}\n\n`);
  for (const size of [1_000, 65_536]) {
    let seenAt: number | undefined;
    const bytes = event({ type: 'content_block_start', index: 1, content_block: block });
    let fed = 0;
    const tap = createUsageTap(() => {
      seenAt = fed;
    });
    for (; fed < bytes.length; fed += size) tap.feed(bytes.subarray(fed, fed + size));
    expect(seenAt).toBe(0);
  }
  let count = 0;
  const one = createUsageTap(() => {
    count += 1;
  });
  const words = 'I saw {"type":"web_search_tool_result"} there';
  one.feed(event({ type: 'content_block_delta', delta: { type: 'text_delta', text: words } }));
  expect(count).toBe(0);
  for (const byte of event({ content_block: { ...block, content: [] } })) one.feed(Buffer.from([byte]));
  one.feed(event({ content_block: { ...block, content: [] } }));
  expect(count).toBe(1);
});

test('the worst case grows with each search that is allowed, in the kind of tokens that the call writes', () => {
  const plain = { ...tokensOf({}), inputTokens: 1_000, outputTokens: 10 };
  expect(withSearches(plain)).toEqual(plain);
  expect(withSearches({ ...plain, webSearches: 2 })).toMatchObject({ inputTokens: 1_000 + 30_000 + 2_000 + 15_000 });
  const cached = { ...plain, inputTokens: 0, cacheWrite1hTokens: 1_000, webSearches: 2 };
  expect(withSearches(cached)).toMatchObject({ cacheWrite1hTokens: 31_000, cacheReadTokens: 17_000, outputTokens: 10 });
});
