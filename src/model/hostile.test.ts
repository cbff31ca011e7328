// Bodies made to take long, and calls made to cost more than they seem to.
import { createHash } from 'node:crypto';
import http from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createLoopCheck } from '../../test/fakes/loop-delay.js';
import {
  type Closer,
  closeAll,
  hello,
  httpBackend,
  listen,
  type ProxySetup,
  startProxy,
} from '../../test/fakes/model-proxy.js';
import { loadConfig } from '../core/config.js';
import { BODY_LIMIT_BYTES } from './body.js';

const closers: Closer[] = [];
afterEach(() => closeAll(closers));
const start = (setup?: ProxySetup) => startProxy(closers, setup);
const post = (url: string, body: string) => fetch(`${url}/v1/messages`, { method: 'POST', body });

/** Sends a body as a network brings it, in pieces; the answer's status. The client shares our event loop and must not hold it either. */
async function send(url: string, body: Buffer): Promise<number> {
  const { hostname, port } = new URL(url);
  const request = http.request({ hostname, port, path: '/v1/messages', method: 'POST' });
  const status = new Promise<number>((resolve, reject) => {
    request.on('error', reject).on('response', (answer) => resolve(answer.resume().statusCode ?? 0));
  });
  for (let at = 0; at < body.length; at += 65_536) {
    request.write(body.subarray(at, at + 65_536));
    await setImmediate();
  }
  request.end();
  return status;
}

/** A back end that only looks at the bytes. */
async function hashing() {
  const hashes: string[] = [];
  const url = await listen(
    http.createServer(async (request, response) => {
      const hash = createHash('sha256');
      for await (const chunk of request) hash.update(chunk);
      hashes.push(hash.digest('hex'));
      response.end('{"usage":{"input_tokens":1,"output_tokens":1}}');
    }),
    closers,
  );
  return { url, hashes };
}

describe('no body holds up the others', () => {
  let holdsNobody: Awaited<ReturnType<typeof createLoopCheck>>;
  beforeAll(async () => {
    holdsNobody = await createLoopCheck();
  });
  const fill = (unit: string, bytes = BODY_LIMIT_BYTES - 1_000) => unit.repeat(Math.floor(bytes / unit.length));
  const around = (list: string) => `{"model":"claude-sonnet-5-5","max_tokens":10,"messages":[${list}]}`;

  test.each([
    ['32 MB of numbers', () => around(`${fill('0,')}0`)],
    ['32 MB of empty objects', () => around(`${fill('{},')}{}`)],
    ['32 MB of empty lists', () => around(`${fill('[],')}[]`)],
    ['32 MB of short texts', () => around(`${fill('"abc",')}""`)],
    ['32 MB of keys', () => around(`{${fill('"a":1,')}"b":2}`)],
    ['32 MB of messages', () => around(`${fill('{"role":"user","content":"hi"},')}{}`)],
    ['32 MB of nesting', () => around(fill('['))],
    ['32 MB of spaces', () => around(fill(' '))],
    ['32 MB of texts that are just long', () => around(`${fill(`"${'x'.repeat(1_025)}",`)}""`)],
    ['messages that are none, within the limits', () => around(`${'0,'.repeat(39_000)}0`)],
    ['tools that are none, within the limits', () => `{"model":"m","tools":[${'{"type":1},'.repeat(9_000)}{}]}`],
    ['keys that are all different', () => around(`{${Array.from({ length: 39_000 }, (_, n) => `"k${n}":1`)}}`)],
  ])(
    '%s are refused',
    async (name, make) => {
      const { url, fake } = await start();
      const body = Buffer.from(make());
      let status = 0;
      await holdsNobody(name, async () => {
        status = await send(url, body);
      });
      expect([400, 413]).toContain(status);
      expect(fake.requests).toHaveLength(0);
    },
    120_000,
  );

  const block = (text: string) => around(`{"role":"user","content":[{"type":"text","text":"${text}"}]}`);
  const images = Array.from({ length: 20 }, () => {
    const source = { type: 'base64', media_type: 'image/png', data: 'A'.repeat(1_000_000) };
    return { type: 'image', source };
  });
  test.each([
    ['20 MB of images', () => JSON.stringify({ ...hello, messages: [{ role: 'user', content: images }] })],
    ['one text full of quotes', () => block(fill('\\\\\\"', 8_000_000))],
    [
      'a conversation of 2,000 messages',
      () => around(fill('{"role":"user","content":"hi there"},', 80_000).slice(0, -1)),
    ],
  ])(
    '%s go through byte for byte',
    async (name, make) => {
      const { url: server, hashes } = await hashing();
      const { url } = await start({ backend: () => httpBackend(server), limitMicroUsd: 1e9 });
      const body = Buffer.from(make());
      let status = 0;
      await holdsNobody(name, async () => {
        status = await send(url, body);
      });
      expect(status).toBe(200);
      expect(hashes).toEqual([createHash('sha256').update(body).digest('hex')]);
    },
    120_000,
  );
});

