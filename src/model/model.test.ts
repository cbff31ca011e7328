// The model proxy between the real SDK and the strict fake: keys, budgets, books, aborts, back ends that are down.
import Anthropic, { APIConnectionError, AuthenticationError, PaymentRequiredError } from '@anthropic-ai/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import { startFakeAnthropic } from '../../test/fakes/anthropic.js';
import {
  type Closer,
  caught,
  closeAll,
  hello,
  httpBackend,
  KEY,
  type ProxySetup,
  startProxy,
  textOf,
} from '../../test/fakes/model-proxy.js';

const closers: Closer[] = [];
afterEach(() => closeAll(closers));
const start = (setup?: ProxySetup) => startProxy(closers, setup);

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

test('a reply is over with its last event, and then its cost is known, also where the server never ends its answer', async () => {
  const { client, fake, calls, state } = await start();
  fake.push({ text: 'ok', interrupt: { after: 1_000, by: 'stall' }, usage: { output_tokens: 7 } });
  const { stop_reason } = await client.messages.stream(hello).finalMessage();
  expect(stop_reason).toBe('end_turn');
  expect(calls).toMatchObject([{ status: 200, estimated: false, outputTokens: 7 }]);
  expect(state.reserved).toBe(0);
});

test('a caller that leaves before the usage came is booked with the whole reply, which goes on to its end', async () => {
  const { client, fake, recorded, state } = await start({ readOnMs: 20_000 });
  fake.push({ text: 'word '.repeat(300), deltaChars: 5, delayMs: 2, usage: { output_tokens: 900 } });
  const stream = client.messages.stream(hello);
  const ended = caught(stream.finalMessage());
  await new Promise((resolve) => stream.once('text', resolve));
  stream.abort();
  await ended;
  const [call] = await recorded(1);
  expect(await fake.requests[0]?.ended).toBe('sent');
  expect(call).toMatchObject({ status: 200, estimated: false, outputTokens: 900 });
  expect(state.reserved).toBe(0);
});

test('a reply that nobody waits for is ended after a while, and booked as the most it may have cost', async () => {
  const { client, fake, recorded, state } = await start({ readOnMs: 100 });
  fake.push({ text: 'word '.repeat(2_000), interrupt: { after: 60, by: 'stall' } });
  const stream = client.messages.stream(hello);
  const ended = caught(stream.finalMessage());
  await new Promise((resolve) => stream.once('text', resolve));
  stream.abort();
  await ended;
  expect(await fake.requests[0]?.ended).toBe('aborted');
  const [call] = await recorded(1);
  expect(call).toMatchObject({ status: 200, estimated: true, stopReason: null, outputTokens: hello.max_tokens });
  expect(call?.inputTokens).toBe(fake.requests[0]?.usage?.input_tokens);
  expect(state.reserved).toBe(0);
});

test('once everything is stopped no reply is read on, and it is booked as the most it may have cost', async () => {
  const { client, fake, recorded, state } = await start({ readOnMs: 600_000 });
  fake.push({ text: 'word '.repeat(2_000), interrupt: { after: 60, by: 'stall' } });
  const stream = client.messages.stream(hello);
  const ended = caught(stream.finalMessage());
  await new Promise((resolve) => stream.once('text', resolve));
  state.stopped = true;
  stream.abort();
  await ended;
  expect(await fake.requests[0]?.ended).toBe('aborted');
  expect((await recorded(1))[0]).toMatchObject({ estimated: true, outputTokens: hello.max_tokens });
});

test('a caller that leaves before the answer begins is booked with the worst case', async () => {
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
  expect((await recorded(1))[0]).toMatchObject({ status: 499, estimated: true, outputTokens: hello.max_tokens });
});

