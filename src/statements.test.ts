// Work per message, per claim and per page does not grow with history: how SQLite carries out every statement of the store is looked at, and one
// that would read all of a table that grows, or sort what has no bound, fails here.
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openStore } from './store.js';

/** Rows come by what people, agents and clocks do, and stay. */
const GROWING = [
  ...['messages', 'runs', 'run_messages', 'events', 'outbox', 'model_calls', 'costs', 'slots', 'tasks', 'approvals'],
  ...['senders', 'taints', 'search_todo', 'messages_fts', 'service_bodies', 'silent_streaks', 'channel_auth', 'chats'],
  ...['memory_versions', 'memory_contents', 'memory_fts', 'memory_restores'],
];

/** Indexes that hold only what is open now: all of one is what waits or works, however many years there were before. */
const OF_NOW = [
  ...['runs_due', 'runs_open', 'runs_ready_of_group', 'one_leased_run_per_session', 'runs_outage_told', 'outbox_heads'],
  ...[
    'outbox_by_buttons',
    'slots_open',
    'slots_waiting',
    'tasks_open',
    'tasks_files',
    'tasks_hooks',
    'approvals_open',
    'senders_owner',
  ],
  // Bodies of requests that are over are removed from it each time.
  'service_bodies_large',
  // As many files as a group may have (wire.ts).
  ...['memory_newest', 'memory_restores_waiting'],
];

/** A search for all of a chat, a group, a task or a channel reads years of them, too: it has to say how many it wants. */
const WIDE = ['chat_id', 'group_id', 'task_id', 'session', 'channel', 'seen_in', 'direction', 'kind', 'state', 'id'];
const WITH_WIDE = [
  'messages',
  'runs',
  'events',
  'outbox',
  'model_calls',
  'slots',
  'approvals',
  'senders',
  'memory_versions',
];
const STATE_OF_NOW = /state = '(ready|leased|queued|open|allowed|waiting|running)'/;

/** How a statement begins, and why it may do what others may not. */
const EXCEPTIONS: [sql: string, why: string][] = [
  ['SELECT * FROM chats ORDER BY id', 'the owner asked for the list of all chats'],
  ['SELECT * FROM chats WHERE group_id', 'sorts the chats of one group'],
  [
    "SELECT * FROM tasks WHERE state IN ('active', 'paused') AND group_id = ?2 ORDER BY next_at",
    'sorts what one group has planned, at most a thousand',
  ],
  ['SELECT c.* FROM chats c WHERE c.channel = ?1 AND c.address >', 'sorts the topics of one forum'],
  ["SELECT r.session, m.intent = 'asked'", 'sorts the runs of one album, whose messages are at most 100'],
  [
    'SELECT g.folder, c.model, coalesce(sum(c.calls)',
    'sums of the days that somebody asked for, one row a day, group and model',
  ],
  ['SELECT c.task_id, coalesce(sum(c.calls)', 'the same by task'],
  ["UPDATE messages SET platform_id = 'before-'", 'a group that became another one, once in its life'],
  ['DELETE FROM chats', 'a chat that has no rows: each search of it finds none'],
  ['SELECT * FROM approvals WHERE id > (SELECT max(id) - 100', 'sorts the newest 100'],
  ['SELECT c.* FROM chats c WHERE c.owner_address IS NOT NULL', 'the direct chats of owners, at each start'],
  ['UPDATE chats SET context_after = max(context_after, had.newest)', 'sorts the messages of one run'],
  ['SELECT s.*, r.state AS run_state', 'sorts what one run sent'],
];

let file: string;
let db: Database.Database;
const statements = new Set<string>();

beforeAll(() => {
  file = join(mkdtempSync(join(tmpdir(), 'pinch-plans-')), 'pinch.db');
  openStore(file).close();
  const { prepare } = Database.prototype;
  const spy = vi.spyOn(Database.prototype, 'prepare').mockImplementation(function (this: Database.Database, sql) {
    statements.add(sql.replaceAll(/\s+/g, ' ').trim());
    return prepare.call(this, sql);
  });
  openStore(file).close();
  spy.mockRestore();
  db = new Database(file);
  db.exec('CREATE VIRTUAL TABLE temp.message_terms USING fts5vocab(main, messages_fts, instance)');
});
afterAll(() => db.close());

interface Step {
  detail: string;
}

/** What SQLite says it would do, step by step. */
function planOf(sql: string): string[] {
  // Rows that refer to a new row are not looked for: there are none. SQLite names these steps all the same.
  db.pragma(`foreign_keys = ${sql.startsWith('INSERT') ? 'OFF' : 'ON'}`);
  const names = [...sql.matchAll(/[@?](\w+)/g)].map(([, name]) => [name, null]);
  const explain = db.prepare<unknown[], Step>(`EXPLAIN QUERY PLAN ${sql}`);
  return explain.all(...(names.length > 0 ? [Object.fromEntries(names)] : [])).map(({ detail }) => detail);
}

/** The tables behind the names in a plan: a name may stand for several in one statement, then each counts. */
function tablesOf(sql: string, name: string): string[] {
  const named = [...sql.matchAll(/(?:FROM|JOIN|UPDATE|INTO|,) (\w+)(?: AS)? (\w+)/g)];
  const behind = named.flatMap(([, table = '', alias]) => (alias === name ? [table] : []));
  return [name, ...behind];
}

