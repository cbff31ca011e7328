// Opens the SQLite file and brings its schema up to date. Each module makes its own tables' functions from `statements`; only the settings,
// which belong to nobody else, are here. Knows nothing about what is stored.
import { EventEmitter } from 'node:events';
import { closeSync, existsSync, fdatasync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { describeError, PinchError } from './errors.js';
import type { Logger } from './log.js';
import { createSettings } from './settings.js';
import type { SignalEvents, Signals } from './signals.js';
import { type BadRow, createStatements } from './statements.js';

export type Db = ReturnType<typeof openDb>;

const PAGES_AT_ONCE = 100;
const CACHE_KB = 4_096;

/**
 * Opens (or creates) the database. Throws PinchError `database_corrupt` (names the newest backup), `database_locked`, `database_unwritable` or
 * `database_too_new`.
 * `file` may be ':memory:' in unit tests. A row that cannot be read is left out of every list and logged once.
 */
export function openDb(file: string, log?: Pick<Logger, 'error'>) {
  if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const db = openDatabase(file);
  const walFile = createSync(`${file}-wal`);
  const signals: Signals = new EventEmitter<SignalEvents>().setMaxListeners(50);
  const badRows: BadRow[] = [];
  const statements = createStatements(db, (row) => {
    log?.error(row, 'a row cannot be read and was set aside');
    badRows.push(row);
    signals.emit('bad-row');
  });
  const { transaction, unhurried, afterCommit } = createTransactions(db);
  const changes = statements.total<[]>('SELECT total_changes()');
  const signal: Signals['emit'] = (...event) => {
    afterCommit(() => signals.emit(...event));
    return true;
  };
  return {
    statements,
    /** Those that were left out since somebody looked here last. */
    badRows: (): BadRow[] => badRows.splice(0),
    /** To listen to. */
    signals,
    /** Says what a row that changed means to the next stage: as `afterCommit`. */
    signal,
    settings: createSettings(statements),
    /** Another value after each change of any row, also by another program: what was made of rows before is no longer true. */
    version: (): string => `${changes()} ${db.pragma('data_version', { simple: true })}`,
    transaction,
    unhurried,
    /** Resolves when all that was committed until now is on disk, which does not hold the process up. Rejects when the disk refuses. */
    onDisk: walFile.sync,
    /** Runs `act` once the transaction around this call is committed, never when it failed; at once outside of one. */
    afterCommit,
    /** Writes a consistent copy to `target` while the store is in use. Rejects soon after `over` aborted; what it wrote until then stays. */
    backup: (target: string, over?: AbortSignal) => copyTo(db, target, over),
    close(): void {
      walFile.close();
      db.close();
    },
  };
}

/** Transactions, and what follows from them once they are committed. */
function createTransactions(db: Database.Database) {
  const waiting: (() => void)[] = [];
  /**
   * Runs `work` in one IMMEDIATE transaction; within another one, as a part of it. When it throws, all that it changed is undone, and what it
   * wanted to do after the commit is not done. Whoever catches the error of a part goes on with the rest. `work` must not await.
   */
  function transaction<T>(work: () => T): T {
    const result = commit(work);
    if (!db.inTransaction) for (const act of waiting.splice(0)) act();
    return result;
  }
  function commit<T>(work: () => T): T {
    const before = waiting.length;
    try {
      return db.inTransaction ? db.transaction(work)() : db.transaction(work).immediate();
    } catch (error) {
      waiting.length = before;
      throw error;
    }
  }
  /**
   * A transaction that does not wait for the disk: a power cut may undo it, and then it is done again. What is committed later is on disk only
   * together with it. Not within another transaction.
   */
  function unhurried<T>(work: () => T): T {
    db.pragma('synchronous = NORMAL');
    let result: T;
    try {
      result = commit(work);
    } finally {
      db.pragma('synchronous = FULL');
    }
    // What follows from it may have to be on disk.
    for (const act of waiting.splice(0)) act();
    return result;
  }
  function afterCommit(act: () => void): void {
    if (db.inTransaction) waiting.push(act);
    else act();
  }
  return { transaction, unhurried, afterCommit };
}

/** Has a file synced that is kept open, off the event loop. */
function createSync(file: string) {
  let fd: number | undefined;
  return {
    async sync(): Promise<void> {
      // What was begun with that goes on first.
      await setImmediate();
      try {
        fd ??= openSync(file, 'r+');
      } catch (error) {
        // Where SQLite keeps no such log (some file systems, memory) each commit is on disk when it returns.
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
        throw error;
      }
      await promisify(fdatasync)(fd);
    },
    close(): void {
      if (fd !== undefined) closeSync(fd);
    },
  };
}

/** Some pages at a time: between them others get their turn. */
function copyTo(db: Database.Database, target: string, over: AbortSignal | undefined) {
  const progress = () => {
    over?.throwIfAborted();
    return PAGES_AT_ONCE;
  };
  return db.backup(target, { progress });
}

function openDatabase(file: string): Database.Database {
  let db: Database.Database | undefined;
  try {
    db = new Database(file);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    db.pragma('busy_timeout = 5000');
    // The system keeps the file's pages as well; what this process keeps of a large file, it keeps for ever.
    db.pragma(`cache_size = -${CACHE_KB}`);
    migrate(db, new URL('migrations/', import.meta.url));
    // The words of the search index, where search.ts looks up those with a common prefix.
    db.exec('CREATE VIRTUAL TABLE temp.message_terms USING fts5vocab(main, messages_fts, instance)');
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof PinchError) throw error;
    const [code, hint] = databaseTrouble(file, error);
    throw new PinchError(code, `the database ${file} cannot be opened: ${describeError(error)}`, {
      hint,
      cause: error,
    });
  }
}

