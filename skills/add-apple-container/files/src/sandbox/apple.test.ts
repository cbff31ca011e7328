// Apple's container runtime against a fake of its command: the walls option by option, the same link as in Docker, and nothing left behind.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { isAlive } from '../../container/agent-runner/src/testing/setup.js';
import { bundle, startScene } from '../../test/sandbox/world.js';
import { systemClock } from '../core/clock.js';
import { createAppleSandbox, runArguments } from './apple.js';
import type { Sandbox } from './sandbox.js';

const repository = join(import.meta.dirname, '../..');
const shared = mkdtempSync(join(tmpdir(), 'pinch-apple-bundle-'));
const log = pino({ enabled: false });
const user = { uid: 501, gid: 20 };
let folder: string;
let program: string;

beforeAll(async () => {
  process.env.PINCH_TEST_CANARY = 'canary-33bb';
  await bundle('inside.ts', join(shared, 'inside.cjs'));
  return () => rmSync(shared, { recursive: true, force: true });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinch-apple-'));
  program = join(folder, 'container');
  const fake = join(repository, 'test/sandbox/fake-container.mjs');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${fake}' '${folder}' "$@"\n`);
  chmodSync(program, 0o755);
  writeFileSync(join(folder, 'image'), 'pinch-agent:1');
  writeFileSync(join(folder, 'runner.cjs'), readFileSync(join(shared, 'inside.cjs')));
  for (const { source } of spec().mounts) mkdirSync(source);
});
afterEach(async () => {
  await sandbox().reap();
  rmSync(folder, { recursive: true, force: true });
});

const targets = ['workspace', 'sessions', 'global'];
const spec = () => ({
  folder: 'family',
  mounts: targets.map((name) => ({ source: join(folder, name), target: `/${name}`, readOnly: name === 'global' })),
});
const sandbox = (more: { image?: string; homeId?: string; program?: string } = {}) =>
  createAppleSandbox({
    program,
    image: 'pinch-agent:1',
    homeId: 'abcdef0123456789',
    user,
    clock: systemClock,
    log,
    ...more,
  });
const containers = () => readdirSync(join(folder, 'state'));

test('every wall is an option, and no other option is given', () => {
  const mounts = [
    { source: '/home/groups/family', target: '/workspace', readOnly: false },
    { source: '/home/groups/global', target: '/global', readOnly: true },
  ];
  const { name, args } = runArguments(
    { image: 'pinch-agent:1', homeId: 'abcdef0123456789', user },
    { folder: 'family', mounts },
  );
  expect(name).toMatch(/^pinch-abcdef01-family-[0-9a-f]{8}$/);
  expect(args).toEqual([
    'run',
    ...['--name', name],
    ...['--label', 'pinch.home=abcdef0123456789'],
    ...['--label', 'pinch.group=family'],
    '--interactive',
    '--rm',
    ...['--progress', 'none'],
    ...['--network', 'none'],
    '--read-only',
    ...['--cap-drop', 'ALL'],
    ...['--user', '501:20'],
    ...['--cpus', '1'],
    ...['--memory', '1024M'],
    ...['--shm-size', '16M'],
    ...['--ulimit', 'nproc=256:256'],
    ...['--ulimit', 'nofile=16384:16384'],
    ...['--ulimit', 'core=0:0'],
    ...['--mount', 'type=tmpfs,target=/tmp,size=256M,mode=1777'],
    '--init',
    ...['--workdir', '/workspace'],
    ...['--env', 'HOME=/tmp'],
    ...['--env', 'LANG=C.UTF-8'],
    ...['--mount', 'type=bind,source=/home/groups/family,target=/workspace'],
    ...['--mount', 'type=bind,source=/home/groups/global,target=/global,readonly'],
    'pinch-agent:1',
  ]);
});

test('a path cannot smuggle in an option', async () => {
  const mounts = [{ source: '/home/a,readonly', target: '/workspace', readOnly: false }];
  await expect(sandbox().start({ folder: 'family', mounts }, () => undefined)).rejects.toMatchObject({
    code: 'container_start_failed',
    message: expect.stringContaining('comma'),
  });
});

test('the link works, the folders are there, and nothing of our environment is', async () => {
  const { instance, result } = await startScene(
    sandbox(),
    spec(),
    `const answer = await fetch(base + '/ask', { method: 'POST', body: 'x'.repeat(200000) });
     return { text: await answer.text(), env: { ...process.env } };`,
    async (req, res) => {
      let bytes = 0;
      for await (const chunk of req) bytes += chunk.length;
      res.end(`got ${bytes}`);
    },
  );
  expect(await result).toMatchObject({
    text: 'got 200000',
    env: { PINCH_RUNNER_WORKSPACE: join(folder, 'workspace'), HOME: '/tmp' },
  });
  expect(JSON.stringify(await result)).not.toContain('canary-33bb');
  expect(containers()).toEqual([instance.id]);
  await instance.stop(2_000);
  await expect.poll(containers).toEqual([]);
});

