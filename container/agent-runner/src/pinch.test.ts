// The `pinch` command as it is shipped, a process of its own, against the host a runner sees.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { build } from 'esbuild';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startTestHost, type TestHost } from './testing/host.js';
import { makePaths, setUp, use } from './testing/setup.js';

const { root } = makePaths();
const pinch = path.join(root, 'pinch');
let host: TestHost;

beforeAll(async () => {
  const entryPoints = [path.join(import.meta.dirname, 'pinch.ts')];
  await build({ entryPoints, bundle: true, minify: true, platform: 'node', format: 'cjs', outfile: pinch });
  host = await startTestHost('http://127.0.0.1:9');
});
afterAll(async () => {
  await host.close();
  fs.rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  for (const list of [host.asked, host.sends, host.refusals, host.history]) list.length = 0;
});

type Ran = { code: number; out: string; err: string };

async function run(args: string[], { input = '', env = {} }: { input?: string; env?: object } = {}): Promise<Ran> {
  const inRun = { PATH: process.env.PATH, TZ: 'Europe/Berlin', PINCH_RUN: '7', PINCH_PORT: `${host.port}`, ...env };
  const child = spawn(pinch, args, { env: inRun, cwd: root });
  child.stdin.end(input);
  const exit = once(child, 'close');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await exit;
  return { code: Number(code), out: out.trimEnd(), err: err.trimEnd() };
}

const caller = { runId: 7, key: expect.stringMatching(/^[\w-]{36}$/) };

test('messages go out in the name of the run, each call with a key of its own', async () => {
  expect(await run(['send', 'hello', 'there'])).toEqual({ code: 0, out: 'Queued for delivery.', err: '' });
  await run(['send', '--chat', 'web:family', '-'], { input: 'two\nlines' });
  expect(host.sends).toEqual([
    { ...caller, text: 'hello there' },
    { ...caller, text: 'two\nlines', chat: 'web:family' },
  ]);
  expect(host.sends[0]?.key).not.toBe(host.sends[1]?.key);
});

test('tasks are added, changed and listed', async () => {
  fs.writeFileSync(path.join(root, 'check.sh'), 'ls new');
  const added = await run(
    ['task', 'add', '--cron', '0 9 * * *', '--check', 'check.sh', '--after', '3,4', '--attempts=2', 'Look', 'here.'],
    {},
  );
  expect(added).toEqual({ code: 0, out: 'The host did /tasks.', err: '' });
  await run(['task', 'update', '12', '--every', '1h', 'Look there.']);
  await run(['task', 'update', '12', '--title', 'Watch']);
  for (const action of ['pause', 'resume', 'cancel', 'run']) await run(['task', action, '12']);
  expect((await run(['task', 'list'])).out).toBe('The host did /tasks/list.');
  const change = (action: string, more = {}) => ({ path: '/tasks/12', body: { ...caller, action, ...more } });
  const task = { cron: '0 9 * * *', check: 'ls new', after: [3, 4], attempts: 2, prompt: 'Look here.' };
  expect(host.asked).toEqual([
    { path: '/tasks', body: { ...caller, ...task } },
    change('update', { fields: { every: '1h', prompt: 'Look there.' } }),
    change('update', { fields: { title: 'Watch' } }),
    ...['pause', 'resume', 'cancel', 'run'].map((action) => change(action)),
    { path: '/tasks/list', body: { runId: 7 } },
  ]);
});

test('questions go out with their choices, and history is one line per message in the local time', async () => {
  expect((await run(['ask', 'Which one?', 'red', 'dark blue'])).out).toBe('The host did /ask.');
  expect(host.asked[0]?.body).toEqual({ ...caller, question: 'Which one?', choices: ['red', 'dark blue'] });
  expect((await run(['history', 'bike'])).out).toBe('Nothing found.');
  host.history.push({ chat: 'Family', sender: 'Ann', sentAt: Date.UTC(2026, 10, 21, 9, 5), text: 'my bike' });
  expect((await run(['history', '--limit', '5', 'bike'])).out).toBe('2026-11-21 10:05 Sat Ann in Family: my bike');
});

test('a folder of the machine is asked for, read-only unless it says so', async () => {
  expect((await run(['mount', '/srv/My', 'Photos'])).out).toBe('The host did /mounts.');
  await run(['mount', '--rw', '/srv/notes', '--name', 'notes', '--group', 'family']);
  expect(host.asked.map(({ body }) => body)).toEqual([
    { runId: 7, path: '/srv/My Photos', readOnly: true },
    { runId: 7, path: '/srv/notes', readOnly: false, name: 'notes', group: 'family' },
  ]);
});

test("the host's refusal comes in its own words, with exit code 1", async () => {
  host.refusals.push('give exactly one of cron, every and at');
  const refused = { code: 1, out: '', err: 'pinch: give exactly one of cron, every and at' };
  expect(await run(['task', 'add', 'Look.'])).toEqual(refused);
});

test.each([
  [['send'], 'at text'],
  [['frobnicate'], 'there is no command "frobnicate"'],
  [['task'], 'task takes one of add, list, update'],
  [['task', 'pause'], 'which task? Give its number'],
  [['task', 'pause', '3', '4'], 'what is "4" for?'],
  [['task', 'add', '--corn', 'x', 'Look.'], "Unknown option '--corn'"],
  [['task', 'add', '--at', 'in 5m', '--attempts', 'two', 'Look.'], 'at attempts'],
  [['task', 'add', '--at', 'in 5m', '--check', 'missing.sh', 'Look.'], 'missing.sh'],
  [['history', '--limit', '500', 'x'], 'at limit'],
])('wrong usage %j is told and reaches nobody', async (args, why) => {
  const { code, out, err } = await run(args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(why);
  expect(err).toContain('See `pinch help`.');
  expect(host.asked).toEqual([]);
});

test('outside of a run it says so, help comes anywhere, and a host that is gone is an error', async () => {
  const outside = await run(['send', 'x'], { env: { PINCH_RUN: undefined } });
  expect(outside).toMatchObject({ code: 1, err: expect.stringContaining('no run of the agent') });
  for (const args of [[], ['help'], ['--help']]) {
    const help = await run(args, { env: { PINCH_RUN: undefined } });
    expect(help).toMatchObject({ code: 0, out: expect.stringContaining('pinch task add') });
  }
  const gone = await run(['send', 'x'], { env: { PINCH_PORT: '9' } });
  expect(gone).toMatchObject({ code: 1, err: expect.stringContaining('ECONNREFUSED') });
});

test('every command of a run knows the run and the way to its host, background jobs and checks too', async () => {
  const bench = await setUp([]);
  const command = (words: string) => ({ command: `${pinch} send ${words}` });
  const unattended = { note: '[Task 1]', check: `${pinch} send from-check >&2` };
  await bench.run({ id: 8, session: 'task1-1', unattended });
  const job = { ...command('from-job'), background: true };
  const wait = { command: `until grep -q exit .out/*.log; do sleep 0.05; done` };
  bench.fake.push(
    { content: [use('bash', command('from-bash')), use('bash', job), use('bash', wait)] },
    { text: 'ok' },
  );
  await bench.run({ id: 9 });
  const sent = bench.host.sends.map(({ runId, text }) => [runId, text]);
  expect(sent).toEqual([
    [8, 'from-check'],
    [9, 'from-bash'],
    [9, 'from-job'],
  ]);
  await bench.close();
});
