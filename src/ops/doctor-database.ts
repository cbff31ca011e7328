// What `pinch doctor` looks at in the database: whether it can be read, and when it was backed up. It runs in a process of its own.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { lastBackup } from '../backup/last.js';
import type { Config } from '../core/config.js';
import { databaseTrouble } from '../core/db.js';
import { describeError, PinchError } from '../core/errors.js';
import { type CheckDeps, type Finding, ok, skipped, warning } from './finding.js';
import { lastLook, noteLook, type WholeLook } from './whole-look.js';

const HOUR_MS = 3_600_000;
/** Up to this size all of it is read: that takes no longer than the other checks. */
const SMALL_BYTES = 64 * 1024 ** 2;

/** A large one is read whole when that is asked for, or when damage was found the last time. */
export function checkDatabase(deps: CheckDeps): Finding[] {
  const { config, clock, isFull } = deps;
  const file = join(config.dataDir, 'pinch.db');
  if (!existsSync(file)) return [skipped('none yet: Pinch was never started on this home')];
  const { size: bytes } = statSync(file);
  const last = lastLook(config.dataDir);
  const isWhole = isFull || bytes <= SMALL_BYTES || (last !== undefined && last.found !== 'ok');
  // When it cannot be noted, the next look knows less, and that is all.
  const found = (what: string) =>
    (isFull || last) && isWhole && noteLook(config.dataDir, { at: clock.now(), found: what });
  try {
    readDatabase(file, isWhole);
  } catch (error) {
    const [code, hint] = databaseTrouble(file, error);
    if (code === 'database_corrupt') found(describeError(error));
    const what = code === 'database_corrupt' ? 'is damaged' : `cannot be read: ${describeError(error)}`;
    throw new PinchError(code, `${file} ${what}`, { hint, cause: error });
  }
  found('ok');
  const size = `${(bytes / 1024 ** 2).toFixed(1)} MiB, ${isWhole ? 'intact' : wholeText(last)}`;
  const backup = newestBackup(config);
  // One is made a day while it runs; a daemon that was off for long makes one when it starts.
  const whole = wholeBackup(config);
  if (backup !== undefined && clock.now() - backup < 50 * HOUR_MS) return [ok(`${size}, backed up; ${whole}`)];
  return [
    ok(`${size}; ${whole}`),
    warning('there is no backup of the last two days', 'start Pinch; if it runs: `pinch logs`'),
  ];
}

const wholeText = (last: WholeLook | undefined): string =>
  last
    ? `can be read; all of it was intact ${new Date(last.at).toISOString().slice(0, 16).replace('T', ' ')} UTC`
    : 'can be read (`pinch doctor --full` reads all of it)';

/** Rows of each table that are read at either end when not all are. */
const ROWS = 50;

/** Reads all of it, or the schema and both ends of each table. Throws what SQLite throws, or an error that says what is wrong. */
function readDatabase(file: string, isWhole: boolean): void {
  const db = new Database(file, { readonly: true, fileMustExist: true });
  try {
    if (isWhole) {
      const found = String(db.pragma('quick_check(1)', { simple: true }));
      if (found !== 'ok') throw new Error(found);
      return;
    }
    const tables = db.prepare<[], string>(`SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT wr`).pluck();
    for (const name of tables.all())
      for (const order of ['ASC', 'DESC'])
        db.prepare(`SELECT * FROM "${name}" ORDER BY rowid ${order} LIMIT ${ROWS}`).all();
  } finally {
    db.close();
  }
}

/** The last one of all of the home: those of each day are of the database alone, and lie on the same disk. */
function wholeBackup(config: Config): string {
  const last = lastBackup(config);
  const when = last && `${new Date(last.at).toISOString().slice(0, 16).replace('T', ' ')} UTC, ${last.file}`;
  return when ? `the whole home: ${when}` : 'the whole home never (`pinch backup <file>`)';
}

function newestBackup({ dataDir }: Config): number | undefined {
  const folder = join(dataDir, 'backups');
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.db')) : [];
  return files.length === 0 ? undefined : Math.max(...files.map((name) => statSync(join(folder, name)).mtimeMs));
}
