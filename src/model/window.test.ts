import { createServer } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { httpBackend } from '../../test/fakes/model-proxy.js';
import { type FakeModelServer, type ServerKind, startModelServer } from '../../test/fakes/model-windows.js';
import { askWindow, createWindows, type HttpBackend } from './window.js';

const servers: FakeModelServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function start(setup: Parameters<typeof startModelServer>[0]) {
  const server = await startModelServer(setup);
  servers.push(server);
  return server;
}

function at(url: string): HttpBackend {
  const backend = httpBackend(url);
  if (backend.kind !== 'http') throw new Error('no server');
  return backend;
}

const model = 'qwen3:8b';

test.each<[ServerKind, string]>([
  ['ollama', 'OLLAMA_CONTEXT_LENGTH'],
  ['lm-studio', '--context-length'],
  ['llama.cpp', '--ctx-size'],
  ['vllm', '--max-model-len'],
])('%s says its window, and what to change is a setting of it', async (kind, setting) => {
  for (const path of ['', '/v1', '/v1/']) {
    const { url } = await start({ kind, model, window: 4_096 });
    const window = await askWindow(at(url + path), model, false);
    expect(window).toMatchObject({ tokens: 4_096, fix: expect.stringContaining(setting) });
  }
});

test('Ollama: the short name, a model that is not in memory, one whose file names a window, one that is nowhere named', async () => {
  const named = await start({ kind: 'ollama', model: 'qwen3:latest', window: 8_192 });
  expect(await askWindow(at(named.url), 'qwen3', false)).toMatchObject({ tokens: 8_192 });
  const asleep = await start({ kind: 'ollama', model, window: 4_096, isLoaded: false });
  expect(await askWindow(at(asleep.url), model, false)).toBeUndefined();
  expect(asleep.seen).not.toContain('POST /api/generate');
  expect(await askWindow(at(asleep.url), model, true)).toMatchObject({ tokens: 4_096 });
  const own = await start({ kind: 'ollama', model, isLoaded: false, numCtx: 16_384 });
  expect(await askWindow(at(own.url), model, false)).toMatchObject({ tokens: 16_384 });
  const old = await start({ kind: 'ollama', model });
  expect(await askWindow(at(old.url), model, true)).toBeUndefined();
});

test.each<ServerKind>(['lm-studio', 'llama.cpp', 'vllm', 'other'])('%s that does not say it', async (kind) => {
  const { url } = await start({ kind, model });
  expect(await askWindow(at(url), model, true)).toBeUndefined();
});

test.each<[string, object]>([
  ['GET /api/ps', { models: [{}, { name: 'other', context_length: 0 }, { name: model, context_length: 8_192 }] }],
  ['GET /api/v0/models', { data: [{ id: 1 }, { id: model, loaded_context_length: 8_192 }] }],
  [
    'GET /v1/models',
    {
      data: [
        { id: 'other', max_model_len: null },
        { id: model, max_model_len: 8_192 },
      ],
    },
  ],
])('%s: what is odd in other models does not hide it', async (call, answer) => {
  const server = createServer((incoming, outgoing) => {
    incoming.resume();
    if (`${incoming.method} ${incoming.url}` !== call) outgoing.writeHead(404);
    outgoing.end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  expect(await askWindow(at(url), model, false)).toMatchObject({ tokens: 8_192 });
  server.closeAllConnections();
  server.close();
});

test('a server that is away, answers without end, or with no JSON, is no error', async () => {
  const endless = createServer((_, response) => {
    const write = () => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
      response.once('drain', write);
    };
    write();
  });
  await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
  const address = endless.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  expect(await askWindow(at(url), model, true)).toBeUndefined();
  endless.closeAllConnections();
  endless.close();
  expect(await askWindow(at(url), model, true)).toBeUndefined();
});

test('for runs it is asked once in five minutes, of servers of one’s own, and never for a model that is known', async () => {
  const clock = createFakeClock();
  const { url, seen } = await start({ kind: 'vllm', model, window: 8_192 });
  const windowOf = createWindows({ backend: () => at(url), clock });
  expect(await Promise.all([windowOf(model), windowOf(model)])).toMatchObject([{ tokens: 8_192 }, { tokens: 8_192 }]);
  const once = seen.length;
  await windowOf(model);
  expect(await windowOf('claude-sonnet-5-5')).toBeUndefined();
  expect(seen).toHaveLength(once);
  await clock.advance(6 * 60_000);
  await windowOf(model);
  expect(seen.length).toBeGreaterThan(once);
  const foreign = createWindows({ backend: () => ({ ...at(url), free: false }), clock });
  const before = seen.length;
  expect(await foreign(model)).toBeUndefined();
  expect(await createWindows({ backend: () => ({ kind: 'demo' }), clock })(model)).toBeUndefined();
  expect(seen).toHaveLength(before);
});
