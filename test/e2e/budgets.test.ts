// Budgets with a real daemon and containers: what the chat says, what goes on, what a killed process remembers.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { eventually, removeHome, startDaemon } from './harness.js';
import { bash, chatTexts, type Scene, say, startScene, waitForRun } from './talk.js';

/** A call reserves 16,000 tokens of reply, 0.16 USD, and a token for each byte of the prompt. */
const dear = (n: number) => ({ ...bash(`echo step ${n}`), usage: { output_tokens: 15_000 } });
const env = { PINCH_BUDGET_USD_RUN: '0.6', TZ: 'Europe/Berlin' };

let scene: Scene;
/** Whether the model works on and on. */
let digs = true;
let steps = 0;
beforeAll(async () => {
  const responder = () => (digs ? dear(steps++) : { text: 'done' });
  scene = await startScene({ model: { responder }, daemon: { env } });
});
afterAll(async () => {
  await scene.close();
  removeHome(scene.daemon.home);
});

const said = (words: string) =>
  eventually(async () => (await chatTexts(scene.daemon, 'out')).find((text) => text.includes(words)), words);
const costToday = async () => {
  const costs = z.object({ today: z.object({ costUsd: z.number(), calls: z.number() }) });
  return costs.parse((await scene.daemon.api('GET', '/api/costs')).body).today;
};

test('a run that reaches its limit ends below it, with a word in the chat, and the conversation goes on', async () => {
  const first = await waitForRun(scene.daemon, await say(scene.daemon, 'dig'), ['dead', 'done']);
  expect(first.run).toMatchObject({ state: 'dead', errorClass: 'budget', attempt: 1 });
  expect(first.events).toContainEqual(expect.objectContaining({ kind: 'budget_refused' }));
  const text = await said('I stopped run');
  expect(text).toMatch(/The limit for one piece of work is used up: \$0\.\d\d of \$0\.60 spent/);
  expect(text).toContain('`/budget run <amount>`');
  const { costUsd, calls } = await costToday();
  expect(calls).toBeGreaterThan(1);
  expect(costUsd).toBeLessThanOrEqual(0.6);
  expect(scene.model.requests).toHaveLength(calls);
  digs = false;
  await waitForRun(scene.daemon, await say(scene.daemon, 'go on'), ['done']);
  expect(JSON.stringify(scene.model.requests.at(-1)?.body?.messages)).toContain('echo step 0');
  expect(scene.model.rejections()).toEqual([]);
});

test('a full budget of the day names itself and its end; raising it lets the work go on at once', async () => {
  await scene.daemon.api('POST', '/api/chat', { text: '/budget 0.01' });
  await said('of $0.01 spent, $0.00 left, until');
  const runId = await say(scene.daemon, 'hello');
  expect(await said('The budget of today for group')).toMatch(
    /for group `main` is used up: \$0\.\d\d of \$0\.01 spent.* It begins anew at \w+ \d+ \w+ \d+, 00:00 \(Europe\/Berlin\)/,
  );
  expect((await waitForRun(scene.daemon, runId, ['ready'])).run).toMatchObject({ attempt: 0, errorClass: 'budget' });
  await scene.daemon.api('POST', '/api/budgets', { name: 'group', usd: null });
  await waitForRun(scene.daemon, runId, ['done']);
});

test('a call that was under way when the process was killed stays booked at its worst case', async () => {
  const before = await costToday();
  const sent = scene.model.requests.length;
  scene.model.push({ text: 'never read', waitMs: 60_000 });
  const runId = await say(scene.daemon, 'wait');
  await scene.model.waitForRequests(sent + 1);
  await scene.daemon.kill('SIGKILL');
  scene.daemon = await startDaemon({ home: scene.daemon.home, env: { ...scene.env, ...env } });
  await waitForRun(scene.daemon, runId, ['done']);
  const after = await costToday();
  expect(after.calls).toBe(before.calls + 2);
  expect(after.costUsd - before.costUsd).toBeGreaterThan(0.16);
});
