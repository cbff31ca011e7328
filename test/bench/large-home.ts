// A home as it is after five years: rows written in one transaction into the tables of an empty home. It is made once and copied for each run of
// the bench: it lies in the temporary folder under the name of its schema.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { scoped } from '../../src/groups/search-index.js';
import { termsOf } from '../../src/groups/search-words.js';
import { newHome } from '../e2e/harness.js';

/** A run has five messages: what was said before it, what asked, and its answer. */
export const RUNS = 200_000;
const MESSAGES = 5 * RUNS;
const CHATS = 50;
const GROUPS = 10;
export const TASKS = 10_000;
const DAY_MS = 86_400_000;
const YEARS_MS = 5 * 365 * DAY_MS;
const SENTENCES = 20_000;

/** The same in each run: what varies must be the daemon. */
function createRandom(): () => number {
  let state = 20_261_130;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Few words are said often and many seldom, as people do. */
function sentences(): string[] {
  const random = createRandom();
  const word = () => `w${Math.floor(random() ** 4 * 20_000).toString(36)}`;
  return Array.from({ length: SENTENCES }, () =>
    Array.from({ length: 3 + Math.floor(random() ** 2 * 30) }, word).join(' '),
  );
}

const sizes = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <`;
/** Spreads consecutive numbers; a modulus is to be smaller than 2^20. */
const hash = (number: string, salt: number) => `(((${number}) * 2654435761 + ${salt * 40503}) >> 7 & 1048575)`;
/** Chat 1 has three of ten messages, the others ever fewer. */
const chatOf = (run: string) =>
  `iif(${hash(run, 1)} % 10 < 3, 1, 2 + (${hash(run, 2)} % ${CHATS - 1}) * (${hash(run, 3)} % ${CHATS - 1}) / ${CHATS - 1})`;
const groupOf = (chat: string) => `(1 + (${chat} - 1) % ${GROUPS})`;
const isTask = (run: string) => `(${hash(run, 4)} % 10 < 4)`;
const taskOf = (run: string) => `(1 + ${hash(run, 5)} % ${TASKS})`;
const chatOfRun = (run: string) => `iif(${isTask(run)}, ${chatOf(taskOf(run))}, ${chatOf(run)})`;
const stateOf = (run: string) =>
  `CASE WHEN ${hash(run, 6)} % 100 < 85 THEN 'done' WHEN ${hash(run, 6)} % 100 < 95 THEN 'dead' ELSE 'cancelled' END`;

/** Everything but the search index. `chat` is the person's the bench talks as. */
function statements(now: number, chat: string): string[] {
  const at = (part: string) => `(${now - YEARS_MS} + CAST((${part}) * ${YEARS_MS - 3_600_000} AS INTEGER))`;
  const runAt = at(`i / ${RUNS}.0`);
  const rows = (n: number) => `${sizes} ${n})`;
  return [
    `INSERT OR IGNORE INTO groups (id, folder, created_at) ${rows(GROUPS)} SELECT i, 'group' || i, 1 FROM n`,
    `INSERT INTO chats (id, channel, address, kind, title, group_id, created_at, last_seen_at)
     ${rows(CHATS)} SELECT i, iif(i % 3 = 2, 'whatsapp', 'telegram'), iif(i = 1, '${chat}', '-100' || i), iif(i = 1, 'direct', 'group'), 'Chat ' || i, ${groupOf('i')}, 1, ${now} FROM n`,
    `INSERT INTO senders (channel, address, name, seen_in) ${rows(5_000)} SELECT 'telegram', '5' || i, 'Person ' || i, 2 + i % ${CHATS - 1} FROM n`,
    `INSERT INTO tasks (key, group_id, chat_id, title, prompt, starts, options, state, next_at, created_at)
     ${rows(TASKS)} SELECT 'years:' || i, ${groupOf(chatOf('i'))}, ${chatOf('i')}, 'Task ' || i, 'Look at number ' || i,
       json_object('kind', 'cron', 'cron', (i % 60) || ' 9 * * ' || (i % 7), 'timeZone', iif(i % 2, 'Europe/Berlin', 'America/New_York')),
       '{"context":"fresh","misfire":"skip","overlap":"skip","jitterMs":0,"after":[]}',
       CASE WHEN i % 20 = 0 THEN 'cancelled' WHEN i % 20 = 1 THEN 'paused' ELSE 'active' END,
       iif(i % 20 < 2, NULL, ${now + 7_200_000} + ${hash('i', 7)} * 500), ${now - YEARS_MS} FROM n`,
    `INSERT INTO runs (id, key, kind, group_id, chat_id, session, state, attempt, run_at, created_at, started_at, finished_at, task_id, error_class, error)
     ${rows(RUNS)} SELECT i, 'years:' || i, iif(${isTask('i')}, 'task', 'message'), ${groupOf(chatOfRun('i'))}, ${chatOfRun('i')},
       iif(${isTask('i')}, 'task' || ${taskOf('i')} || '-' || i, 'chat' || ${chatOfRun('i')} || '-1'), ${stateOf('i')}, 1,
       ${runAt}, ${runAt}, ${runAt} + 30, ${runAt} + 9000, iif(${isTask('i')}, ${taskOf('i')}, NULL),
       iif(${stateOf('i')} = 'dead', 'overloaded', NULL), iif(${stateOf('i')} = 'dead', 'the model was overloaded for long', NULL) FROM n`,
    `INSERT INTO outbox (id, key, chat_id, run_id, text, state, next_at, created_at, sent_at)
     SELECT id, id || ':1', chat_id, id, (SELECT text FROM sentence WHERE id = runs.id % ${SENTENCES}), iif(id % 500 = 0, 'dead', 'sent'), finished_at, finished_at, finished_at FROM runs`,
    `INSERT INTO messages (id, chat_id, direction, platform_id, sender_id, sender_name, text, media, sent_at, received_at, run_id, outbox_id, intent)
     ${rows(MESSAGES)} SELECT i, ${chatOfRun('(i + 4) / 5')}, iif(i % 5 = 0, 'out', 'in'), 'm' || i, iif(i % 5 = 0, NULL, 1 + i % 5000), iif(i % 5 = 0, 'Pinch', 'Person ' || (i % 5000)),
       (SELECT text FROM sentence WHERE id = ${hash('i', 8)} % ${SENTENCES}) || ' nr' || i,
       iif(i % 50 = 3, json_array(json_object('kind', 'document', 'fileName', 'a.pdf', 'mimeType', 'application/pdf', 'sizeBytes', 9, 'ref', 'r')), '[]'),
       ${at(`i / ${MESSAGES}.0`)}, ${at(`i / ${MESSAGES}.0`)}, iif(i % 5 = 0, i / 5, NULL), iif(i % 5 = 0, i / 5, NULL), iif(i % 5 = 4, 'asked', 'said') FROM n`,
    `INSERT INTO run_messages (run_id, message_id, handed)
     SELECT r.id, m.id, 1 FROM runs r CROSS JOIN messages m ON m.id BETWEEN r.id * 5 - 4 AND r.id * 5 - 1 WHERE r.kind = 'message'`,
    `INSERT INTO events (run_id, at, kind, detail)
     SELECT r.id, r.created_at + k.at, k.kind, k.detail FROM runs r CROSS JOIN kind k`,
    `INSERT INTO model_calls (group_id, run_id, at, model, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cost_micro_usd, estimated, status, duration_ms)
     SELECT group_id, id, created_at, 'claude-sonnet-5-5', 900, 120, 8000, 0, 0, 4000, 0, 200, 3000 FROM runs, (SELECT 1 UNION ALL SELECT 2)`,
    `INSERT INTO costs SELECT date(created_at / 1000, 'unixepoch'), group_id, coalesce(task_id, 0), 'claude-sonnet-5-5', count(*) * 2, 17800, 240, 8000
     FROM runs GROUP BY 1, 2, 3`,
    `INSERT INTO slots (task_id, slot_at, state, run_id, created_at, ended_at)
     SELECT task_id, created_at, CASE state WHEN 'done' THEN 'done' WHEN 'dead' THEN 'failed' ELSE 'cancelled' END, id, created_at, finished_at FROM runs WHERE task_id IS NOT NULL`,
    `INSERT INTO approvals (kind, state, group_id, chat_id, run_id, subject, detail, input, hash, created_at, expires_at, decided_at)
     SELECT 'egress', CASE id % 3 WHEN 0 THEN 'done' WHEN 1 THEN 'denied' ELSE 'expired' END, group_id, chat_id, id, 'host' || id || '.example', 'asks to reach it', '{}', 'h' || id,
       created_at, created_at + ${DAY_MS}, created_at + 60000 FROM runs WHERE id % 10 = 0`,
    `INSERT INTO taints SELECT session, group_id, 'a web page', created_at, created_at FROM runs WHERE kind = 'task' AND id % 20 = 0`,
  ];
}

const KINDS = [
  ['claimed', { attempt: 1 }],
  ['handed_over', { container: 'f'.repeat(64) }],
  ['model_request', { model: 'claude-sonnet-5-5', messages: 12 }],
  ['tool_started', { name: 'bash', input: `{"command":"${'grep -rn something /workspace/notes; '.repeat(4)}"}` }],
  ['tool_ended', { name: 'bash', ok: true, chars: 1_200, durationMs: 40 }],
  [
    'egress',
    { host: 'example.org', port: 443, verdict: 'allowed', why: 'rule', bytesUp: 900, bytesDown: 9_000, durationMs: 80 },
  ],
  ['model_request', { model: 'claude-sonnet-5-5', messages: 14 }],
  ['assistant_text', { text: 'It is done as you said, and the list is as long as before. '.repeat(3) }],
  ['finished', { outcome: 'done' }],
  ['message_sent', { key: 'k', parts: 1 }],
] as const;

function writeRows(file: string, chat: string): void {
  const db = new Database(file);
  db.pragma('synchronous = OFF');
  db.pragma('cache_size = -400000');
  db.pragma('foreign_keys = OFF');
  const texts = sentences();
  db.exec('BEGIN; CREATE TEMP TABLE sentence (id INTEGER PRIMARY KEY, text TEXT)');
  const addSentence = db.prepare('INSERT INTO sentence VALUES (?, ?)');
  for (const [id, text] of texts.entries()) addSentence.run(id, text);
  db.exec('CREATE TEMP TABLE kind (at INTEGER, kind TEXT, detail TEXT)');
  const addKind = db.prepare('INSERT INTO kind VALUES (?, ?, ?)');
  for (const [index, [kind, detail]] of KINDS.entries()) addKind.run(index * 900, kind, JSON.stringify(detail));
  // The home is made by a daemon that was there for a moment.
  db.exec('DELETE FROM search_todo; DELETE FROM messages; DELETE FROM senders; DELETE FROM chats');
  // Indexes of rows that are there already are made faster; what notes each message for the search index has nothing to say.
  const later = db
    .prepare<[], { drop: string; make: string }>(
      `SELECT 'DROP ' || type || ' ' || name AS "drop", sql AS make FROM sqlite_schema
       WHERE (type = 'index' AND sql IS NOT NULL) OR (type = 'trigger' AND tbl_name = 'messages')`,
    )
    .all();
  for (const { drop } of later) db.exec(drop);
  for (const sql of statements(Date.now(), chat)) db.exec(sql);
  indexMessages(db, texts);
  for (const { make } of later) db.exec(make);
  db.exec(
    'UPDATE chats SET attached_to = coalesce((SELECT max(id) FROM messages WHERE chat_id = chats.id), 0); COMMIT',
  );
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

/** With the parts of the index joined, as a daemon would have done with them in all these years. */
function indexMessages(db: Database.Database, texts: string[]): void {
  const join = (pages: number) => db.exec(`INSERT INTO messages_fts (messages_fts, rank) VALUES ('merge', ${pages})`);
  const joinedAtOnce = (parts: number) =>
    db.exec(`INSERT INTO messages_fts (messages_fts, rank) VALUES ('usermerge', ${parts})`);
  joinedAtOnce(16);
  const terms = texts.map((text) => [...termsOf(text)]);
  const known = new Map(terms.map((one, id) => [texts[id], one]));
  const put = db.prepare('INSERT INTO messages_fts (rowid, terms) VALUES (?, ?)');
  const all = db
    .prepare<[number], [number, number, string]>(
      'SELECT m.id, c.group_id, m.text FROM messages m JOIN chats c ON c.id = m.chat_id WHERE m.id > ? ORDER BY m.id LIMIT 10000',
    )
    .raw();
  for (let page = all.all(0); page.length > 0; page = all.all(page.at(-1)?.[0] ?? MESSAGES)) {
    for (const [id, group, text] of page) {
      const [, said = '', number = ''] = /^(.*) (nr\d+)$/.exec(text) ?? [];
      const own = [...(known.get(said) ?? []), number, `${number.slice(0, 3)}~`];
      put.run(id, own.map((term) => scoped(group, term)).join(' '));
    }
  }
  join(1_000_000);
  joinedAtOnce(4);
}

/** A history that was summed up, the last thing of it; files of what people sent; histories of tasks. */
function writeFiles(home: string): void {
  const sessions = join(home, 'data/sessions/main');
  const inbox = join(home, 'groups/main/inbox');
  const media = join(home, 'data/media');
  for (const folder of [sessions, inbox, media]) mkdirSync(folder, { recursive: true });
  const record = (seq: number, entry: object) => `${JSON.stringify({ seq, ts: seq, runId: 1, ...entry })}\n`;
  const text = 'What was said and read on some day of these years. '.repeat(40);
  const content = [{ type: 'text', text }];
  const turns = Array.from({ length: 14_000 }, (_, n) => [
    record(2 * n + 1, { kind: 'user', content, origin: 'messages', messageIds: [n + 1] }),
    record(2 * n + 2, { kind: 'assistant', content, model: 'm', stopReason: 'end_turn', tokens: 9_000 }),
  ]);
  const summary = record(28_001, { kind: 'compact', content: [{ type: 'text', text: 'A summary of it all.' }] });
  writeFileSync(join(sessions, 'chat1-1.jsonl'), `${turns.flat().join('')}${summary}`);
  for (let n = 0; n < 3_000; n += 1) {
    writeFileSync(join(sessions, `task${n}-${n}.jsonl`), turns[n]?.join('') ?? '');
    writeFileSync(join(inbox, `${50 * n + 3}-0-a.pdf`), text);
    if (n < 500) writeFileSync(join(media, `${50 * n + 3}-0`), text);
  }
}

/** What all homes of this code have in common. */
function nameOf(): string {
  const sources = [
    'test/bench/large-home.ts',
    ...readdirSync('src/core/migrations').map((name) => `src/core/migrations/${name}`),
  ];
  const mark = createHash('sha256');
  for (const file of sources) mark.update(readFileSync(file));
  return join(tmpdir(), `pinch-years-${mark.digest('hex').slice(0, 12)}`);
}

/** A copy of the home. `empty` is one in which a daemon was for a moment; `chat` the address of the person on Telegram. */
export function largeHome(empty: string, chat: string): string {
  const made = nameOf();
  if (!existsSync(made)) {
    const began = performance.now();
    const part = `${made}.part`;
    rmSync(part, { recursive: true, force: true });
    cpSync(empty, part, { recursive: true });
    // One of today's is not made again.
    rmSync(join(part, 'data/backups'), { recursive: true });
    writeRows(join(part, 'data/pinch.db'), chat);
    writeFiles(part);
    renameSync(part, made);
    console.log(`The home of five years was made in ${((performance.now() - began) / 1_000).toFixed(0)} s: ${made}`);
  }
  const home = newHome();
  cpSync(made, home, { recursive: true });
  return home;
}
