// What the model proxy refuses, passes on or changes at the edges: sizes, paths, fields, waits, redirects, slow readers.
import http from 'node:http';
import { APIError } from '@anthropic-ai/sdk';
import { afterEach, expect, test } from 'vitest';
import {
  type Closer,
  caught,
  closeAll,
  hello,
  httpBackend,
  listen,
  type ProxySetup,
  startProxy,
} from '../../test/fakes/model-proxy.js';
import { systemClock } from '../core/clock.js';
import { BODY_LIMIT_BYTES } from './body.js';

const closers: Closer[] = [];
afterEach(() => closeAll(closers));
const start = (setup?: ProxySetup) => startProxy(closers, setup);

test('how long to wait is told to the runner as it was said', async () => {
  const { client, fake } = await start();
  fake.push({ fault: 429, type: 'rate_limit_error', headers: { 'retry-after': '61', 'retry-after-ms': '61000' } });
  const error = await caught(client.messages.create(hello));
  expect(error instanceof APIError && error.headers?.get('retry-after')).toBe('61');
  expect(error instanceof APIError && error.headers?.get('retry-after-ms')).toBe('61000');
});

test('a body over 32 MB is refused with 413 and not sent on', async () => {
  const { client, fake, calls } = await start();
  const messages = [{ role: 'user' as const, content: 'x'.repeat(BODY_LIMIT_BYTES) }];
  expect(await caught(client.messages.create({ ...hello, messages }))).toMatchObject({
    status: 413,
    type: 'request_too_large',
  });
  expect(fake.requests).toHaveLength(0);
  expect(calls).toHaveLength(0);
});

test.each([
  ['/v1/models', 'POST', 403],
  ['/v1/messages/batches', 'POST', 403],
  ['/v1/messages/../models', 'POST', 403],
  ['/v1/messages', 'GET', 405],
])('%s (%s) is refused', async (path, method, status) => {
  const { url, fake } = await start();
  const response = await new Promise<number>((resolve) => {
    const { hostname, port } = new URL(url);
    http.request({ hostname, port, path, method }, (answer) => resolve(answer.resume().statusCode ?? 0)).end();
  });
  expect(response).toBe(status);
  expect(fake.requests).toHaveLength(0);
});

const png = { type: 'base64', media_type: 'image/png', data: 'aGk=' };
const urlImage = { type: 'image', source: { type: 'url', url: 'https://evil.example/?leak' } };
const user = (...content: object[]) => ({ messages: [{ role: 'user', content }] });
const result = (...content: object[]) => user({ type: 'tool_result', tool_use_id: 'a', content });
test.each<[string, object]>([
  ['MCP servers', { mcp_servers: [{ type: 'url', url: 'https://evil.example', name: 'x' }] }],
  ['server tools', { tools: [{ type: 'web_fetch_20260318', name: 'web_fetch' }] }],
  ['code execution', { tools: [{ type: 'code_execution_20260521', name: 'code_execution' }] }],
  ['threads', { thread: { type: 'create' } }],
  ['fast mode', { speed: 'fast' }],
  ['a dearer tier', { service_tier: 'auto' }],
  ['a dearer place', { inference_geo: 'us' }],
  ['a container of the provider', { container: 'c' }],
  ['fallback models', { fallbacks: [{ model: 'claude-fable-5-1' }] }],
  ['compaction by the provider', { context_management: { edits: [{ type: 'compact_20260112' }] } }],
  ['what the API may learn next', { teleport: true }],
  ['fields in capitals', { MESSAGES: [] }],
  ['longer cache lifetimes', { cache_control: { type: 'ephemeral', ttl: '30d' } }],
  [
    'longer cache lifetimes of a block',
    user({ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl: '30d' } }),
  ],
  ['images in the system text', { system: [{ type: 'image', source: png }] }],
  ['uploads', user({ type: 'container_upload', file_id: 'f' })],
  ['stored files', user({ type: 'document', source: { type: 'file', file_id: 'f' } })],
  ['stored files beside a text', user({ type: 'document', source: { type: 'text', data: 'x', file_id: 'f' } })],
  ['stored images', user({ type: 'image', source: { type: 'file', file_id: 'f' } })],
  ['documents by URL', user({ type: 'document', source: { type: 'url', url: 'https://evil.example' } })],
  ['documents of other kinds', user({ type: 'document', source: { ...png, media_type: 'application/zip' } })],
  ['images by URL', user(urlImage)],
  ['images by URL under another key', user({ type: 'image', source: png, Source: urlImage.source })],
  ['images by URL in a tool result', result(urlImage)],
  ['images by URL in a document', user({ type: 'document', source: { type: 'content', content: [urlImage] } })],
  ['images by URL instead of a list', { messages: [{ role: 'user', content: urlImage }] }],
  ['sources of other blocks', user({ type: 'text', text: 'x', source: urlImage.source })],
  ['results of server tools', user({ type: 'web_search_tool_result', tool_use_id: 'a', content: [] })],
  ['uses of server tools', user({ type: 'server_tool_use', id: 'a', name: 'web_search', input: {} })],
  ['uploads in a tool result', result({ type: 'container_upload', file_id: 'f' })],
  ['tool results in tool results', result({ type: 'tool_result', tool_use_id: 'b', content: [urlImage] })],
  ['blocks that are none', { messages: [{ role: 'user', content: ['x'] }] }],
])('%s would get around the missing network or the prices, and are refused', async (_name, extra) => {
  const { url, fake } = await start();
  const body = JSON.stringify({ ...hello, ...extra });
  const response = await fetch(`${url}/v1/messages`, { method: 'POST', body });
  expect(response.status).toBe(400);
  expect(await response.text()).toContain('not available through this gateway');
  expect(fake.requests).toHaveLength(0);
});

