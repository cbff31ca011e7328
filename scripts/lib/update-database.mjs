// The database around an update: its copy for the test, the one that is kept before the switch, and whether it may be put back afterwards.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { SetupError } from './progress.mjs';

/** Of those that were made before updates, so many stay. */
const KEEP = 3;
/** What is taken in, worked on or sent leaves its trace in these. */
const WORK = ['messages', 'runs', 'outbox', 'slots', 'approvals', 'model_calls', 'tasks'];
/** A connection's keys: with older ones WhatsApp cannot read on. */
const KEYS = 'channel_auth';
/** What a copy for a test must not have. */
const SECRET = [KEYS, 'service_tokens', 'service_clients', 'page_sessions'];

const databaseOf = (/** @type {string} */ home) => join(home, 'data', 'pinch.db');

/** SQLite of the first of these checkouts that has it: in one its packages may be away. @param {string[]} roots @returns {typeof import('better-sqlite3')} */
export function loadSqlite(...roots) {
  for (const root of roots) {
    try {
      return createRequire(join(root, 'package.json'))('better-sqlite3');
    } catch {
      // The next one may have it.
    }
  }
  throw new SetupError('The packages of this checkout are not there: run `npm run build`, then this again.');
}

/** @typedef {ReturnType<typeof loadSqlite>} Sqlite */

/** True while a Pinch runs on the home. @param {Sqlite} Database @param {string} home */
export function isRunning(Database, home) {
  try {
    lockHome(Database, home)?.close();
    return false;
  } catch {
    return true;
  }
}

/**
 * Nothing can start on this home until it is closed, or this process ends (src/sandbox/home.ts). Undefined where there is no home yet.
 * @param {Sqlite} Database @param {string} home
 */
export function lockHome(Database, home) {
  if (!existsSync(join(home, 'data'))) return undefined;
  const db = new Database(join(home, 'data', 'lock.db'), { timeout: 0 });
  try {
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** While Pinch works or not; without what lets one act in the owner's name when it is `forTest`. @param {Sqlite} Database @param {string} home @param {string} to @param {{ forTest: boolean }} what */
export async function copyDatabase(Database, home, to, { forTest }) {
  if (!existsSync(databaseOf(home))) return false;
  const db = new Database(databaseOf(home), { readonly: true });
  try {
    await db.backup(`${to}.part`);
  } finally {
    db.close();
  }
  if (forTest) {
    const copy = new Database(`${to}.part`);
    const tables = copy.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all();
    for (const table of SECRET.filter((name) => tables.includes(name))) copy.exec(`DELETE FROM ${table}`);
    copy.close();
  }
  renameSync(`${to}.part`, to);
  return true;
}

/** The database as it is before the switch, kept under a name of its own. @param {Sqlite} Database @param {string} home @param {string} stamp */
export async function backUpBefore(Database, home, stamp) {
  const folder = join(home, 'data', 'backups');
  const file = join(folder, `before-update-${stamp}.db`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!(await copyDatabase(Database, home, file, { forTest: false }))) return undefined;
  dropOldBackups(folder);
  return file;
}

/** Older ones go. @param {string} folder */
function dropOldBackups(folder) {
  for (const kind of [/^before-update-.*\.db$/, /^after-update-.*\.db$/]) {
    const names = readdirSync(folder).filter((name) => kind.test(name));
    for (const name of names.sort().slice(0, -KEEP)) rmSync(join(folder, name));
  }
}

/** Room for a copy of it in a test, one that is kept, and what a migration writes. @param {string} home @returns {number} bytes */
export const roomNeeded = (home) => (existsSync(databaseOf(home)) ? 4 * statSync(databaseOf(home)).size : 0);

/**
 * `keep`: the version before can read it as it is. `restore`: it has to be put back and nothing is lost by that. `neither`: it has to be,
 * and what the new version did since would be lost, or done and sent again. Pure.
 * @param {{ applied: string[], known: string[], before: string, after: string }} facts `applied` and `known` name migrations
 * @returns {'keep' | 'restore' | 'neither'}
 */
export function decideDatabase({ applied, known, before, after }) {
  if (applied.every((name) => known.includes(name))) return 'keep';
  return before === after ? 'restore' : 'neither';
}

/** @param {Sqlite} Database @param {string} home @param {{ backup?: string | undefined, known: string[] }} before */
export function databaseFate(Database, home, { backup, known }) {
  if (!existsSync(databaseOf(home))) return backup && existsSync(backup) ? 'restore' : 'keep';
  const now = lookAt(Database, databaseOf(home));
  const then = backup && existsSync(backup) ? lookAt(Database, backup) : undefined;
  return decideDatabase({ applied: now.applied, known, before: then?.traces ?? '', after: now.traces });
}

/** @param {Sqlite} Database @param {string} file */
function lookAt(Database, file) {
  const db = new Database(file, { readonly: true });
  try {
    /** @type {string[]} */
    const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all();
    const has = (/** @type {string} */ name) => tables.includes(name);
    const applied = has('migrations') ? db.prepare('SELECT name FROM migrations').pluck().all() : [];
    return {
      applied,
      traces: JSON.stringify([...WORK.filter(has).map((table) => traceOf(db, table)), has(KEYS) && keysOf(db)]),
    };
  } finally {
    db.close();
  }
}

/** How many rows there are, the last of them, and how many in each state. */
function traceOf(/** @type {import('better-sqlite3').Database} */ db, /** @type {string} */ table) {
  /** @type {string[]} */
  const columns = db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table);
  const last = columns.includes('id') ? 'max(id)' : '0';
  const rows = db.prepare(`SELECT count(*), ${last} FROM ${table}`).raw().get();
  const states = columns.includes('state')
    ? db.prepare(`SELECT state, count(*) FROM ${table} GROUP BY 1 ORDER BY 1`).raw().all()
    : [];
  return [table, rows, states];
}

function keysOf(/** @type {import('better-sqlite3').Database} */ db) {
  const hash = createHash('sha256');
  for (const row of db.prepare(`SELECT * FROM ${KEYS} ORDER BY 1, 2`).raw().iterate()) hash.update(JSON.stringify(row));
  return hash.digest('hex');
}

/**
 * Puts the one from before in its place; the other is kept beside it. A second call finishes what was interrupted.
 * @param {Sqlite} Database @param {string} home @param {string} backup
 */
export function restoreDatabase(Database, home, backup) {
  const file = databaseOf(home);
  if (existsSync(file)) {
    // Whole without its journal, which belongs to it alone.
    const db = new Database(file);
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
    renameSync(file, backup.replace(/before-(update-[^/]*)$/, 'after-$1'));
  }
  for (const name of [`${file}-wal`, `${file}-shm`]) rmSync(name, { force: true });
  copyFileSync(backup, `${file}.part`);
  renameSync(`${file}.part`, file);
}
