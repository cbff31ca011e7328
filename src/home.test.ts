import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from './config.js';
import { lockHome, ownSkills, prepareHome, sandboxSpec } from './home.js';
import { openStore } from './store/index.js';

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

test("a group's own skills are told by name: no file, no hidden or odd name, no link, also not in the folder's place", () => {
  const config = newHome();
  const skills = join(config.groupsDir, 'main', 'skills');
  expect(ownSkills(config, 'main')).toEqual([]);
  for (const name of ['bread', 'allotment', '.git', 'A name', '<b>', 'x'.repeat(41)])
    mkdirSync(join(skills, name), { recursive: true });
  writeFileSync(join(skills, 'file'), '');
  symlinkSync(config.dataDir, join(skills, 'linked'));
  expect(ownSkills(config, 'main')).toEqual(['allotment', 'bread']);
  rmSync(skills, { recursive: true });
  symlinkSync(config.home, skills);
  expect(ownSkills(config, 'main')).toEqual([]);
  rmSync(skills);
  writeFileSync(skills, '');
  expect(ownSkills(config, 'main')).toEqual([]);
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
