import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RecordedRequest, Step } from '../../../../test/fakes/anthropic.js';
import { testMessage } from '../testing/host.js';
import { type Bench, isAlive, setUp, use } from '../testing/setup.js';

let bench: Bench;
beforeEach(async () => {
  bench = await setUp([]);
});
afterEach(() => bench.close());

const messages = [testMessage(1, 'go')];
const said = ({ body }: RecordedRequest) => JSON.stringify(body?.messages);
const toolsOf = ({ body }: RecordedRequest) => (body?.tools ?? []).map((tool) => String(Object(tool).name));
const results = () =>
  bench
    .history()
    .flatMap((record) =>
      record.kind === 'tool_done' ? [[String(record.result.content), record.result.is_error]] : [],
    );

test('a sub-agent works in a history of its own, with the tools but agent, on the account of the run', async () => {
  let first: RecordedRequest | undefined;
  bench.fake.push(
    { content: [use('agent', { prompt: 'Count the files.' })] },
    (request) => {
      first = request;
      return { content: [use('bash', { command: 'echo secret-detail' })] };
    },
    { text: 'There are 3.' },
    { text: 'Three files.' },
  );
  const report = await bench.run({ messages });
  expect(report).toMatchObject({ outcome: 'done', text: 'Three files.' });
  expect(bench.fake.rejections()).toEqual([]);
  const [own] = bench.fake.requests;
  if (!own || !first) throw new Error('a request is missing');
  expect(said(first)).toContain('Count the files.');
  expect(first.body?.messages).toHaveLength(1);
  expect(said(first)).not.toContain('"go"');
  expect(first.body?.system).toEqual(own.body?.system);
  expect(toolsOf(first)).toEqual(toolsOf(own).filter((name) => name !== 'agent'));
  expect(results()).toEqual([['There are 3.', undefined]]);
  expect(JSON.stringify(bench.history())).not.toContain('secret-detail');
  expect(new Set(bench.host.modelRuns).size).toBe(1);
  expect(bench.host.events.filter(({ kind }) => kind === 'tool_started').map(({ detail }) => detail?.tool)).toEqual([
    'agent',
    'bash',
  ]);
});

test('several work at the same time, three at most, and each result goes to its call', async () => {
  let [working, most] = [0, 0];
  const begun = new Set<() => void>();
  const slow = async (request: RecordedRequest): Promise<Step> => {
    most = Math.max(most, ++working);
    await new Promise<void>((resolve) => begun.add(resolve));
    working -= 1;
    return { text: `done with ${/part \d/.exec(said(request))?.[0]}` };
  };
  const parts = [1, 2, 3, 4, 5];
  bench.fake.push({ content: parts.map((n) => use('agent', { prompt: `part ${n}` })) }, ...parts.map(() => slow), {
    text: 'all done',
  });
  const report = bench.run({ messages });
  await expect.poll(() => begun.size).toBe(3);
  for (let freed = 0; freed < 5; freed += 1) {
    await expect.poll(() => begun.size).toBeGreaterThan(0);
    const [next] = begun;
    if (next) begun.delete(next);
    next?.();
  }
  expect(await report).toMatchObject({ outcome: 'done', text: 'all done' });
  expect(most).toBe(3);
  const last = bench.history().findLast((record) => record.kind === 'user');
  const content = last?.kind === 'user' ? last.content : [];
  expect(content.map((block) => (block.type === 'tool_result' ? block.content : ''))).toEqual(
    parts.map((n) => `done with part ${n}`),
  );
});

test('its calls do not wait for the bash of the agent that asked', async () => {
  bench.fake.push(
    {
      content: [
        use('bash', { command: 'until [ -e made ]; do sleep 0.05; done; echo seen' }),
        use('agent', { prompt: 'x' }),
      ],
    },
    { content: [use('bash', { command: 'touch made' })] },
    { text: 'made it' },
    { text: 'ok' },
  );
  await bench.run({ messages });
  expect(results()).toContainEqual(['seen', undefined]);
  expect(results()).toContainEqual(['made it', undefined]);
});

test('a stop reaches it and what it started', async () => {
  const pidFile = join(bench.paths.workspace, 'pid');
  bench.fake.push(
    { content: [use('agent', { prompt: 'sleep' })] },
    { content: [use('bash', { command: 'sleep 600 & echo $! >pid; wait' })] },
  );
  bench.start({ id: 1, messages });
  await expect.poll(() => fs.existsSync(pidFile) && fs.readFileSync(pidFile, 'utf8').length).toBeGreaterThan(1);
  bench.host.push({ type: 'abort', runId: 1, reason: 'x' });
  expect(await bench.host.finished(1)).toMatchObject({ outcome: 'cancelled' });
  const pid = Number(fs.readFileSync(pidFile, 'utf8'));
  await expect.poll(() => isAlive(pid)).toBe(false);
});

test('what it left in the background ends with it', async () => {
  bench.fake.push(
    { content: [use('agent', { prompt: 'serve' })] },
    { content: [use('bash', { command: 'echo $$ >pid; sleep 600', background: true })] },
    async () => {
      await expect.poll(() => fs.existsSync(join(bench.paths.workspace, 'pid'))).toBe(true);
      return { text: 'served' };
    },
    { text: 'ok' },
  );
  await bench.run({ messages });
  const pid = Number(fs.readFileSync(join(bench.paths.workspace, 'pid'), 'utf8'));
  await expect.poll(() => isAlive(pid)).toBe(false);
});

test.each([
  [
    'a back end that refuses it',
    { fault: 400, type: 'invalid_request_error', message: 'no such thing' },
    /no such thing/,
  ],
  ['nothing to say', { text: '' }, /ended without a word/],
] as const)('%s is a result like any other, and the run goes on', async (_name, step, text) => {
  bench.fake.push({ content: [use('agent', { prompt: 'x' })] }, step, { text: 'went on' });
  expect(await bench.run({ messages })).toMatchObject({ outcome: 'done', text: 'went on' });
  expect(results()[0]?.[0]).toMatch(text);
});

test('one that is asked for by a sub-agent is refused', async () => {
  bench.fake.push(
    { content: [use('agent', { prompt: 'x' })] },
    { content: [use('agent', { prompt: 'y' })] },
    (request) => ({ text: said(request).includes('is_error') ? 'refused' : 'begun' }),
    { text: 'ok' },
  );
  await bench.run({ messages });
  expect(results()).toContainEqual(['refused', undefined]);
});
