// The model proxy between the real SDK and the strict fake: keys, budgets, books, aborts, faults.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import Anthropic, { APIConnectionError, APIError, AuthenticationError, PaymentRequiredError } from '@anthropic-ai/sdk';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { type FakeAnthropic, startFakeAnthropic } from '../../test/fakes/anthropic.js';
import { systemClock } from '../clock.js';
import { decideBudget } from '../decide/budget.js';
import { type Backend, type CallRecord, createModelProxy, type ModelLedger } from './model.js';
import { BODY_LIMIT_BYTES } from './model-request.js';

const KEY = 'sk-ant-real-key-of-the-owner';
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function memoryLedger(limitMicroUsd: number) {
  const calls: CallRecord[] = [];
  const watchers = new Set<() => void>();
  const state = { reserved: 0, mostReserved: 0 };
  const spent = () => calls.reduce((sum, call) => sum + call.costMicroUsd, 0);
  const ledger: ModelLedger = {
    reserve(_groupId, worstCase) {
      const limits = { limitDay: 1e12, limitGroup: limitMicroUsd, spentDay: 0, reservedDay: 0 };
      const decision = decideBudget({ ...limits, spentGroup: spent(), reservedGroup: state.reserved, worstCase });
      if (decision.kind === 'refuse') return { ok: false, message: 'the budget of this group for today is used up' };
      state.reserved += worstCase;
      state.mostReserved = Math.max(state.mostReserved, state.reserved);
      return {
        ok: true,
        settle(actual) {
          state.reserved -= worstCase;
          calls.push(actual);
          for (const watcher of [...watchers]) watcher();
        },
      };
    },
  };
  const recorded = (count: number) =>
    new Promise<CallRecord[]>((resolve) => {
      const check = () => calls.length >= count && resolve(calls);
      watchers.add(check);
      check();
    });
  return { ledger, calls, state, spent, recorded };
}

interface Setup {
  backend?: (fake: FakeAnthropic) => Backend;
  limitMicroUsd?: number;
}

async function start({ backend, limitMicroUsd = 5_000_000 }: Setup = {}) {
  const fake = await startFakeAnthropic({ key: KEY });
  const book = memoryLedger(limitMicroUsd);
  const lines: string[] = [];
  const proxy = createModelProxy({
    backend: () => backend?.(fake) ?? { kind: 'http', baseUrl: fake.url, apiKey: KEY },
    ledger: book.ledger,
    clock: systemClock,
    log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }),
  });
  const server = http.createServer((request, response) => {
    response.on('error', () => response.destroy());
    void proxy.handle(request, response, { groupId: 7, folder: 'main', runId: 42 });
  });
  const address = await new Promise<AddressInfo>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      if (bound !== null && typeof bound !== 'string') resolve(bound);
    });
  });
  open.push(
    () => fake.close(),
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const url = `http://127.0.0.1:${address.port}`;
  const client = new Anthropic({ baseURL: url, authToken: 'link', apiKey: null, maxRetries: 0 });
  return { ...book, fake, url, client, lines };
}

const hello: Anthropic.MessageCreateParamsNonStreaming = {
  model: 'claude-sonnet-5-5',
  max_tokens: 1_000,
  messages: [{ role: 'user', content: 'Grüße 🐧' }],
};
const caught = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );
const textOf = (message: Anthropic.Message) =>
  message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');