/** What is wrong with a step; undefined for what is bounded. */
function problemOf(sql: string, plan: string[], step: string): string | undefined {
  if (step.startsWith('USE TEMP B-TREE')) return plan.some((one) => isOfGrowing(sql, one)) ? step : undefined;
  const [, how = '', name = '', rest = ''] = /^(SCAN|SEARCH) (\S+) ?(.*)$/.exec(step) ?? [];
  if (!tablesOf(sql, name).some((table) => GROWING.includes(table))) return undefined;
  const index = /USING (?:COVERING )?INDEX (\w+)/.exec(rest)?.[1];
  if (index !== undefined && OF_NOW.includes(index)) return undefined;
  // A search of the index in the words of a query, or of one row.
  if (rest.startsWith('VIRTUAL TABLE')) return / \d*:$/.test(rest) ? step : undefined;
  // The latest or first id is looked up; SQLite says no more than this, also where it would read all rows.
  if (how === 'SEARCH' && rest === '') return /(min|max)\((\w+\.)?id\)/.test(sql) ? undefined : step;
  if (how === 'SEARCH') return isWide(sql, name, rest) ? step : undefined;
  // The newest rows, as many as are asked for, none of them left out.
  const isNewest = /^SELECT \* FROM \w+ ORDER BY id DESC LIMIT/.test(sql);
  return isNewest ? undefined : step;
}

function isWide(sql: string, name: string, rest: string): boolean {
  if (!tablesOf(sql, name).some((table) => WITH_WIDE.includes(table)) || /LIMIT|max\(\w+\)/.test(sql)) return false;
  const constraints = (/\((.*)\)/.exec(rest)?.[1] ?? '').split(' AND ');
  const isOfNow = (one: string) => one === 'state=?' && STATE_OF_NOW.test(sql);
  // A range without a value of its own holds most of the rows.
  return (
    constraints.every((one) => /^\w+[<>]/.test(one) || WIDE.includes(one.replace('=?', ''))) &&
    !constraints.some(isOfNow)
  );
}

const isOfGrowing = (sql: string, step: string): boolean => {
  const [, name = ''] = /^(?:SCAN|SEARCH) (\S+)/.exec(step) ?? [];
  const isOne = step.includes('INTEGER PRIMARY KEY (rowid=?)');
  return !isOne && tablesOf(sql, name).some((table) => GROWING.includes(table));
};

const problemsOf = (sql: string): string[] => {
  const plan = planOf(sql);
  return plan.flatMap((step) => problemOf(sql, plan, step) ?? []);
};
const isExcepted = (sql: string) => EXCEPTIONS.some(([start]) => sql.startsWith(start));

test('no statement reads all of a table that grows, or sorts what has no bound', () => {
  const ours = [...statements].filter((sql) => !/^(CREATE|PRAGMA)|migrations/.test(sql));
  expect(ours.length).toBeGreaterThan(200);
  const found = ours.filter((sql) => !isExcepted(sql)).map((sql) => ({ sql, problems: problemsOf(sql) }));
  expect(found.filter(({ problems }) => problems.length > 0)).toEqual([]);
});

test('each exception is of a statement that needs it', () => {
  const needed = [...statements].filter((sql) => isExcepted(sql) && problemsOf(sql).length > 0);
  const idle = EXCEPTIONS.filter(([start]) => !needed.some((sql) => sql.startsWith(start)));
  expect(idle).toEqual([]);
});

test.each([
  'SELECT state, count(*) AS n FROM runs GROUP BY state',
  'SELECT * FROM runs WHERE ?1 IS NULL OR state = ?1 ORDER BY id DESC LIMIT ?2',
  `SELECT * FROM approvals WHERE state = 'open' AND kind = 'x'  AND result IS NULL ORDER BY created_at`,
  'SELECT max(at) FROM events',
  'SELECT * FROM messages WHERE chat_id = ?1',
  `UPDATE runs SET state = 'dead' WHERE state = 'ready' AND chat_id = ?1`,
  'SELECT count(*) FROM runs WHERE task_id = ?1',
  'SELECT 1 FROM senders WHERE channel = ?1',
  'SELECT * FROM runs WHERE state = ?1',
  `SELECT count(*) FROM runs WHERE session = ?1 AND state IN ('ready', 'leased')`,
  'SELECT m.* FROM messages m WHERE m.text = ?1',
  'SELECT 1 FROM chats c JOIN outbox AS o ON o.sent_at = c.id',
  'SELECT DISTINCT session FROM runs',
  'SELECT * FROM messages WHERE direction = ?1 ORDER BY id DESC LIMIT 5',
  "DELETE FROM events WHERE kind = 'note'",
  'SELECT rowid FROM messages_fts',
])('%s would be found', (sql) => {
  expect(problemsOf(sql)).not.toEqual([]);
});

test('statements are prepared by the store alone, when it is opened', () => {
  const sources = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.test\.ts$|testing\//.test(name))
    .filter((name) => /\.prepare(<.*>)?\(/.test(readFileSync(join(import.meta.dirname, name), 'utf8')));
  // The doctor has a process of its own, and looks at a database that may be damaged.
  expect(sources.sort()).toEqual(['core/db.ts', 'core/statements.ts', 'ops/doctor-database.ts']);
});
