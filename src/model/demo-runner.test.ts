// The demo model behind the real proxy, driving the real agent runner: its calls must be calls that work.
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startAgent } from '../../container/agent-runner/src/agent.js';
import { startTestHost, type TestHost, testMessage, testRun } from '../../container/agent-runner/src/testing/host.js';
import { makePaths } from '../../container/agent-runner/src/testing/setup.js';
import { systemClock } from '../core/clock.js';
import { createBounds } from '../gateway/bounds.js';
import { modelRoutes } from './model.js';
import type { ModelCallRow } from './rows.js';

const paths = makePaths();
const calls: ModelCallRow[] = [];
let host: TestHost;
let agent: ReturnType<typeof startAgent>;
let server: http.Server;
let runs = 0;

beforeAll(async () => {
  const bounds = createBounds(() => 0)();
  const [route] = modelRoutes({
    backend: () => ({ kind: 'demo' }),
    config: { modelSearch: false },
    groupModel: () => undefined,
    fallback: { models: ['any'], note: () => undefined, covers: () => false },
    outage: { note: () => undefined, setAside: () => undefined },
    onSearch: () => undefined,
    modelOf: () => undefined,
    stopped: () => false,
    runOf: () => null,
    ledger: { fits: () => true, reserve: () => ({ settle: (call) => void calls.push(call) }) },
    clock: systemClock,
    log: pino({ level: 'silent' }),
  });
  server = http.createServer((request, response) => {
    const link = { groupId: 1, startedAt: 0, onWork: () => undefined };
    void route?.serve({ link, request, response, ids: [], room: bounds.room(response) });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  host = await startTestHost(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
  agent = startAgent({ port: host.port, paths, reader: '' });
});

afterAll(async () => {
  host.push({ type: 'stop' });
  await agent.ended;
  agent.killAll();
  await host.close();
  server.closeAllConnections();
  server.close();
});

/** Sends messages as one run and gives the reply. */
async function ask(...texts: string[]): Promise<string> {
  runs += 1;
  const messages = texts.map((text, at) => testMessage(runs * 100 + at, text));
  host.push({ type: 'run', run: testRun({ id: runs, session: `s${runs}`, messages }) });
  const report = await host.finished(runs);
  expect(report.outcome).toBe('done');
  return report.outcome === 'done' ? report.text : '';
}

test('what it is told to remember is in the memory file, line by line, and it finds it again in a new session', async () => {
  expect(await ask('what do you remember?')).toContain('still empty');
  writeFileSync(join(paths.workspace, 'CLAUDE.md'), '# no newline at the end');
  expect(await ask("@Pinch remember that Anna's bike is <blue> & costs $5")).toContain(
    "- Anna's bike is <blue> & costs $5",
  );
  expect(await ask('remember: the `door` code is "12\\34"')).toContain('I wrote it down');
  expect(readFileSync(join(paths.workspace, 'CLAUDE.md'), 'utf8')).toBe(
    '# no newline at the end\n- Anna\'s bike is <blue> & costs $5\n- the `door` code is "12\\34"\n',
  );
  expect(await ask('what do you remember about the bike?')).toContain("Anna's bike is <blue>");
});

test('commands run, fail and report', async () => {
  expect(await ask('run: echo one; pwd')).toContain(`one\n${paths.workspace}`);
  expect(await ask('run `ls /does-not-exist`')).toContain('[exit code 2]');
  expect(await ask('list files')).toContain('CLAUDE.md');
});

test('todo and history go through the real tools, and what has no tool yet is said', async () => {
  host.history.push({ chat: 'web', sender: 'Ann', sentAt: 0, text: 'the bike is <blue>' });
  expect(await ask('search for bike')).toContain('the bike is');
  expect(await ask('todo: buy bread, call Anna')).toContain('- [ ] call Anna');
  expect(await ask('help')).toContain('a small script, not an AI');
});

test('many messages at once are one reply to the last, and every call is on the books for nothing', async () => {
  const reply = await ask('hi', 'run: echo first', 'run: echo second');
  expect(reply).toContain('second');
  expect(reply.match(/demo model, no account needed/g)).toHaveLength(1);
  expect(calls.length).toBeGreaterThan(10);
  expect(new Set(calls.map((call) => `${call.model} ${call.costMicroUsd} ${call.status}`))).toEqual(
    new Set(['demo 0 200']),
  );
});