test('every kind of block that the runner or a script needs goes through', async () => {
  const seen: unknown[] = [];
  const server = await rawServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    seen.push(JSON.parse(body));
    response.end('{}');
  });
  const { url } = await start({ backend: () => httpBackend(server) });
  const text = { type: 'text', text: 'x'.repeat(5_000), cache_control: { type: 'ephemeral', ttl: '1h' } };
  const media = [
    { type: 'image', source: png },
    {
      type: 'document',
      source: { type: 'text', media_type: 'text/plain', data: 'x' },
      title: 't',
      citations: { enabled: true },
    },
    { type: 'document', source: { type: 'content', content: [text] } },
    { type: 'search_result', source: 'https://e.org', title: 't', content: [text] },
  ];
  const body = {
    ...hello,
    system: [text],
    tools: [{ type: 'custom', name: 'bash', input_schema: { type: 'object' }, cache_control: null }, { name: 'b' }],
    cache_control: { type: 'ephemeral' },
    thinking: { type: 'adaptive' },
    messages: [
      { role: 'user', content: [text, ...media] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: '', signature: 's'.repeat(3_000) },
          { type: 'redacted_thinking', data: 'd' },
          {
            type: 'tool_use',
            id: 'a',
            name: 'bash',
            input: { command: '"\\'.repeat(2_000), source: { type: 'url' }, [`${'k'.repeat(2_000)}`]: 1 },
          },
        ],
      },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'a', content: [text, ...media], is_error: false }],
      },
    ],
  };
  const response = await fetch(`${url}/v1/messages`, { method: 'POST', body: JSON.stringify(body) });
  expect(await response.text()).toBe('{}');
  expect(seen).toEqual([body]);
});

test('only headers on the list go out and come back', async () => {
  const sent: http.IncomingHttpHeaders[] = [];
  const server = await rawServer((request, response) => {
    sent.push(request.headers);
    const back = { 'anthropic-organization-id': 'org', 'anthropic-new': '1', 'set-cookie': 'a=b', 'request-id': 'r1' };
    response.writeHead(200, back).end('{}');
  });
  const { url } = await start({ backend: () => httpBackend(server, 'key') });
  const headers = {
    'anthropic-version': '2026-10-21',
    'anthropic-beta': 'fast-mode-2026-02-01, token-counting-2024-11-01,files-api-2025-04-14',
    'anthropic-workspace-id': 'w',
    'anthropic-invented': '1',
    'x-stainless-lang': 'js',
    'content-type': 'text/plain',
  };
  const response = await fetch(`${url}/v1/messages`, { method: 'POST', headers, body: JSON.stringify(hello) });
  await response.text();
  const names = Object.keys(sent[0] ?? {}).filter((name) => !['host', 'connection', 'content-length'].includes(name));
  expect(names.sort()).toEqual([
    'accept-encoding',
    'anthropic-beta',
    'anthropic-version',
    'content-type',
    'user-agent',
    'x-api-key',
  ]);
  expect(sent[0]).toMatchObject({ 'anthropic-beta': 'token-counting-2024-11-01', 'content-type': 'application/json' });
  const returned = [...response.headers.keys()].filter(
    (name) => !/^(connection|keep-alive|date|transfer-encoding)$/.test(name),
  );
  expect(returned).toEqual(['request-id']);
});

