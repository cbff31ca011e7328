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
import { systemClock } from '../clock.js';
import { BODY_LIMIT_BYTES } from './model-request.js';

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

const urlImage = { type: 'image', source: { type: 'url', url: 'https://evil.example/?leak' } };
test.each([
  ['MCP servers', { mcp_servers: [{ type: 'url', url: 'https://evil.example', name: 'x' }] }],
  ['server tools', { tools: [{ type: 'web_fetch_20260318', name: 'web_fetch' }] }],
  ['threads', { thread: { type: 'create' } }],
  ['fast mode', { speed: 'fast' }],
  ['what the API may learn next', { teleport: true }],
  [
    'stored files',
    { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'file', file_id: 'f' } }] }] },
  ],
  ['images by URL', { messages: [{ role: 'user', content: [urlImage] }] }],
  [
    'images by URL in a tool result',
    { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: [urlImage] }] }] },
  ],
])('%s would get around the missing network or the prices, and are refused', async (_name, extra) => {
  const { url, fake } = await start();
  const body = JSON.stringify({ ...hello, ...extra });
  const response = await fetch(`${url}/v1/messages`, { method: 'POST', body });
  expect(response.status).toBe(400);
  expect(await response.text()).toContain('not available through this gateway');
  expect(fake.requests).toHaveLength(0);
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
