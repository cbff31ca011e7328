import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { pino } from 'pino';
import { beforeEach, expect, test, vi } from 'vitest';
import { systemClock as clock } from '../core/clock.js';
import { openStore } from '../store.js';
import { startIntegrityCheck } from './integrity.js';
import { lastLook } from './whole-look.js';

let dataDir: string;
let lines: string[];
let told: string[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'pinch-integrity-'));
  [lines, told] = [[], []];
  openStore(join(dataDir, 'pinch.db')).close();
});

const start = (lastEnd: string | null) =>
  startIntegrityCheck({
    config: { dataDir },
    home: { lastEnd },
    clock,
    log: pino({}, { write: (line: string) => void lines.push(line) }),
    notifyOwner: (_, text) => void told.push(text),
  });

/** In the middle of a table, where opening does not look. */
function damage(): void {
  const file = join(dataDir, 'pinch.db');
  const db = new Database(file);
  db.exec(`CREATE TABLE big (id INTEGER PRIMARY KEY, text TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO big SELECT i, hex(randomblob(100)) FROM n`);
  db.close();
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(64 * 1024, 7), 0, 64 * 1024, statSync(file).size - 256 * 1024);
  closeSync(fd);
}

test('a damaged database opens, and the owner is told after an end that nobody asked for', async () => {
  damage();
  const store = openStore(join(dataDir, 'pinch.db'));
  start('killed from outside');
  await vi.waitFor(() => expect(told.join()).toMatch(/database is damaged: .*no backup yet/s), 20_000);
  expect(lastLook(dataDir)?.found).not.toBe('ok');
  store.close();
});

test('an intact one is told to nobody but the log', async () => {
  start('the machine went down');
  await vi.waitFor(() => expect(lines.join()).toContain('intact'), 20_000);
  expect(told).toEqual([]);
});

test('what keeps it from looking is no damage', async () => {
  rmSync(join(dataDir, 'pinch.db'));
  start('killed from outside');
  await vi.waitFor(() => expect(lines.join()).toContain('could not be looked at'), 20_000);
  expect(told).toEqual([]);
});

test('after a clean end nothing is read', async () => {
  damage();
  await start(null).stop();
  expect([lines, told]).toEqual([[], []]);
});

test('a stop ends the look without a word', async () => {
  damage();
  await start('killed from outside').stop();
  expect([lines, told]).toEqual([[], []]);
});
