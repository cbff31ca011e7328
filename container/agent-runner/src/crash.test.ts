import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Step } from '../../../test/fakes/anthropic.js';
import { type FakeAnthropic, startFakeAnthropic } from '../../../test/fakes/anthropic.js';
import { startTestHost, type TestHost, testRun } from './testing/host.js';
import { makePaths, readHistory, use } from './testing/setup.js';

const bundle = path.join(makePaths().root, 'child.mjs');
let fake: FakeAnthropic;
let host: TestHost;

/** Answers by what is in the conversation, so that it fits whatever survived. */
const model: Step = ({ body }) => {
  const results = body?.messages.flatMap((m) => (Array.isArray(m.content) ? m.content : [])) ?? [];
  if (results.some((block) => block.type === 'tool_result')) return { text: 'the one answer' };
  return {
    content: [use('bash', { command: 'echo a >> effects' }), use('bash', { command: 'echo b >> effects; exit 1' })],
  };
};

beforeAll(async () => {
  fake = await startFakeAnthropic({ key: 'link', responder: model });
  host = await startTestHost(fake.url);
  const banner = { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" };
  const entryPoints = [path.join(import.meta.dirname, 'testing/crash-child.ts')];
  await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outfile: bundle, banner });
});
afterAll(async () => {
  await Promise.all([host.close(), fake.close()]);
  fs.rmSync(path.dirname(bundle), { recursive: true });
});

function startChild(root: string, killAfter: number) {
  const env = { ...process.env, KILL_AFTER: String(killAfter), PORT: String(host.port), ROOT: root };
  return spawn(process.execPath, [bundle], { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

// Directory, the reply with what was asked before it, two tool_done, the last reply with the results before it: five times something reaches the disk.
test.each([1, 2, 3, 4, 5])('killed after fsync %i: one answer, valid history, nothing repeated', async (n) => {
  const paths = makePaths();
  const run = testRun({ id: n });
  const before = fake.requests.length;
  const first = startChild(paths.root, n);
  host.push({ type: 'run', run });
  const [, signal] = await once(first, 'exit');
  expect(signal).toBe('SIGKILL');
  await host.workEnded();
  expect(host.reports.filter((r) => r.runId === n)).toEqual([]);

  const second = startChild(paths.root, 0);
  host.push({ type: 'run', run: { ...run, attempt: 2 } });
  const report = await host.finished(n);
  host.push({ type: 'stop' });
  await once(second, 'exit');
  await host.workEnded();

  expect(report).toMatchObject({ outcome: 'done', text: 'the one answer', handledMessageIds: [1] });
  expect(host.reports.filter((r) => r.runId === n)).toHaveLength(1);
  expect(fake.rejections()).toEqual([]);
  // Nothing that was on disk is asked for again.
  expect(fake.requests.length - before).toBe(2);
  const effects = fs.readFileSync(path.join(paths.workspace, 'effects'), { encoding: 'utf8', flag: 'a+' });
  const results = readHistory(paths).flatMap((r) => (r.kind === 'user' && r.origin === 'results' ? r.content : []));
  expect(results).toHaveLength(2);
  for (const [at, name] of ['a', 'b'].entries()) {
    const times = effects.split('\n').filter((line) => line === name).length;
    const interrupted = JSON.stringify(results[at]).includes('was interrupted');
    expect(interrupted ? times <= 1 : times === 1).toBe(true);
  }
  const reported = host.events.filter((e) => e.kind === 'interrupted').length;
  host.events.length = 0;
  expect(reported).toBe(results.filter((r) => JSON.stringify(r).includes('was interrupted')).length);
  fs.rmSync(paths.root, { recursive: true });
});