describe('no call costs more than was reserved for it', () => {
  const pdf = { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'A'.repeat(6_800) } };
  const tiny = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'A'.repeat(100) } };
  const cached = { type: 'text', text: 'x'.repeat(10_000), cache_control: { type: 'ephemeral', ttl: '1h' } };
  const user = (...content: object[]) => ({ ...hello, messages: [{ role: 'user', content }] });
  const result = (...content: object[]) => user({ type: 'tool_result', tool_use_id: 'a', content });

  test.each<[string, object, number]>([
    ['a PDF with pages that share their content', user(pdf), 1_000_000],
    ['a PDF in a tool result', result(pdf), 1_000_000],
    ['an image of few bytes and many pixels', user(tiny), 5_000],
    ['a text of one token per byte', user({ type: 'text', text: '~'.repeat(10_000) }), 10_000],
    ['what is written to the cache for an hour', user(cached), 20_000],
  ])('%s', async (_name, body, inputTokens) => {
    const microUsd = inputTokens * 2 + 10_000;
    const { url, fake } = await start({ limitMicroUsd: microUsd - 1 });
    expect((await post(url, JSON.stringify(body))).status).toBe(402);
    expect(fake.requests.filter(({ path }) => path === '/v1/messages')).toHaveLength(0);
  });

  test('a conversation that fills half a day is allowed when the rest of the day is enough for it', async () => {
    const { client } = await start({ limitMicroUsd: 500_000 });
    const messages = [{ role: 'user' as const, content: 'word '.repeat(20_000) }];
    await client.messages.create({ ...hello, max_tokens: 16_000, messages });
  });

  test('a model that the owner has not set up is refused by name', async () => {
    const { url, fake } = await start({ model: 'qwen3:8b' });
    const response = await post(url, JSON.stringify({ ...hello, model: 'claude-fable-5-1' }));
    expect(response.status).toBe(400);
    expect(await response.text()).toMatch(/claude-fable-5-1 is not the one that the owner has set up .*qwen3:8b/);
    expect(fake.requests).toHaveLength(0);
  });

  test.each([
    [{ ANTHROPIC_BASE_URL: 'https://openrouter.ai/api' }, false],
    [{ ANTHROPIC_BASE_URL: 'https://openrouter.ai/api', PINCH_MODEL_FREE: '1' }, true],
    [{ ANTHROPIC_BASE_URL: 'https://8.8.8.8' }, false],
    [{ ANTHROPIC_BASE_URL: 'https://10.evil.example' }, false],
    [{ ANTHROPIC_BASE_URL: 'https://[2606:4700::1]' }, false],
    [{ ANTHROPIC_API_KEY: 'k' }, false],
    [{ ANTHROPIC_BASE_URL: 'http://localhost:11434' }, true],
    [{ ANTHROPIC_BASE_URL: 'http://127.0.0.1:11434', PINCH_MODEL_FREE: '0' }, false],
    [{ ANTHROPIC_BASE_URL: 'http://192.168.1.4:8080' }, true],
    [{ ANTHROPIC_BASE_URL: 'http://[::1]:8080' }, true],
    [{ ANTHROPIC_BASE_URL: 'http://ollama:11434' }, true],
    [{ ANTHROPIC_BASE_URL: 'http://nas.local:11434' }, true],
  ])('whether models of unknown price cost nothing, %j: %s', (env, free) => {
    expect(loadConfig({ PINCH_HOME: '/nonexistent', ...env }, '/nonexistent').backend).toMatchObject({ free });
  });
});
