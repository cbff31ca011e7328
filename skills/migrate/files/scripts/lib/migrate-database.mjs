// Reads the database of another assistant from a copy: the old installation stays as it is, also while it runs.
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { SetupError } from './progress.mjs';

/**
 * What `read` makes of it; it gets the rows of a table, none when there is no such table. Throws SetupError without the file's content.
 * @template T
 * @param {string} file
 * @param {(rows: (table: string) => unknown[]) => T} read
 * @returns {T}
 */
export function readDatabase(file, read) {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-migrate-'));
  const copy = join(folder, 'copy.db');
  try {
    // What was committed last may lie in the log beside it.
    for (const end of ['', '-wal']) if (existsSync(file + end)) copyFileSync(file + end, copy + end);
    const db = new Database(copy);
    try {
      const has = db.prepare(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?`);
      return read((table) => (has.get(table) ? db.prepare(`SELECT * FROM "${table}" ORDER BY rowid`).all() : []));
    } finally {
      db.close();
    }
  } catch (cause) {
    throw new SetupError(`${file} cannot be read: it is no database, or not of a kind that is known here.`, '', {
      cause,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
