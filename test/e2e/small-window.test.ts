// A model server of one's own with a small window, as Ollama has it by default: a real daemon, a real container.
import { createServer, request, type Server } from 'node:http';
import { expect, test } from 'vitest';
import { type FakeAnthropic, startFakeAnthropic } from '../fakes/anthropic.js';
import { startModelServer } from '../fakes/model-windows.js';
import { startDaemon } from './harness.js';
import { chatTexts, nthReply, say, waitForRun } from './talk.js';

const MODEL = 'qwen3';
const PROFILE = {
  maxTokens: 64_000,
  windowTokens: 1_000_000,
  prefill: true,
  forcedToolChoice: true,
  bindsThinking: false,
};

/** One address that answers as Ollama, and messages as the strict fake. */
async function startOllama(window: number): Promise<{ url: string; model: FakeAnthropic; close(): Promise<void> }> {
  const model = await startFakeAnthropic({ key: 'ollama', models: { [MODEL]: PROFILE } });
  const windows = await startModelServer({ kind: 'ollama', model: MODEL, window });
  const server: Server = createServer((incoming, outgoing) => {
    const target = new URL(incoming.url ?? '', incoming.url?.startsWith('/v1/messages') ? model.url : windows.url);
    const forwarded = request(target, { method: incoming.method, headers: { ...incoming.headers, host: target.host } });
    forwarded.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    model,
    async close() {
      server.closeAllConnections();
      server.close();
      windows.close();
      await model.close();
    },
  };
}

async function talkWith(window: number) {
  const ollama = await startOllama(window);
  const env = { ANTHROPIC_BASE_URL: ollama.url, ANTHROPIC_API_KEY: 'ollama', PINCH_MODEL: MODEL };
  const daemon = await startDaemon({ env });
  const close = async () => {
    await daemon.kill('SIGTERM');
    await ollama.close();
  };
  return { daemon, model: ollama.model, close };
}

test('4096 tokens: one plain line with the setting, and no call that would be cut', async () => {
  const { daemon, model, close } = await talkWith(4_096);
  await waitForRun(daemon, await say(daemon, 'hello'), ['done']);
  expect(await nthReply(daemon, 1)).toMatch(
    /qwen3 has a window of 4096 tokens here\. I need 8000 at least.*OLLAMA_CONTEXT_LENGTH=32768/,
  );
  expect(model.requests).toEqual([]);
  await close();
});

test.each([8_192, 16_384])('%i tokens: the short prompt, a tool call and an answer', async (window) => {
  const { daemon, model, close } = await talkWith(window);
  model.push(
    { content: [{ type: 'tool_use', name: 'bash', input: { command: 'pinch help | head -c 100; seq 1 9000' } }] },
    { text: 'it works' },
  );
  await waitForRun(daemon, await say(daemon, 'try it'), ['done']);
  await nthReply(daemon, 1);
  expect(await chatTexts(daemon, 'out')).toEqual(['it works']);
  expect(model.rejections()).toEqual([]);
  for (const { body, raw } of model.requests) {
    expect(JSON.stringify(body?.system)).toContain('pinch help');
    expect(body?.max_tokens).toBeLessThanOrEqual(window / 4);
    // At three characters a token, which is few.
    expect(raw.length / 3 + (body?.max_tokens ?? 0)).toBeLessThan(window * (window > 10_000 ? 1 : 1.2));
  }
  // The result of the tool was cut to what fits.
  expect(JSON.stringify(model.requests[1]?.body?.messages)).toContain('your window is small');
  await close();
});
