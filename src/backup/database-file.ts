// The database of a backup, as a file of its own.
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import Database from 'better-sqlite3';
import { PinchError } from '../core/errors.js';

/** Writes it to `path` and looks whether SQLite finds it whole. Throws PinchError `backup_damaged`. */
export async function writeFileAndTest(body: Readable, path: string): Promise<void> {
  await pipeline(body, createWriteStream(path, { mode: 0o600, flush: true }));
  const db = new Database(path, { readonly: true });
  try {
    const result = String(db.pragma('quick_check(1)', { simple: true }));
    if (result !== 'ok')
      throw new PinchError('backup_damaged', `the database in the backup is damaged: ${result}`, {
        hint: 'take an older one; `pinch doctor` looks at the one in use',
      });
  } finally {
    db.close();
  }
}