test('a two-turn conversation with tools runs through it, and only the back end sees the key', async () => {
  const { client, fake, recorded, lines } = await start();
  fake.push({
    content: [
      { type: 'thinking', thinking: 'two at once' },
      { type: 'tool_use', name: 'bash', input: { command: 'env' } },
      { type: 'tool_use', name: 'bash', input: { command: 'pwd' } },
    ],
  });
  const base = {
    ...hello,
    tools: [{ name: 'bash', input_schema: { type: 'object' as const } }],
    system: 'You are terse. '.repeat(100),
    cache_control: { type: 'ephemeral' as const },
  };
  const headers = { 'x-pinch-run': '42', cookie: 'a=b', 'x-api-key': 'forged', 'x-evil': '1' };
  const first = await client.messages.stream(base, { headers }).finalMessage();
  const results = first.content.flatMap((block) =>
    block.type === 'tool_use' ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: 'ok' }] : [],
  );
  const messages: Anthropic.MessageParam[] = [
    ...hello.messages,
    { role: 'assistant', content: first.content },
    { role: 'user', content: results },
  ];
  const second = await client.messages.stream({ ...base, messages }, { headers }).finalMessage();

  const calls = await recorded(2);
  expect(fake.rejections()).toEqual([]);
  for (const request of fake.requests) {
    expect(request.headers['x-api-key']).toBe(KEY);
    expect(request.headers['accept-encoding']).toBe('identity');
    expect(Object.keys(request.headers)).not.toContain('x-pinch-run');
    expect(Object.keys(request.headers)).not.toContain('cookie');
    expect(Object.keys(request.headers)).not.toContain('x-evil');
    expect(request.headers['anthropic-version']).toBeDefined();
  }
  expect(lines.join()).not.toContain(KEY);
  expect(second.usage.cache_read_input_tokens).toBeGreaterThan(0);
  for (const [at, call] of calls.entries()) {
    const billed = fake.requests[at]?.usage;
    expect(call).toMatchObject({
      runId: 42,
      groupId: 7,
      model: 'claude-sonnet-5-5',
      status: 200,
      estimated: false,
      inputTokens: billed?.input_tokens,
      outputTokens: billed?.output_tokens,
      cacheReadTokens: billed?.cache_read_input_tokens,
      cacheWrite5mTokens: billed?.cache_creation_input_tokens,
      requestId: `req_fake${at}`,
    });
    expect(call.costMicroUsd).toBeGreaterThan(0);
  }
  expect(calls.map((call) => call.stopReason)).toEqual(['tool_use', 'end_turn']);
});

test('the stream passes byte for byte, wherever the network cuts it', async () => {
  const { url, fake, recorded } = await start();
  const step = { text: 'Größe 世界 🐧🇩🇪 '.repeat(20), pings: true, deltaChars: 3 };
  fake.push({ ...step, splitBytes: 1 }, step);
  const body = JSON.stringify({ ...hello, stream: true });
  const headers = { 'content-type': 'application/json', 'anthropic-version': '2026-10-21' };
  const through = await fetch(`${url}/v1/messages`, { method: 'POST', headers, body });
  const direct = await fetch(`${fake.url}/v1/messages`, {
    method: 'POST',
    headers: { ...headers, 'x-api-key': KEY },
    body,
  });
  const normal = (text: string) => text.replaceAll('msg_fake1', 'msg_fake0');
  expect(normal(await through.text())).toBe(normal(await direct.text()));
  expect((await recorded(1))[0]?.outputTokens).toBe(fake.requests[0]?.usage?.output_tokens);
});

test('a caller that leaves stops the generation, and what was streamed is still booked', async () => {
  const { client, fake, recorded, state } = await start();
  fake.push({ text: 'word '.repeat(2_000), interrupt: { after: 60, by: 'stall' } });
  const stream = client.messages.stream(hello);
  const ended = caught(stream.finalMessage());
  let deltas = 0;
  await new Promise<void>((resolve) => {
    stream.on('text', () => {
      deltas += 1;
      if (deltas === 50) resolve();
    });
  });
  stream.abort();
  await ended;
  expect(await fake.requests[0]?.ended).toBe('aborted');
  const [call] = await recorded(1);
  expect(call).toMatchObject({ status: 200, estimated: true, stopReason: null });
  expect(call?.inputTokens).toBe(fake.requests[0]?.usage?.input_tokens);
  expect(call?.outputTokens).toBeGreaterThan(200);
  expect(call?.outputTokens).toBeLessThan(600);
  expect(state.reserved).toBe(0);
});

