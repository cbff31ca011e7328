import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, setUp, use } from '../testing/setup.js';

let bench: Bench;
beforeEach(async () => {
  bench = await setUp([]);
});
afterEach(() => bench.close());

/** Has the model make these calls in one reply; returns what it is told, in order. */
async function results(...calls: [name: string, input: object][]): Promise<{ text: string; isError: boolean }[]> {
  bench.fake.push({ content: calls.map(([name, input], at) => use(name, input, `call_${at}`)) }, { text: 'ok' });
  await bench.run();
  expect(bench.fake.rejections()).toEqual([]);
  const last = bench.history().findLast((r) => r.kind === 'user' && r.origin === 'results');
  const content = last?.kind === 'user' ? last.content : [];
  return content.flatMap((b) =>
    b.type === 'tool_result' ? [{ text: String(b.content), isError: b.is_error === true }] : [],
  );
}

test('tasks are scheduled and changed in the name of the run, each call with its own key', async () => {
  const daily = { prompt: 'Look.', cron: '0 9 * * *', tz: 'Europe/Berlin', check: 'ls new', after: [3] };
  const told = await results(
    ['task_schedule', daily],
    ['task_list', {}],
    ['task_update', { id: 7, every: '1h' }],
    ['task_pause', { id: 7 }],
    ['task_resume', { id: 7 }],
    ['task_cancel', { id: 7 }],
  );
  expect(bench.host.asked).toEqual([
    { path: '/tasks', body: { ...daily, runId: 1, key: 'call_0' } },
    { path: '/tasks/list', body: { runId: 1 } },
    { path: '/tasks/7', body: { runId: 1, key: 'call_2', action: 'update', fields: { every: '1h' } } },
    { path: '/tasks/7', body: { runId: 1, key: 'call_3', action: 'pause' } },
    { path: '/tasks/7', body: { runId: 1, key: 'call_4', action: 'resume' } },
    { path: '/tasks/7', body: { runId: 1, key: 'call_5', action: 'cancel' } },
  ]);
  expect(told.map(({ text }) => text)).toEqual(bench.host.asked.map(({ path }) => `The host did ${path}.`));
});

test("the host's refusal is an error result with its own words, and input it would refuse does not reach it", async () => {
  bench.host.refusals.push('give exactly one of cron, every and at');
  const [refused, tooLong] = await results(
    ['task_schedule', { prompt: 'x', cron: '* * * * *', at: 'in 5m' }],
    ['task_schedule', { prompt: '€'.repeat(6_000), at: 'in 5m' }],
  );
  expect(refused).toEqual({ text: expect.stringContaining('give exactly one of cron, every and at'), isError: true });
  expect(tooLong).toEqual({ text: expect.stringContaining('16 kB'), isError: true });
  expect(bench.host.asked).toEqual([]);
});

test('a question goes out once, and the model is told that the answer starts a new run', async () => {
  const [asked, open] = await results(
    ['ask', { question: 'Which one?', choices: ['red', 'blue'] }],
    ['ask', { question: 'Why?' }],
  );
  expect(bench.host.asked.map(({ body }) => body)).toEqual([
    { question: 'Which one?', choices: ['red', 'blue'], runId: 1, key: 'call_0' },
    { question: 'Why?', choices: [], runId: 1, key: 'call_1' },
  ]);
  expect(asked?.text).toContain('starts a new run of this conversation: end your turn now unless there is other work');
  expect(open?.isError).toBe(false);
});
