// `pinch update` in a real fork of this checkout with a real upstream, whose daemon a service manager keeps running.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { eventually, freePort } from './e2e/harness.js';
import { PROOF_MS } from './limits.js';
import { type Checkout, createCheckout } from './skills/checkout.js';
import { cleanEnvironment } from './skills/repository.js';

vi.setConfig({ testTimeout: PROOF_MS });

const migrationFile = (number: number) => `src/core/migrations/904${number}-tests.sql`;
const MAIN = 'src/main.ts';
/** Where the daemon has opened its database. */
const OPENED = '      const { store, ...guards }';

let fork: Checkout;
let port: number;
/** Of the fork, and of the upstream. */
let base: string;
let first: string;
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
if (verb === 'start' && fs.existsSync(top + '/hang-starting')) {
  fs.writeFileSync(top + '/hanging', String(process.pid));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
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

/** The real one, which hangs where a test wants the update to be killed. */
const GIT = `#!/bin/sh
case "$*" in *"fetch --no-tags"*) [ -e "$HOME/hang-fetching" ] && { echo $$ > "$HOME/hanging"; while [ -e "$HOME/hang-fetching" ]; do sleep 0.05; done; } ;; esac
case "$*" in *--ff-only*) [ -e "$HOME/hang-switching" ] && { echo $$ > "$HOME/hanging"; exec sleep 600; } ;; esac
exec ${spawnSync('which', ['git'], { encoding: 'utf8' }).stdout.trim()} "$@"
`;

beforeAll(async () => {
  fork = createCheckout([]);
  port = await freePort();
  mkdirSync(inHome('bin'), { recursive: true });
  mkdirSync(inHome('data/logs'), { recursive: true });
  writeFileSync(inHome('.env'), `PINCH_PORT=${port}\nPINCH_RUNTIME=process\nPINCH_UNSAFE=1\n`);
  for (const [name, text] of Object.entries({ systemctl: SYSTEMCTL, loginctl: '#!/bin/sh\n', git: GIT })) {
    writeFileSync(inHome('bin', name), text);
    chmodSync(inHome('bin', name), 0o755);
  }
  first = head();
  fork.git('clone', '-q', fork.root, upstream());
  fork.git('remote', 'add', 'upstream', upstream());
  fork.git('config', 'merge.ff', 'only');
  // What the owner of the fork has changed.
  fork.write('src/own.ts', 'export const own = 1;\n');
  fork.write('package-lock.json', versionOf('0.1.1')(fork.read('package-lock.json')));
  fork.commit();
  base = head();
  expect(pinch('service', 'install', '--root')).toMatchObject({ status: 0 });
  await ready();
  await say('remember the milk');
});

// Each begins where the one before ended.
beforeEach(async () => {
  await ready();
});

afterAll(() => {
  systemctl('stop');
  fork.close();
});

const environment = (): NodeJS.ProcessEnv =>
  cleanEnvironment({
    HOME: home(),
    PINCH_HOME: home(),
    PATH: `${inHome('bin')}:${process.env.PATH}`,
    XDG_CONFIG_HOME: '',
  });
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
  git(upstream(), 'reset', '-q', '--hard', first);
  for (const [path, change] of Object.entries(changes)) {
    const file = join(upstream(), path);
    writeFileSync(file, change(existsSync(file) ? readFileSync(file, 'utf8') : ''));
  }
  git(upstream(), 'add', '-A');
  git(upstream(), 'commit', '-q', '-m', 'a newer version');
}

/** In a lock file both sides change the same lines whenever they change packages. */
const versionOf = (version: string) => (text: string) =>
  text.replaceAll('"version": "0.1.0"', `"version": "${version}"`);

const throwing =
  (when: string, before = OPENED) =>
  (text: string) =>
    text.replace(before, `      if (${when}) throw new Error('the moon is full');\n${before}`);
const moons = () => "CREATE TABLE IF NOT EXISTS moons (name TEXT) STRICT;\nINSERT INTO moons VALUES ('Io');\n";

const api = async (method: string, path: string, body?: object) => {
  const token = readFileSync(inHome('data/dashboard-token'), 'utf8').trim();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  return response.text();
};
const ready = () =>
  eventually(
    async () => (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined))?.ok,
    'Pinch is ready',
  );

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

const readIfThere = (path: string): string => (existsSync(inHome(path)) ? readFileSync(inHome(path), 'utf8') : '');

