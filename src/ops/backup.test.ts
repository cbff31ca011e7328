import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { systemClock as clock } from '../core/clock.js';
import { openStore } from '../store.js';
import { decideBackups, startBackups } from './backup.js';

const MB = 1024 ** 2;
const copies = (...sizes: number[]) => sizes.map((size, index) => ({ name: `${index + 1}`, bytes: size * MB }));
const next = (size: number) => ({ name: 'next', bytes: size * MB });

test.each([
  ['much room: seven are kept', copies(5, 5, 5, 5, 5, 5, 5), 5, 10_000, { isMade: true, drop: ['1'] }],
  ['a tenth is full: the oldest go', copies(10, 10, 10), 10, 170, { isMade: true, drop: ['1', '2'] }],
  ['room for one', copies(10), 10, 91, { isMade: true, drop: ['1'] }],
  ['no room for a new one: the newest stays', copies(10, 10), 30, 100, { isMade: false, drop: ['1'] }],
  ['the first one', [], 1, 11, { isMade: true, drop: [] }],
  ['a full disk', copies(50), 50, 0, { isMade: false, drop: [] }],
])('%s', (_, known, size, freeMb, decision) => {
  expect(decideBackups(known, next(size), freeMb * MB)).toEqual(decision);
});

test('a day has one backup, which opens, and an eighth day drops the first', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'pinch-backup-'));
  const store = openStore(join(dataDir, 'pinch.db'));
  const folder = join(dataDir, 'backups');
  mkdirSync(folder);
  for (let day = 1; day <= 7; day++) writeFileSync(join(folder, `pinch-2030-01-0${day}.db`), '');
  const clock = {
    now: () => Date.UTC(2030, 0, 8),
    random: () => 0,
    at: () => ({ cancel: () => undefined }),
    sleep: () => new Promise<void>(() => undefined),
  };
  startBackups({ store, config: { dataDir }, clock, log: pino({ level: 'silent' }), notifyOwner: () => undefined });
  await vi.waitFor(() => expect(readdirSync(folder)).not.toContain('pinch-2030-01-01.db'), 10_000);
  expect(readdirSync(folder)).toHaveLength(7);
  openStore(join(folder, 'pinch-2030-01-08.db')).close();
});

test('an end does not wait for a backup: what it left is removed by the next one', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'pinch-backup-'));
  const store = openStore(join(dataDir, 'pinch.db'));
  const folder = join(dataDir, 'backups');
  mkdirSync(folder);
  writeFileSync(join(folder, 'pinch-2030-01-01.db.part'), 'half');
  const db = new Database(join(dataDir, 'pinch.db'));
  db.exec(`CREATE TABLE big (bytes BLOB); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
    INSERT INTO big SELECT randomblob(10000) FROM n`);
  db.close();
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const begin = () => startBackups({ store, config: { dataDir }, clock, log, notifyOwner: () => undefined });
  await begin().stop();
  expect(lines).toEqual([]);
  expect(readdirSync(folder).filter((name) => name.endsWith('.db'))).toEqual([]);
  const next = begin();
  await vi.waitFor(() => expect(lines.join()).toContain('database backed up'), 10_000);
  await next.stop();
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/^pinch-[\d-]+\.db$/)]);
});
