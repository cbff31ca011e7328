// Schema upgrades: each file of migrations/ runs once, whatever else a fork or a later version puts beside it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import Database from 'better-sqlite3';
import { beforeEach, describe, expect, test } from 'vitest';
import { migrate, openDb } from './db.js';

let db: Database.Database;
let folder: string;

beforeEach(() => {
  db = new Database(':memory:');
  folder = mkdtempSync(join(tmpdir(), 'pinch-migrations-'));
  for (let number = 1; number <= 8; number++) add(`000${number}-start.sql`);
});

/** A file that fails when it runs twice. */
function add(name: string, sql = `CREATE TABLE "${name}" (id INTEGER) STRICT`): void {
  writeFileSync(join(folder, name), sql);
}

const up = () => migrate(db, pathToFileURL(`${folder}/`));
const tables = () => db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
const version = () => db.pragma('user_version', { simple: true });

/** As a Pinch that only counted left it. */
function counted(count: number, names: string[]): void {
  for (const name of names) db.exec(`CREATE TABLE "${name}" (id INTEGER) STRICT`);
  db.pragma(`user_version = ${count}`);
}

const firstEight = Array.from({ length: 8 }, (_, index) => `000${index + 1}-start.sql`);

test("a fork's file and a later one of the same number both run, once", () => {
  add('0009-mine.sql');
  up();
  add('0009-a.sql');
  up();
  up();
  expect(tables()).toEqual(expect.arrayContaining(['0009-a.sql', '0009-mine.sql']));
  expect(version()).toBe(10);
});

test('a database that only counted its files goes on after them', () => {
  counted(4, firstEight.slice(0, 4));
  up();
  up();
  expect(tables()).toEqual(expect.arrayContaining(firstEight));
  expect(version()).toBe(8);
});

test("a fork's database that only counted has had all files, its own too", () => {
  add('0009-mine.sql');
  counted(9, [...firstEight, '0009-mine.sql']);
  up();
  add('0009-a.sql');
  up();
  expect(tables()).toContain('0009-a.sql');
});

test('an upgrade that fails or is killed half-way leaves the database as it was', () => {
  counted(4, firstEight.slice(0, 4));
  add('0009-bad.sql', 'no such statement');
  expect(up).toThrow(/syntax error/);
  expect(version()).toBe(4);
  expect(tables()).toEqual(firstEight.slice(0, 4));
  rmSync(join(folder, '0009-bad.sql'));
  up();
  expect(version()).toBe(8);
});

test('a database that had a file this checkout lacks is refused, by its name', () => {
  add('0009-later.sql');
  up();
  rmSync(join(folder, '0009-later.sql'));
  expect(up).toThrow(
    expect.objectContaining({ code: 'database_too_new', message: expect.stringContaining('0009-later.sql') }),
  );
});

test('a database that counted more files than there are is refused', () => {
  counted(9, []);
  expect(up).toThrow(expect.objectContaining({ code: 'database_too_new' }));
});

describe('a database that cannot be opened is told as what it is', () => {
  const file = () => join(folder, 'pinch.db');
  const failure = (code: string, hint: string) =>
    expect.objectContaining({ code, hint: expect.stringContaining(hint), message: expect.stringContaining(file()) });

  test('in the hands of another program: nothing is to be moved away', { timeout: 20_000 }, () => {
    openDb(file()).close();
    const other = new Database(file());
    other.pragma('locking_mode = EXCLUSIVE');
    other.exec('BEGIN EXCLUSIVE');
    expect(() => openDb(file())).toThrow(failure('database_locked', 'another program'));
    other.close();
  });

  test('a folder in its place', () => {
    mkdirSync(file());
    expect(() => openDb(file())).toThrow(failure('database_unwritable', 'writable'));
  });

  test('no database at all', () => {
    writeFileSync(file(), 'what is this? '.repeat(500));
    expect(() => openDb(file())).toThrow(failure('database_corrupt', 'no backup yet'));
  });

  test('a disk without room', () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status !== 0)
      return console.log('no file system can be mounted here, so none can be full');
    try {
      const small = join(disk, 'pinch.db');
      expect(() => openDb(small)).toThrow(
        expect.objectContaining({ code: 'database_unwritable', hint: expect.stringContaining('full') }),
      );
    } finally {
      spawnSync('umount', ['-l', disk]);
    }
  });
});

describe('a transaction within another one', () => {
  const values = (db: ReturnType<typeof openDb>) =>
    ['a', 'b', 'c', 'd'].filter((key) => db.settings.get(key) !== undefined);
  const failing = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  };

  test('that fails leaves nothing behind, and the one around it goes on', () => {
    const store = openDb(':memory:');
    store.transaction(() => {
      store.settings.set('a', '1');
      failing(() =>
        store.transaction(() => {
          store.settings.set('b', '1');
          store.transaction(() => store.settings.set('c', '1'));
          throw new RangeError('no');
        }),
      );
      store.settings.set('d', '1');
    });
    expect(values(store)).toEqual(['a', 'd']);
  });

  test('that fails takes back what it wanted done after the commit, and only that', () => {
    const store = openDb(':memory:');
    const done: string[] = [];
    const later = (name: string) => store.afterCommit(() => done.push(name));
    store.transaction(() => {
      later('before');
      failing(() =>
        store.transaction(() => {
          store.transaction(() => later('deeper'));
          later('failed');
          throw new RangeError('no');
        }),
      );
      store.transaction(() => later('part'));
      expect(done).toEqual([]);
    });
    expect(done).toEqual(['before', 'part']);
  });

  test('goes with the one around it', () => {
    const store = openDb(':memory:');
    const done: string[] = [];
    const outer = () =>
      store.transaction(() => {
        store.transaction(() => {
          store.settings.set('a', '1');
          store.afterCommit(() => done.push('a'));
        });
        throw new RangeError('no');
      });
    expect(outer).toThrow(RangeError);
    store.transaction(() => undefined);
    expect([values(store), done]).toEqual([[], []]);
  });
});

test('what follows a commit that did not wait for the disk waits for it again', () => {
  const db = openDb(':memory:');
  // Made anew each time: the answer is found when the statement is made.
  const level = () => db.statements.value<[], number>('PRAGMA synchronous')();
  const levels: unknown[] = [];
  db.unhurried(() => {
    levels.push(level());
    db.afterCommit(() => levels.push(level()));
  });
  expect([...levels, level()]).toEqual([1, 2, 2]);
  expect(() =>
    db.unhurried(() => {
      db.afterCommit(() => levels.push('never'));
      throw new Error('no');
    }),
  ).toThrow('no');
  db.transaction(() => levels.push(level()));
  expect(levels).toEqual([1, 2, 2]);
  db.close();
});

test('what was committed without waiting for the disk is waited for later, where there is a log to wait for', async () => {
  const file = join(folder, 'later.db');
  const db = openDb(file);
  rmSync(`${file}-wal`);
  await expect(db.onDisk()).resolves.toBeUndefined();
  mkdirSync(`${file}-wal`);
  await expect(db.onDisk()).rejects.toThrow('EISDIR');
  rmSync(`${file}-wal`, { recursive: true });
  db.close();
  const again = openDb(file);
  again.unhurried(() => again.settings.set('a', '1'));
  for (let times = 0; times < 2; times += 1) await expect(again.onDisk()).resolves.toBeUndefined();
  again.close();
});