test('a caller that leaves before the answer begins is booked with its prompt', async () => {
  const { url, fake, recorded } = await start();
  fake.push({ text: 'late', waitMs: 60_000 });
  const gone = new AbortController();
  const body = JSON.stringify({ ...hello, stream: true });
  const headers = { 'content-type': 'application/json', 'anthropic-version': '2026-10-21' };
  const call = caught(fetch(`${url}/v1/messages`, { method: 'POST', headers, body, signal: gone.signal }));
  const [request] = await fake.waitForRequests(1);
  gone.abort();
  await call;
  expect(await request?.ended).toBe('aborted');
  expect((await recorded(1))[0]).toMatchObject({ status: 499, estimated: true, outputTokens: 0 });
});

test('no budget: 402 as the SDK knows it, one attempt, nothing sent', async () => {
  const { url, fake, calls } = await start({ limitMicroUsd: 100 });
  const client = new Anthropic({ baseURL: url, authToken: 'link', apiKey: null, maxRetries: 3 });
  const error = await caught(client.messages.stream(hello).finalMessage());
  expect(error).toBeInstanceOf(PaymentRequiredError);
  expect(error).toMatchObject({ status: 402, type: 'billing_error', errorCode: 'gateway_budget_exceeded' });
  expect(fake.requests).toHaveLength(0);
  expect(calls).toHaveLength(0);
});

test('calls in parallel cannot together spend more than the budget', async () => {
  // Worst case of one call: 1,000 tokens out at 10 and a small prompt at 2 micro USD.
  const { client, fake, calls, state, spent } = await start({ limitMicroUsd: 35_000 });
  const answer = { text: 'x'.repeat(100), usage: { output_tokens: 1_000 }, delayMs: 5 };
  fake.push(...Array.from({ length: 12 }, () => answer));
  const results = await Promise.all(
    Array.from({ length: 12 }, () => caught(client.messages.stream(hello).finalMessage())),
  );
  expect(results.filter((result) => result instanceof PaymentRequiredError)).toHaveLength(9);
  expect(calls).toHaveLength(3);
  expect(state.mostReserved).toBeLessThanOrEqual(35_000);
  expect(spent()).toBeLessThanOrEqual(35_000);
  expect(state.reserved).toBe(0);
});

test('a wrong key stays a 401, costs nothing and is not shown to the container', async () => {
  const { client, fake, recorded } = await start({
    backend: ({ url }) => ({ kind: 'http', baseUrl: url, apiKey: 'sk-ant-wrong' }),
  });
  expect(await caught(client.messages.create(hello))).toBeInstanceOf(AuthenticationError);
  expect((await recorded(1))[0]).toMatchObject({ status: 401, costMicroUsd: 0, estimated: false });
  fake.setKey('sk-ant-wrong');
  fake.push({ fault: 400, type: 'invalid_request_error', message: 'the key sk-ant-wrong may not do this' });
  const error = await caught(client.messages.create(hello));
  expect(error).toMatchObject({ status: 400 });
  expect(String(error)).toContain('the key [redacted] may not do this');
});

