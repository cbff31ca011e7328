// Each refusal of the real API that the fake repeats, sent as raw HTTP; and the neighbours it must let through.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type FakeAnthropic, startFakeAnthropic } from './anthropic.js';

let fake: FakeAnthropic;
beforeAll(async () => {
  fake = await startFakeAnthropic();
});
afterAll(() => fake.close());

const HEADERS = { 'x-api-key': 'test-key', 'anthropic-version': '2026-10-21', 'content-type': 'application/json' };

const failure = z.object({ error: z.object({ type: z.string(), message: z.string() }).optional() });

async function send(body: object | string, headers: Record<string, string> = {}, path = '/v1/messages') {
  const merged = new Headers({ ...HEADERS, ...headers });
  for (const [name, value] of Object.entries(headers)) if (value === '') merged.delete(name);
  const source = typeof body === 'string' ? body : JSON.stringify({ ...base, ...body });
  const response = await fetch(`${fake.url}${path}`, { method: 'POST', headers: merged, body: source });
  const answer = failure.parse(await response.json());
  return { status: response.status, type: answer.error?.type, message: answer.error?.message ?? '' };
}

const base = { model: 'claude-sonnet-5-5', max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] };
const user = (...content: object[]) => ({ role: 'user', content });
const assistant = (...content: object[]) => ({ role: 'assistant', content });
const text = (words: string, more: object = {}) => ({ type: 'text', text: words, ...more });
const use = (id: string) => ({ type: 'tool_use', id, name: 'bash', input: {} });
const result = (id: string, more: object = {}) => ({ type: 'tool_result', tool_use_id: id, content: 'ok', ...more });
const tool = (name: string, more: object = {}) => ({ name, input_schema: { type: 'object' }, ...more });
const searchTool = { type: 'web_search_20250305', name: 'web_search', max_uses: 5 };
const search = (id: string) => ({ type: 'server_tool_use', id, name: 'web_search', input: { query: 'x' } });
const page = { type: 'web_search_result', url: 'https://a.example/', title: 'A', encrypted_content: 'forged' };
const found = (id: string, ...pages: object[]) => ({ type: 'web_search_tool_result', tool_use_id: id, content: pages });
const cited = { type: 'web_search_result_location', url: 'u', title: 't', cited_text: 'c', encrypted_index: 'forged' };
const withSearch = (...list: object[]) => ({ tools: [searchTool], messages: [user(text('a')), ...list] });
const mark = (ttl?: string) => ({ cache_control: { type: 'ephemeral', ...(ttl && { ttl }) } });
const beta = (name: string) => ({ 'anthropic-beta': name });
const messages = (...list: object[]) => ({ messages: list });
const PNG = (width: number, height: number) => {
  const bytes = Buffer.alloc(33);
  bytes.write('\x89PNG\r\n\x1a\n', 0, 'latin1');
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes;
};
const image = (bytes: Buffer, media_type = 'image/png') => ({
  type: 'image',
  source: { type: 'base64', media_type, data: bytes.toString('base64') },
});
const JPEG = Buffer.from('ffd8ffe000044a46ffc0000b08010002000101110000', 'hex');

