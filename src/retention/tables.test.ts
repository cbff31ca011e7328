import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { openStore } from '../store.js';
import { keeping } from './tables.js';

test('every table of the schema says how long its rows are kept', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'pinch-tables-')), 'pinch.db');
  openStore(file).close();
  const tables = new Database(file).prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).pluck().all();
  // SQLite's own, and those behind the search indexes.
  const ours = tables.filter((name) => !/^(sqlite_|(messages|memory)_fts_)/.test(String(name)));
  expect(ours.sort()).toEqual(Object.keys(keeping).sort());
});
