// The journal: versions of memory files, each text once, and what is to be brought back. The newest version of a file says what is there now,
// as far as the host was told.
import { z } from 'zod';
import { flag, json, type Statements } from '../core/statements.js';

const words = json(z.array(z.string())).catch([]);

const versionRow = z.object({
  id: z.number(),
  groupId: z.number(),
  path: z.string(),
  /** `deleted`: no file since then; `left out`: too large, or no text. */
  state: z.enum(['kept', 'deleted', 'left out']),
  hash: z.string().nullable(),
  bytes: z.number(),
  author: z.enum(['run', 'outside', 'restore']),
  runId: z.number().nullable(),
  restores: z.number().nullable(),
  sources: words,
  secrets: words,
  at: z.number(),
  newest: flag,
});
export type Version = z.infer<typeof versionRow>;
export type NewVersion = Omit<Version, 'id' | 'newest'>;

/** Of a file that is there: its newest version, and the one that it is a copy of, when it was brought back. */
const present = versionRow.extend({ sourceId: z.number(), sourceRunId: z.number().nullable() });
export type Present = z.infer<typeof present>;

/** `over`: only while this version is the newest. */
const item = z.object({ path: z.string(), version: z.number().nullable(), over: z.number().exactOptional() });
const restoreRow = z.object({
  id: z.number(),
  groupId: z.number(),
  chatId: z.number().nullable(),
  items: json(z.array(item)),
  state: z.enum(['waiting', 'done', 'failed']),
  problem: z.string().nullable(),
});
export type Restore = z.infer<typeof restoreRow>;
export type RestoreItem = z.infer<typeof item>;

/** Versions that stay of each file, at least, and at most. */
export const KEPT_VERSIONS = 20;
export const MOST_VERSIONS = 200;

export function createMemoryRows(statements: Statements) {
  const { rows, value, values, total, run, count, named } = statements;
  const insert = named.value<[version: NewVersion], number>(
    `INSERT INTO memory_versions (group_id, path, state, hash, bytes, author, run_id, restores, sources, secrets, at)
     VALUES (@groupId, @path, @state, @hash, @bytes, @author, @runId, @restores, @sources, @secrets, @at) RETURNING id`,
  );
  const follow = run<[groupId: number, path: string]>(
    'UPDATE memory_versions SET newest = 0 WHERE group_id = ?1 AND path = ?2 AND newest = 1',
  );
  const putContent = run<[hash: string, content: string]>(
    'INSERT INTO memory_contents (hash, content) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING',
  );
  return {
    ...restoreRows(statements),
    newest: rows(versionRow).get<[groupId: number, path: string]>(
      'SELECT * FROM memory_versions WHERE group_id = ?1 AND path = ?2 AND newest = 1',
    ),
    /** What there is of each file, those that were deleted as well. */
    allNewest: rows(versionRow).all<[groupId: number]>(
      'SELECT * FROM memory_versions WHERE group_id = ?1 AND newest = 1 ORDER BY path',
    ),
    /** The same with where each is from. */
    present: rows(present).all<[groupId: number]>(
      `SELECT n.*, s.id AS source_id, s.run_id AS source_run_id FROM memory_versions n
       JOIN memory_versions s ON s.id = coalesce(n.restores, n.id) WHERE n.group_id = ?1 AND n.newest = 1`,
    ),
    latestAt: value<[groupId: number], number | null>(
      'SELECT max(at) FROM memory_versions WHERE group_id = ?1 AND newest = 1',
    ),
    get: rows(versionRow).get<[id: number]>('SELECT * FROM memory_versions WHERE id = ?1'),
    ofFile: rows(versionRow).all<[groupId: number, path: string, limit: number]>(
      'SELECT * FROM memory_versions WHERE group_id = ?1 AND path = ?2 ORDER BY id DESC LIMIT ?3',
    ),
    /** The last one before; not of this run, when one is given. */
    before: rows(versionRow).get<[groupId: number, path: string, id: number, runId: number | null]>(
      `SELECT * FROM memory_versions WHERE group_id = ?1 AND path = ?2 AND id < ?3 AND (?4 IS NULL OR run_id IS NOT ?4)
       ORDER BY id DESC LIMIT 1`,
    ),
    content: value<[hash: string], string>('SELECT content FROM memory_contents WHERE hash = ?1'),
    files: total<[groupId: number]>('SELECT count(*) FROM memory_versions WHERE group_id = ?1 AND newest = 1'),
    bytes: total<[groupId: number]>('SELECT bytes FROM memory_bytes WHERE group_id = ?1'),
    /** The last versions of the file are of this run: how many. */
    inARow: total<[groupId: number, path: string, runId: number]>(
      `SELECT count(*) FROM memory_versions WHERE group_id = ?1 AND path = ?2 AND id >
         coalesce((SELECT id FROM memory_versions WHERE group_id = ?1 AND path = ?2 AND run_id IS NOT ?3 ORDER BY id DESC LIMIT 1), 0)`,
    ),
    /** Makes it the newest of its file. Returns its number. */
    add(version: NewVersion, content: string | null): number {
      if (version.hash !== null && content !== null) putContent(version.hash, content);
      follow(version.groupId, version.path);
      return insert(version) ?? 0;
    },
    drop: run<[id: number]>('DELETE FROM memory_versions WHERE id = ?1'),
    /** Takes away the oldest, so that so many are left. */
    prune: count<[groupId: number, path: string, kept: number]>(
      `DELETE FROM memory_versions WHERE id IN
         (SELECT id FROM memory_versions WHERE group_id = ?1 AND path = ?2 ORDER BY id DESC LIMIT 100 OFFSET ?3)`,
    ),
    putTerms: run<[id: number, terms: string]>('INSERT OR REPLACE INTO memory_fts (rowid, terms) VALUES (?1, ?2)'),
    /** Newest versions with these terms. */
    matching: values<[query: string, limit: number], number>(
      'SELECT rowid FROM memory_fts WHERE memory_fts MATCH ?1 ORDER BY rowid DESC LIMIT ?2',
    ),
  };
}

function restoreRows({ rows, run, named }: Statements) {
  return {
    addRestore: named.value<[restore: Pick<Restore, 'groupId' | 'chatId' | 'items'> & { now: number }], number>(
      `INSERT INTO memory_restores (group_id, chat_id, items, created_at) VALUES (@groupId, @chatId, @items, @now) RETURNING id`,
    ),
    restore: rows(restoreRow).get<[id: number]>('SELECT * FROM memory_restores WHERE id = ?1'),
    waitingRestores: rows(restoreRow).all<[]>(
      `SELECT * FROM memory_restores WHERE state = 'waiting' ORDER BY id LIMIT 100`,
    ),
    /** Once. */
    endRestore: run<[id: number, state: 'done' | 'failed', problem: string | null]>(
      `UPDATE memory_restores SET state = ?2, problem = ?3 WHERE id = ?1 AND state = 'waiting'`,
    ),
  };
}
