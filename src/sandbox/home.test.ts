import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../core/config.js';
import { openStore } from '../store.js';
import { closeToOthers, lockHome, prepareHome, sandboxSpec } from './home.js';

function newHome() {
  const config = loadConfig({ PINCH_HOME: mkdtempSync(join(tmpdir(), 'pinch-lock-')) }, process.cwd());
  prepareHome(config);
  return config;
}

test('a home is locked until it is released, and by a process that was killed no longer', () => {
  const config = newHome();
  const lock = lockHome(config);
  expect(() => lockHome(config)).toThrow('another Pinch is running');
  lock.release();
  const script = `
    import Database from 'better-sqlite3';
    new Database(${JSON.stringify(join(config.dataDir, 'lock.db'))}).exec('BEGIN EXCLUSIVE');
    process.kill(process.pid, 'SIGKILL');`;
  expect(spawnSync(process.execPath, ['--input-type=module', '-e', script]).signal).toBe('SIGKILL');
  lockHome(config).release();
});

test('a broken lock file is not taken for another Pinch', () => {
  const config = newHome();
  writeFileSync(join(config.dataDir, 'lock.db'), 'x'.repeat(8_192));
  expect(() => lockHome(config)).toThrow('not a database');
});

test('every container sees the skills that come with Pinch, and none can write there', () => {
  const config = newHome();
  const group = openStore(join(config.dataDir, 'pinch.db')).groups.ensure('main', true, 1);
  expect(sandboxSpec(config, group).mounts).toContainEqual({
    source: join(process.cwd(), 'container', 'skills'),
    target: '/skills',
    readOnly: true,
  });
});

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);
const mainGroup = {
  id: 1,
  folder: 'main',
  isMain: true,
  model: null,
  parkedClass: null,
  parkedUntil: null,
  parkCount: 0,
};

test('a memory file that is a link to nowhere is left alone: its target is not made', () => {
  const config = newHome();
  const target = join(config.home, 'target');
  for (const name of ['main', 'global']) {
    const memory = join(config.groupsDir, name, 'CLAUDE.md');
    rmSync(memory);
    symlinkSync(target, memory);
  }
  prepareHome(config);
  expect(existsSync(target)).toBe(false);
});

test("a link in the place of a group's folder, or of one on the way to it, is not mounted and nothing is made behind it", () => {
  for (const path of ['groups/main', 'groups/global', 'data/sessions', 'data/sessions/main']) {
    const config = newHome();
    sandboxSpec(config, mainGroup);
    const elsewhere = mkdtempSync(join(tmpdir(), 'pinch-elsewhere-'));
    renameSync(join(config.home, path), join(config.home, 'aside'));
    symlinkSync(elsewhere, join(config.home, path));
    expect(() => sandboxSpec(config, mainGroup)).toThrow('it is no folder, or a link to one');
    if (path.startsWith('groups')) expect(() => prepareHome(config)).toThrow('cannot write below');
    expect(readdirSync(elsewhere)).toEqual([]);
  }
});

test('started by root, a group owns its folder and what lies in it: not what a link leads to, nor a file with a second name', () => {
  if (process.getuid?.() !== 0) return console.info('not root: nothing is handed over');
  const config = newHome();
  const folder = join(config.groupsDir, 'main');
  const outside = join(config.home, 'outside');
  for (const path of [outside, join(folder, 'note.txt')]) writeFileSync(path, '');
  symlinkSync(outside, join(folder, 'link'));
  linkSync(outside, join(folder, 'second-name'));
  spawnSync('mkfifo', [join(folder, 'pipe')]);
  sandboxSpec(config, { ...mainGroup, isMain: false });
  const owner = (path: string) => lstatSync(path).uid;
  expect([folder, join(folder, 'note.txt'), join(folder, 'CLAUDE.md')].map(owner)).toEqual([1000, 1000, 1000]);
  // Read-only for this group, and read all the same.
  expect(owner(join(config.groupsDir, 'global/CLAUDE.md'))).toBe(1000);
  expect([outside, join(folder, 'link'), join(folder, 'second-name')].map(owner)).toEqual([0, 0, 0]);
});

test('what was open to other users is closed at a start: all of data/ but the folders of containers; a trap is not touched', () => {
  const config = newHome();
  const { dataDir, groupsDir, home } = config;
  openStore(join(dataDir, 'pinch.db')).close();
  sandboxSpec(config, mainGroup);
  mkdirSync(join(dataDir, 'backups/older'), { recursive: true });
  const files = [
    'pinch.db',
    'lock.db',
    'stop.json',
    'dashboard-token',
    'backups/pinch-2026-01-01.db',
    'backups/older/x',
  ];
  for (const file of files) writeFileSync(join(dataDir, file), '', { flag: 'a' });
  for (const file of files) chmodSync(join(dataDir, file), 0o644);
  for (const folder of [dataDir, groupsDir, join(dataDir, 'backups'), join(dataDir, 'sessions')])
    chmodSync(folder, 0o755);
  const own = join(dataDir, 'sessions/main/history.jsonl');
  writeFileSync(own, '');
  chmodSync(own, 0o644);
  const outside = join(home, 'outside');
  writeFileSync(outside, '');
  chmodSync(outside, 0o666);
  linkSync(outside, join(dataDir, 'second-name'));
  symlinkSync(outside, join(dataDir, 'link'));
  spawnSync('mkfifo', [join(dataDir, 'pipe')]);
  writeFileSync(join(home, '.env'), '');
  chmodSync(join(home, '.env'), 0o640);
  expect(closeToOthers(config)).toEqual([join(dataDir, 'second-name'), join(home, '.env')]);
  expect(files.map((file) => modeOf(join(dataDir, file)))).toEqual(files.map(() => '600'));
  for (const folder of [dataDir, groupsDir, join(dataDir, 'backups/older'), join(dataDir, 'sessions')])
    expect([folder, modeOf(folder)]).toEqual([folder, '700']);
  expect([modeOf(own), modeOf(outside), modeOf(join(home, '.env'))]).toEqual(['644', '666', '640']);
});