test.each<[string, object, Record<string, string>, number, RegExp]>([
  ['no version header', {}, { 'anthropic-version': '' }, 400, /anthropic-version/],
  ['another content type', {}, { 'content-type': 'text/plain' }, 400, /content-type/],
  ['a wrong key', {}, { 'x-api-key': 'wrong' }, 401, /x-api-key/],
  ['no key', {}, { 'x-api-key': '' }, 401, /x-api-key/],
  ['two keys of which one is wrong', {}, { authorization: 'Bearer wrong' }, 401, /x-api-key/],
  ['an unknown model', { model: 'claude-none' }, {}, 404, /model: claude-none/],
  ['an unknown field', { surprise: 1 }, {}, 400, /^surprise: Extra inputs are not permitted/],
  ['an unknown key of a tool', { tools: [tool('a', { run: 1 })] }, {}, 400, /^tools\.0\.run: Extra inputs/],
  [
    'an unknown key of a block',
    messages(user(text('a', { id: 1 }))),
    {},
    400,
    /^messages\.0\.content\.0\.id: Extra inputs/,
  ],
  [
    'a search without its result',
    withSearch(assistant(search('srvtoolu_a')), user(text('b'))),
    {},
    400,
    /`srvtoolu_a` was found without a corresponding `web_search_tool_result` block/,
  ],
  ['a result without its search', withSearch(assistant(found('srvtoolu_a'))), {}, 400, /unexpected `tool_use_id`/],
  [
    'a page that the provider did not find so',
    withSearch(assistant(search('srvtoolu_a'), found('srvtoolu_a', page), text('b')), user(text('c'))),
    {},
    400,
    /Invalid `encrypted_content`/,
  ],
  [
    'a citation that the provider did not make',
    withSearch(assistant(text('b', { citations: [cited] })), user(text('c'))),
    {},
    400,
    /Invalid `encrypted_index`/,
  ],
  [
    'a search that is not offered',
    messages(user(text('a')), assistant(search('srvtoolu_a'), found('srvtoolu_a'), text('b')), user(text('c'))),
    {},
    400,
    /not in `tools`/,
  ],
  [
    'a search tool beside one of the same name',
    { tools: [searchTool, tool('web_search')] },
    {},
    400,
    /Tool names must be unique/,
  ],
  ['another server tool', { tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }] }, {}, 400, /tools/],
  ['no messages', messages(), {}, 400, /messages/],
  ['no max_tokens', { max_tokens: undefined }, {}, 400, /max_tokens/],
  ['a broken max_tokens', { max_tokens: 1.5 }, {}, 400, /max_tokens/],
  ['too many max_tokens', { max_tokens: 128_001 }, {}, 400, /128001 > 128000/],
  ['temperature', { temperature: 1 }, {}, 400, /temperature/],
  ['top_p', { top_p: 1 }, {}, 400, /top_p/],
  ['threads without their beta', { thread: { type: 'create' } }, {}, 400, /^thread: Extra/],
  ['context management without its beta', { context_management: { edits: [] } }, {}, 400, /^context_management: Extra/],
  ['MCP servers without their beta', { mcp_servers: [] }, {}, 400, /^mcp_servers: Extra/],
  ['progress texts without their beta', { thinking: { type: 'adaptive', display: 'updates' } }, {}, 400, /display/],
  ['the assistant first', messages(assistant(text('a')), user(text('b'))), {}, 400, /first message/],
  ['an empty message', messages({ role: 'user', content: '' }), {}, 400, /non-empty content/],
  ['an empty list of blocks', messages(user()), {}, 400, /non-empty content/],
  ['an empty text', messages(user(text(''))), {}, 400, /must be non-empty/],
  ['only white space', messages(user(text(' \n'))), {}, 400, /non-whitespace/],
  ['prefill', messages(user(text('a')), assistant(text('b'))), {}, 400, /prefill/],
  [
    'white space at the end of a prefill',
    { model: 'claude-haiku-4-5', ...messages(user(text('a')), assistant(text('b '))) },
    {},
    400,
    /trailing whitespace/,
  ],
  ['a tool call of the user', messages(user(use('a'))), {}, 400, /can only be in `assistant`/],
  [
    'a document of the assistant',
    messages(user(text('a')), assistant({ type: 'document', source: {} }), user(text('b'))),
    {},
    400,
    /can only be in `user`/,
  ],
  [
    'an unanswered tool call',
    messages(user(text('a')), assistant(use('x')), user(text('b'))),
    {},
    400,
    /without `tool_result` blocks immediately after: x/,
  ],
  ['a tool call at the very end', messages(user(text('a')), assistant(use('x'))), {}, 400, /without `tool_result`/],
  ['a result of nothing', messages(user(result('x'))), {}, 400, /unexpected `tool_use_id`/],
  [
    'two results of one call',
    messages(user(text('a')), assistant(use('x')), user(result('x'), result('x'))),
    {},
    400,
    /single result/,
  ],
  [
    'a text before the results',
    messages(user(text('a')), assistant(use('x')), user(text('b'), result('x'))),
    {},
    400,
    /must come first/,
  ],
  [
    'the same id twice',
    messages(user(text('a')), assistant(use('x')), user(result('x')), assistant(use('x')), user(result('x'))),
    {},
    400,
    /unique/,
  ],
  ['an id with a dot', messages(user(text('a')), assistant(use('x.y')), user(result('x.y'))), {}, 400, /pattern/],
  ['two tools of one name', { tools: [tool('a'), tool('a')] }, {}, 400, /unique/],
  ['a tool name with a dot', { tools: [tool('a.b')] }, {}, 400, /pattern/],
  ['a schema that is no object', { tools: [{ name: 'a', input_schema: { type: 'string' } }] }, {}, 400, /input_schema/],
  [
    'a forced tool on a 5.5 model',
    { tools: [tool('a')], tool_choice: { type: 'any' } },
    {},
    400,
    /not supported by this model/,
  ],
  ['a choice without tools', { tool_choice: { type: 'auto' } }, {}, 400, /only be specified while providing tools/],
  [
    'five cache marks',
    { ...mark(), ...messages(user(...Array.from({ length: 4 }, () => text('a', mark())))) },
    {},
    400,
    /maximum of 4/,
  ],
  [
    'an hour mark behind a short one',
    messages(user(text('a', mark()), text('b', mark('1h')))),
    {},
    400,
    /must not come after/,
  ],
  [
    'a cache mark on thinking',
    messages(user(text('a')), assistant({ type: 'thinking', thinking: 'a', signature: 'b', ...mark() })),
    {},
    400,
    /Extra inputs/,
  ],
  [
    'a forged thinking block',
    messages(
      user(text('a')),
      assistant({ type: 'thinking', thinking: 'a', signature: 'b' }, text('c')),
      user(text('d')),
    ),
    {},
    400,
    /Invalid `signature`/,
  ],
  [
    'a thinking budget over max_tokens',
    { thinking: { type: 'enabled', budget_tokens: 1024 } },
    {},
    400,
    /greater than `thinking\.budget_tokens`/,
  ],
  ['a small thinking budget', { thinking: { type: 'enabled', budget_tokens: 1000 } }, {}, 400, /budget_tokens/],
  [
    'broken base64',
    messages(user({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: '###' } })),
    {},
    400,
    /base64/,
  ],
  ['an image that is none', messages(user(image(Buffer.from('hello world!')))), {}, 400, /Could not process image/],
  ['an image of another type', messages(user(image(PNG(1, 1), 'image/jpeg'))), {}, 400, /appears to be a image\/png/],
  ['an image too wide', messages(user(image(PNG(8001, 1)))), {}, 400, /8000 pixels/],
  [
    'an image too wide in a tool result',
    messages(user(text('a')), assistant(use('x')), user(result('x', { content: [image(PNG(1, 8001))] }))),
    {},
    400,
    /8000 pixels/,
  ],
  [
    'an image too large',
    messages(user(image(Buffer.concat([PNG(1, 1), Buffer.alloc(5 * 1024 * 1024)])))),
    {},
    400,
    /5 MB maximum/,
  ],
  [
    'many wide images',
    messages(user(...Array.from({ length: 21 }, () => image(PNG(2001, 1))))),
    {},
    400,
    /many-image requests: 2000 pixels/,
  ],
  [
    'too many images',
    messages(user(...Array.from({ length: 101 }, () => image(PNG(1, 1))))),
    {},
    400,
    /Too much media: 0 document pages \+ 101 images/,
  ],
  [
    'a prompt over the window',
    { model: 'claude-haiku-4-5', ...messages(user(text('x'.repeat(900_000)))) },
    {},
    400,
    /prompt is too long/,
  ],
])('%s is refused', async (_name, body, headers, status, words) => {
  const answer = await send(body, headers);
  expect(answer).toMatchObject({ status, message: expect.stringMatching(words) });
  const types: Record<number, string> = {
    401: 'authentication_error',
    404: 'not_found_error',
    400: 'invalid_request_error',
  };
  expect(answer.type).toBe(types[status]);
});