test('what was not checked is not sent: a key given twice goes on once', async () => {
  const { url, fake } = await start();
  const [hidden, clean] = [[{ role: 'user', content: [urlImage] }], hello.messages].map((list) => JSON.stringify(list));
  const body = `{"model":"claude-sonnet-5-5","max_tokens":10,"messages":${hidden},"messages":${clean}}`;
  const headers = { 'content-type': 'application/json', 'anthropic-version': '2026-10-21' };
  expect((await fetch(`${url}/v1/messages`, { method: 'POST', headers, body })).status).toBe(200);
  expect(fake.requests[0]?.raw.toString()).not.toContain('evil.example');
});

const rawServer = (listener: http.RequestListener) => listen(http.createServer(listener), closers);

test('only ?beta=true of a query goes on, below the path of the base URL', async () => {
  const seen: string[] = [];
  const server = await rawServer((request, response) => {
    seen.push(request.url ?? '');
    response.end('{}');
  });
  for (const [path, query] of [
    ['/api/v1/', '?beta=true&x=1'],
    ['/api', '?x=1'],
    ['', ''],
  ]) {
    const { url } = await start({ backend: () => httpBackend(`${server}${path}`) });
    await fetch(`${url}/v1/messages${query}`, { method: 'POST', body: JSON.stringify(hello) });
  }
  expect(seen).toEqual(['/api/v1/messages?beta=true', '/api/v1/messages', '/v1/messages']);
});

test('a whole reply that is cut half-way is a 502 for the caller, and booked as what it may have cost', async () => {
  const cutting = await rawServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
    response.write('{"a', () => response.socket?.destroy());
  });
  const { url, recorded } = await start({ backend: () => httpBackend(cutting) });
  const answer = await fetch(`${url}/v1/messages`, { method: 'POST', body: JSON.stringify(hello) });
  expect(answer.status).toBe(502);
  expect((await recorded(1))[0]).toMatchObject({ status: 200, estimated: true, outputTokens: hello.max_tokens });
});

test('an error is stripped of the key whatever it is sent as', async () => {
  const leaking = await rawServer((_request, response) => {
    response.writeHead(500, { 'content-type': 'text/event-stream' }).end('data: secret-key\n\n');
  });
  const { url } = await start({ backend: () => httpBackend(leaking, 'secret-key') });
  const answer = await fetch(`${url}/v1/messages`, { method: 'POST', body: JSON.stringify(hello) });
  expect(await answer.text()).toBe('data: [redacted]\n\n');
});

test('a slow reader slows the back end down instead of filling the memory', async () => {
  const megabyte = Buffer.alloc(1024 * 1024, 'x');
  let written = 0;
  const firehose = await rawServer(async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (; written < 96; written += 1) {
      if (!response.write(megabyte)) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end();
  });
  const { url } = await start({ backend: () => httpBackend(firehose) });
  const { hostname, port } = new URL(url);
  const answer = await new Promise<http.IncomingMessage>((resolve) => {
    const request = http.request({ hostname, port, path: '/v1/messages', method: 'POST' }, resolve);
    request.end(JSON.stringify({ ...hello, stream: true }));
  });
  // Nobody reads. Sockets hold some megabytes; 96 only fit when the proxy piles them up, which takes far less than this wait.
  await systemClock.sleep(1_000);
  expect(written).toBeLessThan(60);
  let bytes = 0;
  for await (const chunk of answer) bytes += chunk.length;
  expect(bytes).toBe(96 * megabyte.length);
});
