// The daemon as a service manager runs it: no terminal, its log in a file, ended by a crash now and then.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { type DaemonOptions, type DaemonProcess, eventually, newHome, removeHome, spawnDaemon } from './harness.js';

const env = { PINCH_RUNTIME: 'process', PINCH_UNSAFE: '1', PINCH_SERVICE: '1' };
const home = newHome();
let daemon: DaemonProcess | undefined;

afterEach(async () => {
  await daemon?.kill('SIGKILL');
  removeHome(home);
});

const logText = () => readFileSync(join(home, 'data/logs/pinch.log'), 'utf8');
const logged = (msg: string) =>
  logText()
    .split('\n')
    .find((line) => line.includes(`"msg":"${msg}`));

async function start(options: DaemonOptions = {}): Promise<DaemonProcess> {
  daemon = await spawnDaemon({ home, env: { ...env, ...options.env } });
  const { port } = daemon;
  const ready = async () => (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined))?.ok;
  await eventually(ready, 'the daemon is ready');
  return daemon;
}

async function status({ api }: DaemonProcess) {
  const { body } = await api('GET', '/api/status');
  return z.object({ text: z.string(), lastEnd: z.string().nullable() }).parse(body);
}

test('a kill leaves a reason that the next start logs and shows, a clean end none; no secret reaches a file', async () => {
  const killed = await start();
  expect(killed.logs).toEqual([]);
  expect(killed.stderr()).toBe('');
  expect(logged('ready')).toBeDefined();
  expect((await status(killed)).lastEnd).toBeNull();
  await killed.kill('SIGKILL');

  const second = await start();
  expect((await status(second)).lastEnd).toMatch(/^killed/);
  expect((await status(second)).text).toContain('Before this start I ended by myself: killed');
  expect(logged('the last run was not stopped')).toMatch(/"lastEnd":"killed/);
  await second.kill('SIGTERM');
  expect(existsSync(join(home, 'data/running.json'))).toBe(false);

  const third = await start();
  expect((await status(third)).lastEnd).toBeNull();
  expect(logText()).not.toContain(readFileSync(join(home, 'data/dashboard-token'), 'utf8').trim());
});