/** What is wrong, and what to do: only what is broken itself is to be replaced by a backup. */
export function databaseTrouble(file: string, error: unknown): [code: string, hint: string] {
  const code = error instanceof Database.SqliteError ? error.code : '';
  if (/^SQLITE_(BUSY|LOCKED)/.test(code))
    return [
      'database_locked',
      'another program has it open: end that one, a viewer or a backup for example (lsof), and start again',
    ];
  if (/^SQLITE_(FULL|IOERR)/.test(code))
    return ['database_unwritable', 'is the disk full or broken? Make room there (df -h) and start again'];
  if (/^SQLITE_(CANTOPEN|READONLY|PERM|AUTH)/.test(code))
    return ['database_unwritable', 'it and its folder must be writable for the user who runs Pinch (ls -l)'];
  return ['database_corrupt', restoreHint(file)];
}

/** Databases made before names were recorded only say how many files they had had, which then were the first eight, or all there were. */
const LAST_COUNTED = 8;

/** Applies the files of `folder` that this database has not had, in the order of their names, all or none. Throws PinchError `database_too_new`. */
export function migrate(db: Database.Database, folder: URL): void {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  const bringUpToDate = db.transaction(() => {
    db.exec('CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY) STRICT');
    const recorded = db.prepare<[], string>('SELECT name FROM migrations').pluck().all();
    const count = Number(db.pragma('user_version', { simple: true }));
    if (recorded.length === 0 && count > files.length) throw tooNew(`schema ${count}`);
    const counted = count === files.length ? files : files.slice(0, Math.min(count, LAST_COUNTED));
    const applied = new Set(recorded.length > 0 ? recorded : counted);
    const unknown = recorded.find((name) => !files.includes(name));
    if (unknown) throw tooNew(unknown);
    for (const name of files) {
      if (!applied.has(name)) db.exec(readFileSync(new URL(name, folder), 'utf8'));
      db.prepare('INSERT OR IGNORE INTO migrations VALUES (?)').run(name);
    }
    // By this number a Pinch that does not know the table refuses a database with more files than its own.
    if (count !== files.length) db.pragma(`user_version = ${files.length}`);
  });
  bringUpToDate.immediate();
}

const tooNew = (what: string) =>
  new PinchError('database_too_new', `the database is of a newer Pinch (${what})`, {
    hint: 'update this checkout, or restore a backup made with it',
  });

function restoreHint(file: string): string {
  const folder = join(dirname(file), 'backups');
  const backups = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.db')) : [];
  const newest = backups.sort().at(-1);
  if (!newest) return `there is no backup yet; move ${file} away to start empty`;
  return `the newest backup is ${join(folder, newest)}: stop Pinch, move ${file}* away and copy the backup to ${file}`;
}