test.each<[string, object, Record<string, string>]>([
  ['a bearer token', {}, { 'x-api-key': '', authorization: 'Bearer test-key' }],
  ['temperature of the older version', { temperature: 1 }, { 'anthropic-version': '2023-06-01' }],
  ['threads with their beta', { thread: { type: 'create' } }, beta('other, message-threads-2026-08-12')],
  [
    'a compaction first, with its beta',
    messages(assistant({ type: 'compaction', content: 'x' }), user(text('a'))),
    beta('compact-2026-09-04'),
  ],
  ['a paused search', withSearch(assistant(text('b'), search('srvtoolu_a'))), {}],
  [
    'a search that waits for results of other calls',
    withSearch(assistant(search('srvtoolu_a'), use('x')), user(result('x'))),
    {},
  ],
  ['two messages of one role', messages(user(text('a')), user(text('b'))), {}],
  [
    'results over two messages',
    messages(user(text('a')), assistant(use('x'), use('y')), user(result('x')), user(result('y'), text('b'))),
    {},
  ],
  [
    'a text behind the results',
    messages(user(text('a')), assistant(text('b'), use('x')), user(result('x'), text('c'))),
    {},
  ],
  [
    'a result without content',
    messages(user(text('a')), assistant(use('x')), user({ type: 'tool_result', tool_use_id: 'x', is_error: true })),
    {},
  ],
  ['prefill on an older model', { model: 'claude-haiku-4-5', ...messages(user(text('a')), assistant(text('b'))) }, {}],
  [
    'a forced tool on a model that has it',
    { model: 'claude-haiku-5-5', tools: [tool('a')], tool_choice: { type: 'tool', name: 'a' } },
    {},
  ],
  [
    'four cache marks, the long ones first',
    { ...mark(), system: [text('a', mark('1h'))], ...messages(user(text('a', mark()), text('b', mark()))) },
    {},
  ],
  ['a JPEG', messages(user(image(JPEG, 'image/jpeg'))), {}],
  ['twenty wide images', messages(user(...Array.from({ length: 20 }, () => image(PNG(2001, 1))))), {}],
  ['system as text', { system: 'Be terse.' }, {}],
])('%s is accepted', async (_name, body, headers) => {
  expect(await send(body, headers)).toEqual({ status: 200, type: undefined, message: '' });
});

test('half a surrogate pair, broken JSON and a body over 32 MB are refused', async () => {
  expect(await send(JSON.stringify({ ...base, ...messages(user(text('a \ud83d b'))) }))).toMatchObject({
    status: 400,
    message: expect.stringMatching(/surrogate/),
  });
  expect(
    await send(JSON.stringify({ ...base, ...messages(user(text('\\ud83d is how it is written, 🐧'))) })),
  ).toMatchObject({ status: 200 });
  expect(await send('{"model"')).toMatchObject({ status: 400 });
  expect(await send('x'.repeat(32 * 1024 * 1024 + 1))).toMatchObject({ status: 413, type: 'request_too_large' });
});

test('other paths and methods are refused', async () => {
  expect(await send({}, {}, '/v1/models')).toMatchObject({ status: 404 });
  expect((await fetch(`${fake.url}/v1/messages`)).status).toBe(405);
});

test('a refused request does not use up a step of the script', async () => {
  fake.push({ text: 'the step' });
  await send({ surprise: 1 });
  expect(fake.remaining()).toBe(1);
  await send({});
  expect(fake.remaining()).toBe(0);
});
