import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from './config.js';
import { lockHome, prepareHome } from './home.js';

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