test('the real runner asks for work', async () => {
  const entryPoints = [join(repository, 'container/agent-runner/src/main.ts')];
  await build({ entryPoints, bundle: true, platform: 'node', format: 'cjs', outfile: join(folder, 'runner.cjs') });
  let asked: (url: string | undefined) => void = () => undefined;
  const url = new Promise<string | undefined>((resolve) => {
    asked = resolve;
  });
  const server = createServer((req) => asked(req.url));
  const instance = await sandbox().start(spec(), (connection) => server.emit('connection', connection));
  expect(await url).toBe('/work');
  await instance.stop(2_000);
  expect(await instance.closed).toMatchObject({ reason: 'it was stopped' });
});

test('a runner that will not go is removed after the grace, with all it started', async () => {
  const { instance, result } = await startScene(
    sandbox(),
    spec(),
    `process.removeAllListeners('SIGHUP'); process.on('SIGHUP', () => undefined); setInterval(() => undefined, 1000);
     return [process.pid, require('node:child_process').spawn('sleep', ['600']).pid];`,
  );
  const pids = z
    .array(z.number())
    .length(2)
    .parse(await result);
  await Promise.all([instance.stop(100), instance.stop(100)]);
  expect(await instance.closed).toMatchObject({ reason: 'it was stopped' });
  for (const pid of pids) await expect.poll(() => isAlive(pid)).toBe(false);
  expect(containers()).toEqual([]);
});

test.each([
  ['process.exit(7)', { reason: 'exit code 7', exitCode: 7, outOfMemory: false }],
  ["process.kill(process.pid, 'SIGKILL')", { exitCode: 137, outOfMemory: true }],
])('how a runner ended by itself is told: %s', async (script, exit) => {
  const { instance } = await startScene(sandbox(), spec(), script);
  expect(await instance.closed).toMatchObject(exit);
  await expect.poll(containers).toEqual([]);
});

test('a container whose command was killed is not left running', async () => {
  const { instance, result } = await startScene(
    sandbox(),
    spec(),
    'setInterval(() => undefined, 1000); return [process.pid, process.ppid];',
  );
  const [runner = 0, command = 0] = z.array(z.number()).parse(await result);
  process.kill(command, 'SIGKILL');
  await instance.closed;
  await expect.poll(() => isAlive(runner)).toBe(false);
  await expect.poll(containers).toEqual([]);
});

test('what an earlier process left is removed; our own and those of another home stay', async () => {
  const mine = sandbox();
  const [left, other, own] = [
    await startScene(sandbox(), spec(), 'setInterval(() => undefined, 1000);'),
    await startScene(sandbox({ homeId: 'another-home' }), spec(), 'setInterval(() => undefined, 1000);'),
    await startScene(mine, spec(), 'setInterval(() => undefined, 1000);'),
  ];
  expect(await mine.reap()).toBe(1);
  await left.instance.closed;
  expect(containers().sort()).toEqual([other.instance.id, own.instance.id].sort());
  await Promise.all([other, own].map(({ instance }) => instance.stop(2_000)));
});

test('a missing image, and a missing folder, are failed starts that say so', async () => {
  await expect(sandbox({ image: 'pinch-agent:2' }).start(spec(), () => undefined)).rejects.toMatchObject({
    code: 'container_start_failed',
    message: 'container for group family: image not found: pinch-agent:2',
    hint: expect.stringContaining('npm start'),
  });
  rmSync(join(folder, 'sessions'), { recursive: true });
  await expect(sandbox().start(spec(), () => undefined)).rejects.toMatchObject({
    message: `container for group family: the folder ${join(folder, 'sessions')} is missing`,
  });
  expect(containers()).toEqual([]);
});

test('a service that is down, and a command that is not there, are no fault of the container', async () => {
  writeFileSync(join(folder, 'down'), '');
  const attempts = (one: Sandbox) => [() => one.ping(), () => one.reap(), () => one.start(spec(), () => undefined)];
  for (const attempt of attempts(sandbox()))
    await expect(attempt()).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      hint: 'run `container system start`',
    });
  rmSync(join(folder, 'down'));
  await sandbox().ping();
  const absent = sandbox({ program: join(folder, 'absent') });
  for (const attempt of attempts(absent))
    await expect(attempt()).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      hint: expect.stringContaining('install it'),
    });
});

test('the image is built by the same command from the same Dockerfile', () => {
  const script = join(repository, 'scripts/lib/runtime-apple.mjs');
  const code = `const { buildArgumentsOf } = await import(${JSON.stringify(script)});
    process.stdout.write(JSON.stringify(buildArgumentsOf({ tag: 'pinch-agent:1', uid: 501, authorities: [], settings: { HTTPS_PROXY: 'http://proxy' } }, '/context')));`;
  expect(existsSync(script)).toBe(true);
  expect(JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' }))).toEqual(
    [
      ...['build', '--progress', 'plain', '--tag', 'pinch-agent:1', '--file', '/context/Dockerfile'],
      ...['--build-arg', 'AGENT_UID=501', '--build-arg', 'EXTRA_CA=', '--build-arg', 'HTTPS_PROXY=http://proxy'],
      '/context',
    ],
  );
});
