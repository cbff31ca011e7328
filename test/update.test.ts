// `pinch update` in a real fork of this checkout with a real upstream, whose daemon a service manager keeps running.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually, freePort } from './e2e/harness.js';
import { type Checkout, createCheckout } from './skills/checkout.js';
import { cleanEnvironment } from './skills/repository.js';

const MIGRATION = 'src/core/migrations/9044-tests.sql';
const MAIN = 'src/main.ts';
/** Where the daemon has opened its database. */
const OPENED = '      const { store, ...guards }';

let fork: Checkout;
let port: number;
let base: string;
const upstream = () => join(fork.root, '../upstream');
const home = () => join(fork.root, '../home');
const inHome = (...path: string[]) => join(home(), ...path);

/** systemd, as far as this needs it: it starts the daemon and ends it. */
const SYSTEMCTL = `#!/usr/bin/env node
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const [, , , verb] = process.argv;
const top = process.env.HOME;
const file = top + '/pid';
const pid = fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : 0;
const lives = () => { try { process.kill(pid, 0); return pid > 0; } catch { return false; } };
if (verb === 'show') console.log('ActiveState=' + (fs.existsSync(file) ? 'active' : 'inactive'));
if (verb === 'stop' || verb === 'restart') {
  if (lives()) process.kill(pid, 'SIGTERM');
  while (lives() && fs.readFileSync('/proc/' + pid + '/stat', 'utf8').split(' ')[2] !== 'Z') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  fs.rmSync(file, { force: true });
}
if (verb === 'start' || verb === 'restart') {
  const log = fs.openSync(top + '/data/logs/start.log', 'a');
  const child = spawn(process.execPath, [top + '/../repository/scripts/start.mjs'], {
    detached: true, stdio: ['ignore', log, log], env: { PATH: process.env.PATH, HOME: top, PINCH_HOME: top, PINCH_SERVICE: '1' },
  });
  fs.writeFileSync(file, String(child.pid));
  child.unref();
}
`;

beforeAll(async () => {
  fork = createCheckout([]);
  port = await freePort();
  mkdirSync(inHome('bin'), { recursive: true });
  mkdirSync(inHome('data/logs'), { recursive: true });
  writeFileSync(inHome('.env'), `PINCH_PORT=${port}\nPINCH_RUNTIME=process\nPINCH_UNSAFE=1\n`);
  for (const [name, text] of Object.entries({ systemctl: SYSTEMCTL, loginctl: '#!/bin/sh\n' })) {
    writeFileSync(inHome('bin', name), text);
    chmodSync(inHome('bin', name), 0o755);
  }
  fork.git('clone', '-q', fork.root, upstream());
  fork.git('remote', 'add', 'upstream', upstream());
  // What the owner of the fork has changed.
  fork.write('src/own.ts', 'export const own = 1;\n');
  fork.commit();
  base = head();
  expect(pinch('service', 'install', '--root')).toMatchObject({ status: 0 });
  await ready();
  await say('remember the milk');
});

beforeEach(async () => {
  await ready();
});

afterEach(() => {
  git(upstream(), 'reset', '-q', '--hard', 'HEAD~1');
});

afterAll(() => {
  systemctl('stop');
  fork.close();
});

const environment = (): NodeJS.ProcessEnv =>
  cleanEnvironment({ HOME: home(), PINCH_HOME: home(), PATH: `${inHome('bin')}:${process.env.PATH}`, XDG_CONFIG_HOME: '' });
const run = (program: string, ...args: string[]) =>
  spawnSync(program, args, { cwd: fork.root, env: environment(), encoding: 'utf8' });
const pinch = (...args: string[]) => run(process.execPath, 'scripts/pinch.mjs', ...args);
const systemctl = (verb: string) => run('systemctl', '--user', verb);
const head = () => fork.git('rev-parse', 'HEAD').trim();
const pidOf = () => Number(readFileSync(inHome('pid'), 'utf8'));
const updateFolder = () => existsSync(join(fork.root, '.update'));

function git(folder: string, ...args: string[]): string {
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@localhost'];
  const { status, stdout, stderr } = spawnSync('git', [...identity, ...args], { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** A newer version: files with their new text, made of the old one. */
function release(changes: Record<string, (text: string) => string>): void {
  for (const [path, change] of Object.entries(changes)) {
    const file = join(upstream(), path);
    writeFileSync(file, change(existsSync(file) ? readFileSync(file, 'utf8') : ''));
  }
  git(upstream(), 'add', '-A');
  git(upstream(), 'commit', '-q', '-m', 'a newer version');
}

const throwing = (when: string, before = OPENED) => (text: string) =>
  text.replace(before, `      if (${when}) throw new Error('the moon is full');\n${before}`);
const migration = { [MIGRATION]: () => "CREATE TABLE moons (name TEXT) STRICT;\nINSERT INTO moons VALUES ('Io');\n" };

const api = async (method: string, path: string, body?: object) => {
  const token = readFileSync(inHome('data/dashboard-token'), 'utf8').trim();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return response.text();
};
const ready = () =>
  eventually(async () => (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined))?.ok, 'Pinch is ready');

/** Said on the page, and answered by the demo model. */
async function say(text: string): Promise<void> {
  await api('POST', '/api/chat', { text });
  await eventually(async () => /"state":"done"/.test(await api('GET', '/api/runs')), 'it is answered');
}

const rows = (sql: string): unknown[] => {
  const db = new Database(inHome('data/pinch.db'), { readonly: true });
  try {
    return db.prepare(sql).pluck().all();
  } finally {
    db.close();
  }
};
const heard = () => rows("SELECT text FROM messages WHERE direction = 'in'");
const notices = () => rows("SELECT text FROM outbox WHERE key LIKE 'notice:update:%' ORDER BY id");
const tables = () => rows("SELECT name FROM sqlite_master WHERE name = 'moons'");
const backups = (kind: string) => readdirSync(inHome('data/backups')).filter((name) => name.startsWith(kind));

test('a version that throws where it starts, or whose migration fails, or that cannot be built, is told and nothing is touched', () => {
  const daemon = pidOf();
  const failing = [
    [{ [MAIN]: throwing('true') }, 'does not start: the moon is full'],
    [{ [MIGRATION]: () => 'INSERT INTO nowhere VALUES (1);\n' }, 'does not start: the database .* no such table'],
    [{ [MAIN]: (text: string) => `${text}\nimport './missing.js';\n` }, 'cannot be built'],
  ] as const;
  for (const [changes, why] of failing) {
    release(changes);
    const { status, stderr } = pinch('update', '--yes');
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(new RegExp(why)) });
    git(upstream(), 'reset', '-q', '--hard', 'HEAD~1');
  }
  release({ 'CHANGELOG.md': (text) => text });
  expect([head(), fork.status(), pidOf(), updateFolder(), tables()]).toEqual([base, '', daemon, false, []]);
});
