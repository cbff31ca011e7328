// What the lists of a home of five years show, put into one that was empty: where both answer with as many rows, what is left of a difference
// is that of their age.
import { join } from 'node:path';
import Database from 'better-sqlite3';

/** As many as the bench asks for. */
const TASKS = 50;
const ROWS = 100;

const shownTasks = `SELECT id FROM years.tasks WHERE state IN ('active', 'paused') ORDER BY id LIMIT ${TASKS}`;
const shownApprovals = `SELECT id FROM years.approvals ORDER BY id DESC LIMIT ${ROWS}`;
const recentCosts = `SELECT * FROM years.costs WHERE day >= (SELECT date(max(day), '-62 days') FROM years.costs)`;

/** In an order in which what others refer to comes first. */
const COPIES = [
  ['groups', 'SELECT * FROM years.groups'],
  ['chats', 'SELECT * FROM years.chats'],
  [
    'tasks',
    `SELECT * FROM years.tasks WHERE id IN (${shownTasks}) OR id IN (SELECT task_id FROM (${recentCosts}) WHERE task_id > 0)`,
  ],
  ['slots', `SELECT * FROM years.slots WHERE task_id IN (${shownTasks})`],
  ['approvals', `SELECT * FROM years.approvals WHERE id IN (${shownApprovals})`],
  [
    'runs',
    `SELECT * FROM years.runs WHERE id IN (SELECT run_id FROM slots) OR id IN (SELECT run_id FROM approvals)
       OR id IN (SELECT id FROM years.runs WHERE state = 'dead' ORDER BY id DESC LIMIT ${ROWS})`,
  ],
  ['outbox', 'SELECT * FROM years.outbox WHERE run_id IN (SELECT id FROM runs)'],
  ['costs', recentCosts],
] as const;

/** Both are homes in which no daemon is at work; nobody has talked in the first. */
export function fillLists(empty: string, fiveYears: string): void {
  const db = new Database(join(empty, 'data/pinch.db'));
  db.pragma('foreign_keys = OFF');
  db.prepare('ATTACH ? AS years').run(join(fiveYears, 'data/pinch.db'));
  db.exec('BEGIN; DELETE FROM search_todo; DELETE FROM messages; DELETE FROM senders; DELETE FROM chats');
  for (const [table, rows] of COPIES) db.exec(`INSERT OR IGNORE INTO ${table} ${rows}`);
  db.exec('UPDATE chats SET attached_to = 0; COMMIT');
  db.close();
}