/** Ends an update, and what it waits for, as a power cut would. */
async function killedAt(step: 'switching' | 'starting'): Promise<void> {
  writeFileSync(inHome(`hang-${step}`), '');
  const update = spawn(process.execPath, ['scripts/pinch.mjs', 'update', '--yes'], {
    cwd: fork.root,
    env: environment(),
  });
  const over = once(update, 'close');
  const hanging = Number(await eventually(() => readIfThere('hanging').trim() || undefined, `it is ${step}`));
  for (const command of ['status', 'update']) {
    const { stderr } = pinch(command);
    expect(stderr).toMatch(step === 'switching' ? /is being updated/ : /nothing answers|Another update is at work/);
  }
  const { pid } = z
    .object({ pid: z.number() })
    .parse(JSON.parse(readFileSync(join(fork.root, '.update/state.json'), 'utf8')));
  for (const one of [update.pid ?? 0, pid, hanging]) process.kill(one, 'SIGKILL');
  await over;
  for (const name of ['hanging', `hang-${step}`]) rmSync(inHome(name));
}

test('from the present version to one with a new migration: own changes, data and the database from before are kept', () => {
  release({
    [migrationFile(1)]: moons,
    'package.json': versionOf('0.2.0'),
    'package-lock.json': versionOf('0.2.0'),
    'CHANGELOG.md': (text) => `${text}\n- The moon.\n`,
    '.env.example': (text) => `${text}#MOON=full\n`,
  });
  fork.write('notes.txt', 'mine\n');
  expect(pinch('update', '--yes')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/notes\.txt[\s\S]*git stash -u/),
  });
  fork.write('notes.txt', undefined);
  const said = pinch('update', '--check');
  for (const news of ['1 new commits:\n  a newer version', '  - The moon.', migrationFile(1).slice(20), 'MOON: new'])
    expect(said.stdout).toContain(news);
  expect([pinch('update').status, head()]).toEqual([1, base]);
  const [daemon, branch] = [pidOf(), fork.git('branch', '--show-current')];
  const { status, stderr } = pinch('update', '--yes');
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringMatching(/Updated to .*Pinch is ready/) });
  expect(pidOf()).not.toBe(daemon);
  expect([heard(), tables(), notices(), fork.status(), updateFolder()]).toEqual([
    ['remember the milk'],
    ['moons'],
    [],
    '',
    false,
  ]);
  expect(fork.git('log', '--format=%s', '-3').split('\n')).toContain('a newer version');
  expect([fork.has('src/own.ts'), fork.git('branch', '--show-current')]).toEqual([true, branch]);
  expect(z.object({ version: z.string() }).parse(JSON.parse(fork.read('package-lock.json'))).version).toBe('0.2.0');
  expect(backups('before-update')).toHaveLength(1);
  expect(pinch('update', '--yes').stderr).toContain('This is the newest version');
  base = head();
});

test('a version that throws where it starts, or whose migration fails, or that cannot be built, is told and nothing is touched', () => {
  const daemon = pidOf();
  const failing = [
    [{ [MAIN]: throwing('true') }, 'does not start: the moon is full'],
    [
      { [migrationFile(2)]: () => 'INSERT INTO nowhere VALUES (1);\n' },
      'does not start: the database .* no such table',
    ],
    [{ [MAIN]: (text: string) => `${text}\nimport './missing.js';\n` }, 'cannot be built'],
  ] as const;
  for (const [changes, why] of failing) {
    release(changes);
    const { status, stderr } = pinch('update', '--yes');
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(new RegExp(why)) });
    expect([head(), fork.status(), pidOf(), updateFolder(), heard()]).toEqual([
      base,
      '',
      daemon,
      false,
      ['remember the milk'],
    ]);
  }
});

test('both sides changed the same line: the files are named, nothing is touched, and a branch where they are merged is taken', () => {
  release({ 'README.md': (text) => text.replace('Pinch', 'Punch') });
  fork.write('README.md', fork.read('README.md').replace('Pinch', 'Pench'));
  fork.commit();
  const own = head();
  // What an update left that was killed while it tested.
  fork.git('worktree', 'add', '-q', '--detach', join(fork.root, '.update/copy'));
  writeFileSync(join(fork.root, '.update/state.json'), JSON.stringify({ pid: 4_194_000, step: 'testing' }));
  const { status, stderr } = pinch('update', '--yes');
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(/^README\.md$[\s\S]*\/update[\s\S]*pinch update <branch>/m),
  });
  expect([head(), fork.status(), updateFolder()]).toEqual([own, '', false]);
  const beside = join(fork.root, '../beside');
  fork.git('worktree', 'add', '-q', '-b', 'merged', beside);
  git(beside, 'merge', '-q', '--ff', '-X', 'ours', git(upstream(), 'rev-parse', 'HEAD').trim());
  expect(pinch('update', 'merged', '--check')).toMatchObject({ stdout: expect.stringContaining('a newer version') });
  expect(pinch('update', 'no-such', '--check').stderr).toContain('There is no branch no-such here');
  fork.git('worktree', 'remove', '--force', beside);
  fork.git('reset', '-q', '--hard', base);
});

