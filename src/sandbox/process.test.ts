// The unsandboxed runtime for development: the same link, the folders by environment, and nothing left behind.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { isAlive } from '../../container/agent-runner/src/testing/setup.js';
import { bundle, startScene } from '../../test/sandbox/world.js';
import { systemClock } from '../core/clock.js';
import { createProcessSandbox } from './process.js';

const folder = mkdtempSync(join(tmpdir(), 'pinch-process-'));
const program = join(folder, 'runner.cjs');
const log = pino({ enabled: false });
const sandbox = createProcessSandbox({ bundle: program, clock: systemClock, log });
const targets = ['workspace', 'global', 'sessions', 'skills'];
const mounts = targets.map((name) => ({ source: join(folder, name), target: `/${name}`, readOnly: false }));

beforeAll(async () => {
  process.env.PINCH_TEST_CANARY = 'canary-77aa';
  for (const { source } of mounts) mkdirSync(source);
  await bundle('inside.ts', program);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('two groups run at once, each with its own folders, port and a bare environment', async () => {
  const script = 'return { env: { ...process.env }, cwd: process.cwd(), base };';
  const scenes = await Promise.all([1, 2].map(() => startScene(sandbox, { folder: 'main', mounts }, script)));
  const results = await Promise.all(scenes.map(({ result }) => result));
  for (const result of results) {
    expect(result).toMatchObject({
      cwd: join(folder, 'workspace'),
      env: {
        PINCH_RUNNER_WORKSPACE: join(folder, 'workspace'),
        PINCH_RUNNER_GLOBAL: join(folder, 'global'),
        PINCH_RUNNER_SESSIONS: join(folder, 'sessions'),
        PINCH_RUNNER_SKILLS: join(folder, 'skills'),
        PINCH_RUNNER_PORT: '0',
      },
    });
    expect(JSON.stringify(result)).not.toContain('canary-77aa');
  }
  expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(2);
  await Promise.all(scenes.map(({ instance }) => instance.stop(2_000)));
});

test('stop ends the runner with everything it started', async () => {
  const { instance, result } = await startScene(
    sandbox,
    { folder: 'main', mounts },
    `process.removeAllListeners('SIGHUP'); process.on('SIGHUP', () => undefined);
     setInterval(() => undefined, 1000);
     return [process.pid, require('node:child_process').spawn('sleep', ['600']).pid];`,
  );
  const pids = z
    .array(z.number())
    .length(2)
    .parse(await result);
  await Promise.all([instance.stop(100), instance.stop(100)]);
  expect(await instance.closed).toMatchObject({ reason: 'it was stopped' });
  for (const pid of pids) await expect.poll(() => isAlive(pid)).toBe(false);
});

test('a runner that ends by itself says how, and its children end with it', async () => {
  const { instance } = await startScene(
    sandbox,
    { folder: 'main', mounts },
    `const { pid } = require('node:child_process').spawn('sleep', ['600']);
     require('node:fs').writeFileSync('pid', String(pid)); process.exit(7);`,
  );
  expect(await instance.closed).toEqual({ reason: 'exit 7', exitCode: 7, outOfMemory: false });
  const pid = Number(readFileSync(join(folder, 'workspace/pid'), 'utf8'));
  await expect.poll(() => isAlive(pid)).toBe(false);
});

test('a runner that writes rubbish on the link loses it, and the reason says so', async () => {
  const { instance } = await startScene(
    sandbox,
    { folder: 'main', mounts },
    `process.removeAllListeners('SIGHUP'); process.on('SIGHUP', () => undefined); setInterval(() => undefined, 1000);
     process.stdout.write(Buffer.alloc(100_000, 'x')); await new Promise(() => undefined);`,
  );
  expect((await instance.closed).reason).toMatch(/link/);
});

test('a bundle that is not there, or does not speak, is a failed start with a hint', async () => {
  const mute = join(folder, 'mute.cjs');
  writeFileSync(mute, 'process.exit(0)');
  for (const path of [join(folder, 'none.cjs'), mute]) {
    const broken = createProcessSandbox({ bundle: path, clock: systemClock, log });
    await expect(broken.start({ folder: 'main', mounts }, () => undefined)).rejects.toMatchObject({
      code: 'container_start_failed',
      hint: expect.stringContaining(path),
    });
  }
});

test('a workspace that is not there is a failed start', async () => {
  const gone = [{ source: join(folder, 'gone'), target: '/workspace', readOnly: false }];
  await expect(sandbox.start({ folder: 'main', mounts: gone }, () => undefined)).rejects.toMatchObject({
    code: 'container_start_failed',
  });
});