describe('what a call costs at a back end whose prices we do not know', () => {
  const price = { input: 1, output: 10, cacheRead: 1, cacheWrite5m: 1, cacheWrite1h: 1 };
  const priced: ProxySetup = { backend: (fake) => ({ ...httpBackend(fake.url, KEY), price }) };

  test.each([true, false])('is what it says itself, streamed: %s', async (stream) => {
    const { client, fake, recorded } = await start(priced);
    fake.push({ text: 'hi', usage: { cost: 0.0042 } });
    await (stream ? client.messages.stream(hello).finalMessage() : client.messages.create(hello));
    expect((await recorded(1))[0]).toMatchObject({ costMicroUsd: 4_200, estimated: false });
  });

  test('is what the owner says, and its worst case is reserved before', async () => {
    const { client, fake, recorded, state } = await start(priced);
    fake.push({ text: 'hi', usage: { input_tokens: 100, output_tokens: 7 } });
    await client.messages.create(hello);
    const [call] = await recorded(1);
    expect(call).toMatchObject({ estimated: false, costMicroUsd: (call?.inputTokens ?? 0) + 70 });
    expect(state.mostReserved).toBeGreaterThanOrEqual(hello.max_tokens * 10);
  });

  test('is refused by its price when the budget is too small', async () => {
    const { client, fake } = await start({ ...priced, limitMicroUsd: hello.max_tokens * 10 - 1 });
    expect(await caught(client.messages.create(hello))).toBeInstanceOf(PaymentRequiredError);
    expect(fake.requests.filter(({ path }) => path === '/v1/messages')).toHaveLength(0);
  });

  test('is the worst case when it is cut off before it says so', async () => {
    const { client, fake, recorded } = await start(priced);
    fake.push({ text: 'word '.repeat(200), usage: { cost: 0.0001 }, interrupt: { after: 20, by: 'cut' } });
    await caught(client.messages.stream(hello, { maxRetries: 0 }).finalMessage());
    const [call] = await recorded(1);
    expect(call?.estimated).toBe(true);
    expect(call?.costMicroUsd).toBeGreaterThanOrEqual(hello.max_tokens * 10);
  });
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

describe('a prompt that may be as many tokens as it has bytes, for which there is no budget', () => {
  const long = { ...hello, messages: [{ role: 'user' as const, content: 'word '.repeat(50_000) }] };
  const bytesMicroUsd = 250_000 * 2;
  const paths = ({ requests }: { requests: { path: string }[] }) => requests.map(({ path }) => path.split('?')[0]);

  test('is counted by the back end, and reserved as what it counted with a margin', async () => {
    const { client, fake, calls, state } = await start({ limitMicroUsd: bytesMicroUsd / 2 });
    fake.push({ text: 'short' });
    expect(textOf(await client.messages.create(long))).toBe('short');
    expect(paths(fake)).toEqual(['/v1/messages/count_tokens', '/v1/messages']);
    expect(fake.rejections()).toEqual([]);
    expect(state.mostReserved).toBeLessThan(bytesMicroUsd / 2);
    expect(state.mostReserved).toBeGreaterThan(calls[0]?.costMicroUsd ?? 0);
  });

  test('is refused when the back end counts too much, or does not count', async () => {
    const { client, fake } = await start({ limitMicroUsd: bytesMicroUsd / 10 });
    expect(await caught(client.messages.create(long))).toBeInstanceOf(PaymentRequiredError);
    fake.setKey('another');
    expect(await caught(client.messages.create(long))).toBeInstanceOf(PaymentRequiredError);
    await fake.close();
    expect(await caught(client.messages.create(long))).toBeInstanceOf(PaymentRequiredError);
    expect(paths(fake)).toEqual(['/v1/messages/count_tokens', '/v1/messages/count_tokens']);
  });
});

test('calls in parallel cannot together spend more than the budget', async () => {
  // Worst case of one call: 1,000 tokens out at 10 and a small prompt at 4 micro USD.
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
    backend: ({ url }) => httpBackend(url, 'sk-ant-wrong'),
  });
  expect(await caught(client.messages.create(hello))).toBeInstanceOf(AuthenticationError);
  expect((await recorded(1))[0]).toMatchObject({ status: 401, costMicroUsd: 0, estimated: false });
  fake.setKey('sk-ant-wrong');
  fake.push({ fault: 400, type: 'invalid_request_error', message: 'the key sk-ant-wrong may not do this' });
  const error = await caught(client.messages.create(hello));
  expect(error).toMatchObject({ status: 400 });
  expect(String(error)).toContain('the key [redacted] may not do this');
});

test('a key such as local servers are given does not vanish from their answers', async () => {
  const { client, fake } = await start({ backend: ({ url }) => httpBackend(url, 'none') });
  fake.setKey('none');
  fake.push({ text: 'none of them' }, { text: 'none of them' });
  expect(textOf(await client.messages.create(hello))).toBe('none of them');
  expect(textOf(await client.messages.stream(hello).finalMessage())).toBe('none of them');
});

test('an auth token goes out as a bearer token, and no credential at all as none', async () => {
  const bearer = await start({
    backend: ({ url }) => ({ kind: 'http', baseUrl: url, apiKey: undefined, authToken: KEY, free: true }),
  });
  await bearer.client.messages.create(hello);
  expect(bearer.fake.requests[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
  expect(bearer.fake.requests[0]?.headers['x-api-key']).toBeUndefined();
  const none = await start({ backend: ({ url }) => httpBackend(url) });
  expect(await caught(none.client.messages.create(hello))).toBeInstanceOf(AuthenticationError);
  expect(none.fake.requests[0]?.headers.authorization).toBeUndefined();
});

test('a back end that is down is a 502 that the SDK tries again', async () => {
  const { url, fake, calls } = await start();
  await fake.close();
  const client = new Anthropic({ baseURL: url, authToken: 'link', apiKey: null, maxRetries: 1 });
  const error = await caught(client.messages.create(hello));
  expect(error).toMatchObject({ status: 502, type: 'api_error' });
  expect(String(error)).toContain('could not be reached: it refuses the connection (ECONNREFUSED)');
  expect(calls).toHaveLength(2);
  expect(calls[0]).toMatchObject({ status: 502, costMicroUsd: 0 });
});

test('a connection the back end closed while idle is replaced without an error', async () => {
  const first = await start();
  await first.client.messages.create(hello);
  const port = Number(new URL(first.fake.url).port);
  await first.fake.close();
  const again = await startFakeAnthropic({ key: KEY, port });
  closers.push(again.close);
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