test('an update that began while this one asked or fetched is left alone', async () => {
  release({ 'README.md': (text) => text.replace('Pinch', 'Punch') });
  writeFileSync(inHome('hang-fetching'), '');
  const update = spawn(process.execPath, ['scripts/pinch.mjs', 'update', '--yes'], {
    cwd: fork.root,
    env: environment(),
  });
  let said = '';
  update.stderr.on('data', (text) => {
    said += text;
  });
  await eventually(() => readIfThere('hanging').trim() || undefined, 'it fetches');
  const other = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)', 'update.mjs']);
  mkdirSync(join(fork.root, '.update/copy'), { recursive: true });
  writeFileSync(join(fork.root, '.update/state.json'), JSON.stringify({ pid: other.pid, step: 'testing' }));
  for (const name of ['hanging', 'hang-fetching']) rmSync(inHome(name));
  await once(update, 'close');
  expect(said).toContain(`Another update is at work (process ${other.pid})`);
  expect(existsSync(join(fork.root, '.update/copy'))).toBe(true);
  other.kill();
  rmSync(join(fork.root, '.update'), { recursive: true });
});

test('a version that starts in the copy and not in the home is taken back with its migration, and the owner is told', async () => {
  release({ [migrationFile(2)]: moons, [MAIN]: throwing('config.port !== 0') });
  const { status, stderr } = pinch('update', '--yes');
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(/did not become ready: the moon is full\n.*ready\.$/m),
  });
  await ready();
  expect([head(), fork.status(), updateFolder(), heard()]).toEqual([base, '', false, ['remember the milk']]);
  expect([rows("SELECT name FROM migrations WHERE name LIKE '904%'"), backups('after-update').length]).toEqual([
    ['9041-tests.sql'],
    1,
  ]);
  expect(notices()).toEqual([expect.stringMatching(/was taken back: the moon is full\. .* nothing is lost\.$/)]);
  await say('and the bread');
});

test('killed while the checkout is half of each: nothing begins, and the next start is that of the version before', async () => {
  release({ [migrationFile(2)]: moons });
  await killedAt('switching');
  expect(existsSync(join(fork.root, '.update/old/dist'))).toBe(true);
  const before = notices().length;
  systemctl('start');
  await ready();
  expect([head(), fork.status(), heard().length]).toEqual([base, '', 2]);
  expect(notices().slice(before)).toEqual([expect.stringContaining('was taken back: it was interrupted')]);
});

test('killed before the first start of a version that does not start: the third one is that of the version before', async () => {
  release({ [migrationFile(2)]: moons, [MAIN]: throwing('config.port !== 0') });
  await killedAt('starting');
  expect(head()).not.toBe(base);
  for (const _ of [1, 2]) {
    rmSync(inHome('data/running.json'), { force: true });
    systemctl('start');
    await eventually(() => readIfThere('data/running.json').includes('the moon is full'), 'it failed');
  }
  systemctl('start');
  await ready();
  expect([head(), fork.status(), heard().length]).toEqual([base, '', 2]);
  expect(notices().at(-1)).toContain('was taken back: it did not become ready');
});

test('without the service the running one is ended, and the first start of the new one settles it', async () => {
  systemctl('stop');
  const start = () =>
    spawn(process.execPath, ['scripts/start.mjs'], { cwd: fork.root, env: environment(), stdio: 'ignore' });
  const old = start();
  const ended = once(old, 'close');
  await ready();
  release({ [migrationFile(3)]: moons });
  const { status, stderr } = pinch('update', '--yes');
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining('start it again with `npm start`') });
  expect(await ended).toEqual([0, null]);
  const next = start();
  const over = once(next, 'close');
  await ready();
  await eventually(() => !updateFolder(), 'what was kept is gone');
  next.kill('SIGTERM');
  await over;
  base = head();
  systemctl('start');
});

test('a version that worked and then does not become ready stays where going back would lose that, and says so', async () => {
  const working = `      if (config.port !== 0) {
        const group = opened.groups.ensure('main', true, 1);
        const chat = opened.groups.seenChat({ channel: 'web', address: 'moon', kind: 'direct', title: 'moon', now: 1 });
        opened.outbox.add({ key: 'moon' + group.id, chatId: chat.id, runId: null, text: 'moon', now: 1 });
        throw new Error('the moon is full');
      }
`;
  release({ [migrationFile(2)]: moons, [MAIN]: (text) => text.replace(OPENED, working + OPENED) });
  const { status, stderr } = pinch('update', '--yes');
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(/could not be taken back: .*\nBack by hand/),
  });
  expect([head() === base, tables(), rows("SELECT text FROM outbox WHERE text = 'moon'")]).toEqual([
    false,
    ['moons'],
    ['moon'],
  ]);
  expect(backups('before-update').length).toBeGreaterThan(0);
});
