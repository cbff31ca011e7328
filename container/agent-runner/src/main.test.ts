// The bundle as it is shipped, behind the real link, without a container.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.js';
import { startTlsSite } from '../../../src/egress/testing/sites.js';
import { openHostLink } from '../../../src/sandbox/link.js';
import { startFakeAnthropic } from '../../../test/fakes/anthropic.js';
import { startTestHost, testMessage, testRun } from './testing/host.js';
import { isAlive, makePaths, readHistory, use } from './testing/setup.js';
import { bundleReader, startDoor } from './testing/sites.js';

const paths = makePaths();
const bundle = path.join(paths.root, 'runner.cjs');

beforeAll(async () => {
  const entryPoints = [path.join(import.meta.dirname, 'main.ts')];
  await build({ entryPoints, bundle: true, minify: true, platform: 'node', format: 'cjs', outfile: bundle });
  fs.copyFileSync(await bundleReader(), path.join(paths.root, 'reader.cjs'));
});
afterAll(() => fs.rmSync(paths.root, { recursive: true, force: true }));

async function startBundle(more: Record<string, string> = {}) {
  const fake = await startFakeAnthropic({ key: 'link' });
  const host = await startTestHost(fake.url);
  const env = {
    PATH: process.env.PATH,
    PINCH_RUNNER_PORT: '0',
    PINCH_RUNNER_WORKSPACE: paths.workspace,
    PINCH_RUNNER_GLOBAL: paths.global,
    PINCH_RUNNER_SESSIONS: paths.sessions,
    PINCH_RUNNER_SKILLS: paths.skills,
    ...more,
  };
  const child = spawn(process.execPath, [bundle], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const onConnection = (connection: Duplex) => {
    const socket = net.connect(host.port, '127.0.0.1');
    connection.pipe(socket).pipe(connection);
    for (const end of [connection, socket]) end.on('error', () => [connection, socket].map((s) => s.destroy()));
  };
  const { stdin, stdout } = child;
  const link = await openHostLink({ stdin, stdout, clock: systemClock, helloTimeoutMs: 20_000, onConnection });
  return { fake, host, link, exit };
}

test('a run goes through the link, and the end of the link ends the runner with every child', async () => {
  const { fake, host, link, exit } = await startBundle();
  fake.push({ content: [use('bash', { command: 'sleep 600 & echo $! > pid; echo started' })] }, { text: 'fine' });
  host.push({ type: 'run', run: testRun() });
  expect(await host.finished(1)).toMatchObject({ outcome: 'done', text: 'fine', handledMessageIds: [1] });
  fake.push({ content: [use('bash', { command: 'echo $$ > shell; sleep 600' })] });
  host.push({ type: 'run', run: testRun({ id: 2, messages: [testMessage(2, 'wait')] }) });
  await host.event((event) => event.kind === 'tool_started' && String(event.detail.input).includes('shell'));
  link.close();
  expect(await exit).toEqual([0, null]);
  for (const file of ['pid', 'shell'].map((name) => path.join(paths.workspace, name)).filter(fs.existsSync)) {
    // A killed process is gone as soon as the kernel gets to it.
    await expect.poll(() => isAlive(Number(fs.readFileSync(file, 'utf8')))).toBe(false);
  }
  expect(fake.rejections()).toEqual([]);
  await Promise.all([host.close(), fake.close()]);
});

test('a page comes over TLS and is read by the reader that lies beside the bundle', async () => {
  const door = await startDoor();
  const site = await startTlsSite('tls.example', async (_seen, _request, response) => {
    response.setHeader('content-type', 'text/html').end('<h2>From</h2><p>outside');
  });
  door.inside.allow('tls.example', [site.port]);
  const { fake, host, link, exit } = await startBundle({ NODE_EXTRA_CA_CERTS: site.ca });
  host.door.port = door.inside.port;
  fake.push({ content: [use('web_fetch', { url: `https://tls.example:${site.port}/` })] }, { text: 'fine' });
  host.push({ type: 'run', run: testRun({ session: 'page' }) });
  await host.finished(1);
  expect(JSON.stringify(readHistory(paths, 'page'))).toContain('## From\\n\\noutside');
  link.close();
  expect(await exit).toEqual([0, null]);
  site.close();
  await Promise.all([host.close(), fake.close(), door.close()]);
});

test('told to stop, the runner ends by itself', async () => {
  const { fake, host, exit } = await startBundle();
  host.push({ type: 'stop' });
  expect(await exit).toEqual([0, null]);
  await Promise.all([host.close(), fake.close()]);
});
