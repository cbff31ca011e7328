// The daemon as a service manager runs it: no terminal, its log in a file, ended by a crash now and then.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { type DaemonOptions, type DaemonProcess, eventually, newHome, removeHome, spawnDaemon } from './harness.js';

const env = { PINCH_RUNTIME: 'process', PINCH_UNSAFE: '1', PINCH_SERVICE: '1' };
let home: string;
let daemon: DaemonProcess | undefined;

beforeEach(() => {
  home = newHome();
});

afterEach(async () => {
  await daemon?.kill('SIGKILL');
  removeHome(home);
});

/** The command line as a person has it, in a home folder of its own. */
function pinch(args: string[], more: Record<string, string> = {}) {
  const script = `import { runCli } from './dist/cli.js'; process.exitCode = await runCli(process.argv.slice(1));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script, '--', ...args], {
    cwd: join(import.meta.dirname, '../..'),
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: home, PINCH_HOME: home, PINCH_PORT: '9', TZ: 'UTC', ...more },
  });
  return { status, stdout, stderr };
}

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

test('what a start loads stays small: no `fetch` of Node, and texts of programs that take one byte a character', () => {
  const root = join(import.meta.dirname, '../..');
  const script = `await import('./dist/main.js'); process.stdout.write(process.moduleLoadList.join());`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(stdout).toContain('NativeModule http');
  expect(stdout).not.toMatch(/undici/);
  const programs = readdirSync(join(root, 'dist')).filter((name) => name.endsWith('.js'));
  const wide = programs.filter((name) => /[^\p{ASCII}]/u.test(readFileSync(join(root, 'dist', name), 'utf8')));
  expect(wide).toEqual([]);
});

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

test.each<[string, (port: number) => Record<string, string>, RegExp]>([
  [
    'a wrong setting of a channel',
    () => ({ TELEGRAM_BOT_TOKEN: 'none: at all' }),
    /^the settings cannot be used: TELEGRAM_BOT_TOKEN: .*correct them in \.env/,
  ],
  [
    'a port in use',
    (port) => ({ PINCH_PORT: `${port}` }),
    /^cannot listen on 127\.0\.0\.1:\d+: another program uses it \(set PINCH_PORT/,
  ],
])('a start that failed is told as that, whole, while nothing runs and by the next one: %s', async (_name, wrong, why) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const failed = await spawnDaemon({ home, env: { ...env, ...wrong(port) } });
  expect((await failed.exited).code).toBe(1);
  const reason = why.source.slice(1);
  expect(pinch(['status']).stderr).toMatch(new RegExp(`its last start failed: ${reason}`));
  const running = await start();
  const { lastEnd, text } = await status(running);
  expect(lastEnd).toMatch(new RegExp(`^a start that failed: ${reason}`));
  expect(text).toMatch(new RegExp(`\nThe start before this one failed: ${reason}`));
  expect(logged('the last start failed')).toBeDefined();
  expect(logText()).not.toContain('ended by itself');
  taken.close();
});

test('its log is read from a terminal, for people and for scripts, while it runs and afterwards', async () => {
  expect(pinch(['logs']).stderr).toContain('Pinch was never started on this home');
  const running = await start();
  expect(pinch(['logs']).stdout).toMatch(/^\[\d{4}-\d\d-\d\d [\d:]+\] INFO: ready \{.*"port":\d+/m);
  await running.kill('SIGTERM');
  const { stdout } = pinch(['logs', '--json', '--last', '1']);
  expect(JSON.parse(stdout)).toMatchObject({ msg: 'stopped' });
  expect(pinch(['logs', '--run', '12']).stdout).toBe('');
  writeFileSync(join(home, 'data/logs/start.log'), 'set-up failed\n');
  expect(pinch(['service', 'logs', '--last', '1']).stdout).toMatch(/^set-up failed\n.*stopped/);
});

test('install, status and uninstall run the programs of this machine', () => {
  const programs = join(home, 'bin');
  mkdirSync(programs);
  for (const name of ['systemctl', 'loginctl', 'launchctl']) {
    writeFileSync(join(programs, name), `#!/bin/sh\necho "${name} $@" >> '${home}/calls'\necho ActiveState=active\n`);
    chmodSync(join(programs, name), 0o755);
  }
  const PATH = `${programs}:${process.env.PATH}`;
  const root = process.getuid?.() === 0 ? ['--root'] : [];
  const installed = pinch(['service', 'install', ...root], { PATH });
  expect(installed).toMatchObject({ status: 0, stderr: '' });
  const state = pinch(['service', 'status', '--json'], { PATH });
  const { file } = z.object({ file: z.string(), installed: z.literal(true) }).parse(JSON.parse(state.stdout));
  expect(readFileSync(file, 'utf8')).toContain(home);
  expect(pinch(['service', 'uninstall'], { PATH }).status).toBe(0);
  expect(existsSync(file)).toBe(false);
  expect(readFileSync(join(home, 'calls'), 'utf8')).toMatch(/(systemctl --user restart|launchctl bootstrap)/);
  expect(pinch(['service', 'reinstall'], { PATH })).toMatchObject({ status: 2 });
});

test('the doctor looks at a home with and without its daemon, and tells by the exit code', async () => {
  const env = { PINCH_RUNTIME: 'process', PINCH_UNSAFE: '1', ANTHROPIC_API_KEY: 'canary-0123456789' };
  const checks = z.array(z.object({ check: z.string(), state: z.string(), detail: z.string() }));
  const look = (more: Record<string, string>) => {
    const { status: code, stdout, stderr } = pinch(['doctor', '--json'], { ...env, ...more });
    expect(stdout + stderr).not.toContain('canary');
    return { code, findings: checks.parse(JSON.parse(stdout)) };
  };
  const { port } = await start();
  const alive = look({ PINCH_PORT: String(port) });
  expect(alive.code).toBe(0);
  expect(alive.findings).toContainEqual({ check: 'channels', state: 'ok', detail: 'web is open' });
  expect(alive.findings).toContainEqual(expect.objectContaining({ check: 'daemon', state: 'ok' }));
  expect(alive.findings).toContainEqual(expect.objectContaining({ check: 'model', state: 'skipped' }));
  expect(alive.findings).toContainEqual(expect.objectContaining({ check: 'database', state: 'ok' }));
  await daemon?.kill('SIGKILL');
  const dead = look({ PINCH_PORT: String(port) });
  expect(dead.findings).toContainEqual(expect.objectContaining({ check: 'daemon', state: 'warning' }));
  expect(dead.findings).toContainEqual(expect.objectContaining({ check: 'database', state: 'ok' }));
  for (const name of ['pinch.db-wal', 'pinch.db-shm']) rmSync(join(home, 'data', name), { force: true });
  writeFileSync(join(home, 'data/pinch.db'), 'x'.repeat(9_000));
  expect(look({}).code).toBe(1);
});