test('an auth token goes out as a bearer token, and no credential at all as none', async () => {
  const bearer = await start({ backend: ({ url }) => ({ kind: 'http', baseUrl: url, authToken: KEY }) });
  await bearer.client.messages.create(hello);
  expect(bearer.fake.requests[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
  expect(bearer.fake.requests[0]?.headers['x-api-key']).toBeUndefined();
  const none = await start({ backend: ({ url }) => ({ kind: 'http', baseUrl: url }) });
  expect(await caught(none.client.messages.create(hello))).toBeInstanceOf(AuthenticationError);
  expect(none.fake.requests[0]?.headers.authorization).toBeUndefined();
});

test('a back end that is down is a 502 that the SDK tries again', async () => {
  const { url, fake, calls } = await start();
  await fake.close();
  const client = new Anthropic({ baseURL: url, authToken: 'link', apiKey: null, maxRetries: 1 });
  const error = await caught(client.messages.create(hello));
  expect(error).toMatchObject({ status: 502, type: 'api_error' });
  expect(String(error)).toContain('could not be reached: ECONNREFUSED');
  expect(calls).toHaveLength(2);
  expect(calls[0]).toMatchObject({ status: 502, costMicroUsd: 0 });
});

test('a connection the back end closed while idle is replaced without an error', async () => {
  const first = await start();
  await first.client.messages.create(hello);
  const port = Number(new URL(first.fake.url).port);
  await first.fake.close();
  const again = await startFakeAnthropic({ key: KEY, port });
  open.push(() => again.close());
  expect(textOf(await first.client.messages.create(hello))).toContain('You said');
});

test('a stream the back end cuts is cut for the caller too', async () => {
  const { client, fake, recorded } = await start();
  fake.push({ text: 'never whole, this one', interrupt: { after: 4, by: 'cut' } });
  const error = await caught(client.messages.stream(hello).finalMessage());
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(APIConnectionError);
  expect((await recorded(1))[0]).toMatchObject({ status: 200, estimated: true });
});

test.each([
  [{ 'retry-after': '7' }, null],
  [{ 'retry-after': '3600' }, 'false'],
  [{ 'retry-after-ms': '90000' }, 'false'],
  [{ 'retry-after': new Date(4_000_000_000_000).toUTCString() }, 'false'],
])('a wait of %o is %s for the SDK to sleep through', async (headers, shouldRetry) => {
  const { client, fake } = await start();
  fake.push({ fault: 429, type: 'rate_limit_error', headers });
  const error = await caught(client.messages.create(hello));
  expect(error instanceof APIError && error.headers?.get('x-should-retry')).toBe(shouldRetry);
  for (const [name, value] of Object.entries(headers))
    expect(error instanceof APIError && error.headers?.get(name)).toBe(value);
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
  ['images by URL', { messages: [{ role: 'user', content: [urlImage] }] }],
  [
    'images by URL in a tool result',
    { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: [urlImage] }] }] },
  ],
])('%s would get around the missing network or the prices, and are refused', async (_name, extra) => {
  const { url, fake } = await start();
  const body = JSON.stringify({ ...hello, ...extra });
  const response = await fetch(`${url}/v1/messages`, { method: 'POST', body });
  expect(response.status).toBe(403);
  expect(await response.text()).toContain('not available through this gateway');
  expect(fake.requests).toHaveLength(0);
});

async function rawServer(listener: http.RequestListener): Promise<string> {
  const server = http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

test('only ?beta=true of a query goes on, below the path of the base URL', async () => {
  const seen: string[] = [];
  const redirecting = await rawServer((request, response) => {
    seen.push(request.url ?? '');
    response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
  });
  const { url } = await start({ backend: () => ({ kind: 'http', baseUrl: `${redirecting}/api/v1/` }) });
  const post = (query: string) => fetch(`${url}/v1/messages${query}`, { method: 'POST', body: JSON.stringify(hello) });
  const answer = await post('?beta=true&x=1');
  expect(answer.status).toBe(502);
  expect(await answer.text()).toContain('redirects');
  await post('?x=1');
  expect(seen).toEqual(['/api/v1/messages?beta=true', '/api/v1/messages']);
});

test('counting tokens goes through and is not booked', async () => {
  const { client, calls } = await start({ limitMicroUsd: 1 });
  const { model, messages } = hello;
  expect((await client.messages.countTokens({ model, messages })).input_tokens).toBeGreaterThan(0);
  expect(calls).toHaveLength(0);
});

test('without key and base URL the demo model answers, streamed or not, free and on the books', async () => {
  const { client, fake, recorded } = await start({ backend: () => ({ kind: 'demo' }), limitMicroUsd: 0 });
  const streamed = await client.messages.stream(hello).finalMessage();
  const whole = await client.messages.create(hello);
  expect(textOf(streamed)).toContain('demo model, no account needed');
  expect(textOf(whole)).toBe(textOf(streamed));
  const calls = await recorded(2);
  expect(calls[0]).toMatchObject({ model: 'demo', costMicroUsd: 0, status: 200, stopReason: 'end_turn', runId: 42 });
  expect(calls[0]?.inputTokens).toBe(streamed.usage.input_tokens);
  expect(fake.requests).toHaveLength(0);
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
  const { url } = await start({ backend: () => ({ kind: 'http', baseUrl: firehose }) });
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
