// Two models of one provider, and the first is overloaded: a real daemon, real containers.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startDaemon } from './harness.js';
import { chatTexts, KEY, nthReply, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

const FALLBACK = { PINCH_MODEL_FALLBACK: 'claude-haiku-5-5' };
let scene: Scene;
beforeAll(async () => {
  scene = await startScene({ daemon: { env: FALLBACK } });
});
afterAll(() => scene.close());

const statusText = async () =>
  z.object({ text: z.string() }).parse((await scene.daemon.api('GET', '/api/status')).body).text;
const calls = () => scene.model.requests.flatMap(({ body }) => (body ? [body] : []));

test('the run goes on with the second model, without what the first one thought, and a restart keeps to that', async () => {
  scene.model.push({
    content: [
      { type: 'thinking', thinking: 'easy' },
      { type: 'text', text: 'one' },
    ],
  });
  await waitForRun(scene.daemon, await say(scene.daemon, 'first'), ['done']);
  expect(calls().at(-1)?.model).toBe('claude-sonnet-5-5');

  const refusal = { fault: 429, type: 'rate_limit_error', headers: { 'retry-after': '400' } };
  const work = {
    content: [
      { type: 'thinking' as const, thinking: 'hm' },
      { type: 'tool_use' as const, name: 'bash', input: { command: 'echo half >> work.txt' } },
    ],
  };
  scene.model.push(work, refusal, { text: 'two' });
  const runId = await say(scene.daemon, 'second');
  await waitForRun(scene.daemon, runId, ['done']);
  await nthReply(scene.daemon, 2);
  expect(await chatTexts(scene.daemon, 'out')).toEqual(['one', 'two']);
  const last = calls().slice(-3);
  expect(last.map(({ model }) => model)).toEqual(['claude-sonnet-5-5', 'claude-sonnet-5-5', 'claude-haiku-5-5']);
  expect(JSON.stringify(last[1]?.messages)).toContain('"thinking"');
  expect(JSON.stringify(last[2]?.messages)).not.toContain('"thinking"');
  // What was done before the change is in the conversation, and was done once.
  expect(JSON.stringify(last[2]?.messages)).toContain('echo half');
  const notes = (await runOf(scene.daemon, runId)).events.filter(({ kind }) => kind === 'note');
  expect(notes.map(({ detail }) => detail.text)).toEqual([
    expect.stringMatching(
      /^claude-sonnet-5-5 is overloaded since \d\d:\d\d: this attempt works with claude-haiku-5-5$/,
    ),
  ]);
  expect(await statusText()).toMatch(
    /claude-sonnet-5-5 has been overloaded since .* claude-haiku-5-5 works in its place/,
  );

  await scene.daemon.kill('SIGKILL');
  scene.daemon = await startDaemon({ home: scene.daemon.home, env: { ...scene.env, ...FALLBACK } });
  scene.model.push({ text: 'three' });
  await waitForRun(scene.daemon, await say(scene.daemon, 'third'), ['done']);
  expect(calls().at(-1)?.model).toBe('claude-haiku-5-5');
  expect(scene.model.rejections()).toEqual([]);
  expect(JSON.stringify(scene.daemon.logs)).not.toContain(KEY);
});
