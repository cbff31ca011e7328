// Years of rows, planted: what is over goes, what somebody needs stays, nothing takes long, and a kill in the middle costs nothing.
import { existsSync, mkdirSync, mkdtempSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { unwatched } from '../core/begun.js';
import { openStore, type Store } from '../store.js';
import { passOnce, startRetention } from './sweep.js';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2031, 0, 15);
const daysAgo = (days: number) => NOW - days * DAY_MS;
const log = pino({ level: 'silent' });
const clock = { now: () => NOW, random: () => 0.5, sleep: async () => undefined };

let home: string;
let file: string;
let store: Store;
let sql: Database.Database;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pinch-keep-'));
  file = join(home, 'pinch.db');
  store = openStore(file);
  sql = new Database(file);
  sql.exec(`INSERT INTO groups (id, folder, is_main, created_at) VALUES (1, 'main', 1, 1);
    INSERT INTO chats (id, channel, address, kind, title, group_id, created_at, last_seen_at) VALUES (1, 'web', 'owner', 'direct', 'Web', 1, 1, 1)`);
});

const config = () => ({ dataDir: home, groupsDir: join(home, 'groups'), keepDays: 90, keepMessagesDays: 0 });
const forget = (changed: Partial<ReturnType<typeof config>> = {}, signal = new AbortController().signal) =>
  passOnce({ store, clock, log, config: { ...config(), ...changed } }, signal);

function plantRun(id: number, at: number, more: Record<string, string | number | null> = {}): void {
  const row = {
    id,
    key: `k${id}`,
    kind: 'message',
    group_id: 1,
    chat_id: 1,
    session: 'chat1-1',
    state: 'done',
    run_at: at,
    created_at: at,
    finished_at: at,
    ...more,
  };
  const names = Object.keys(row);
  sql.prepare(`INSERT INTO runs (${names}) VALUES (${names.map((name) => `@${name}`)})`).run(row);
}
const plantMessage = (id: number, at: number, media = '[]') =>
  sql
    .prepare(
      `INSERT INTO messages (id, chat_id, direction, platform_id, sender_name, text, media, sent_at, received_at) VALUES (?, 1, 'in', ?, 'Anna', ?, ?, ?, ?)`,
    )
    .run(id, `p${id}`, `text number${id}`, media, at, at);
const carry = (run: number, message: number) =>
  sql.prepare('INSERT INTO run_messages (run_id, message_id) VALUES (?, ?)').run(run, message);
const plantOut = (id: number, runId: number | null, at: number, state = 'sent') =>
  sql
    .prepare(
      `INSERT INTO outbox (id, key, chat_id, run_id, text, state, next_at, created_at, sent_at) VALUES (?, ?, 1, ?, 'out', ?, ?, ?, ?)`,
    )
    .run(id, `o${id}`, runId, state, at, at, state === 'sent' ? at : null);
const plantTask = (id: number) =>
  sql.exec(
    `INSERT INTO tasks (id, key, group_id, chat_id, title, prompt, starts, options, created_at) VALUES (${id}, 't${id}', 1, 1, 't', 'p', '{}', '{}', 1)`,
  );
/** A file of the home that was written so many days ago. */
function plantFile(name: string, days: number): void {
  mkdirSync(dirname(join(home, name)), { recursive: true });
  writeFileSync(join(home, name), 'x');
  utimesSync(join(home, name), daysAgo(days) / 1_000, daysAgo(days) / 1_000);
}
const isThere = (name: string) => existsSync(join(home, name));
const ids = (table: string) => sql.prepare(`SELECT id FROM ${table} ORDER BY id`).pluck().all();
const count = (table: string) => sql.prepare(`SELECT count(*) FROM ${table}`).pluck().get();

describe('what is over goes', () => {
  test('runs with all that belongs to them; messages and sums stay', async () => {
    sql.exec(`INSERT INTO costs VALUES ('2020-01-01', 1, 0, 'm', 1, 1, 1, 5)`);
    for (const [id, days] of [
      [1, 400],
      [2, 91],
      [3, 89],
    ] as const) {
      plantMessage(id, daysAgo(days));
      plantRun(id, daysAgo(days));
      carry(id, id);
      plantOut(id, id, daysAgo(days));
      sql.exec(`INSERT INTO events (run_id, at, kind) VALUES (${id}, 1, 'claimed')`);
      sql.exec(`INSERT INTO model_calls (group_id, run_id, at, model, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
        cost_micro_usd, estimated, status, duration_ms) VALUES (1, ${id}, ${daysAgo(days)}, 'm', 1, 1, 0, 0, 0, 5, 0, 200, 1)`);
      sql.exec(`INSERT INTO messages (id, chat_id, direction, platform_id, sender_name, text, sent_at, received_at, run_id, outbox_id)
        VALUES (${id + 100}, 1, 'out', 'o${id}', 'Pinch', 'out', 1, ${daysAgo(days)}, ${id}, ${id})`);
    }
    const spent = store.usage.byDay('2000-01-01', '2040-01-01', null);
    await forget();
    for (const table of ['runs', 'outbox']) expect(ids(table), table).toEqual([3]);
    for (const table of ['events', 'model_calls', 'run_messages']) expect(count(table), table).toBe(1);
    expect(count('messages')).toBe(6);
    expect(store.usage.byDay('2000-01-01', '2040-01-01', null)).toEqual(spent);
    expect(sql.pragma('foreign_key_check')).toEqual([]);
  });

  test('a message whose run is gone is not given to the next run', async () => {
    plantMessage(1, daysAgo(200));
    plantMessage(2, daysAgo(200));
    plantRun(1, daysAgo(200));
    carry(1, 2);
    plantMessage(3, daysAgo(1));
    await forget();
    plantRun(2, NOW, { state: 'ready', finished_at: null });
    expect(store.runs.attachMessages(2, 1, 3)).toBe(1);
    expect(store.messages.ofRun(2).map(({ id }) => id)).toEqual([3]);
  });

  test('answers and notices of no run, model calls of none, decided approvals with what they carried', async () => {
    plantOut(1, null, daysAgo(100));
    plantOut(2, null, daysAgo(100), 'dead');
    plantOut(3, null, daysAgo(10));
    for (const [id, kind] of [
      [1, 'service'],
      [2, 'register'],
    ])
      sql.exec(`INSERT INTO approvals (id, kind, state, subject, detail, input, hash, created_at, expires_at, decided_at)
        VALUES (${id}, '${kind}', 'denied', 's', 'd', '{}', 'h${id}', ${daysAgo(200)}, 1, ${daysAgo(199)})`);
    sql.exec(`INSERT INTO service_bodies VALUES (1, x'00')`);
    await forget();
    expect([ids('outbox'), ids('approvals'), count('service_bodies')]).toEqual([[3], [2], 0]);
  });

  test('slots, but never the last one that a task which comes after it reads', async () => {
    plantTask(1);
    plantTask(2);
    plantRun(1, daysAgo(300), { kind: 'task', task_id: 1 });
    const slot = sql.prepare(
      'INSERT INTO slots (task_id, slot_at, state, run_id, created_at, ended_at) VALUES (?, ?, ?, ?, ?, ?)',
    );
    for (const days of [500, 400, 300])
      slot.run(1, daysAgo(days), 'done', days === 300 ? 1 : null, daysAgo(days), daysAgo(days));
    slot.run(1, daysAgo(290), 'skipped', null, daysAgo(290), daysAgo(290));
    slot.run(2, daysAgo(500), 'waiting', null, daysAgo(500), null);
    await forget();
    expect(count('runs')).toBe(0);
    expect(sql.prepare('SELECT task_id, slot_at FROM slots ORDER BY task_id, slot_at').raw().all()).toEqual([
      [1, daysAgo(300)],
      [1, daysAgo(290)],
      [2, daysAgo(500)],
    ]);
    expect(store.tasks.lastState(1, NOW)).toBe('done');
  });

  test('marks of sessions that nobody goes on in', async () => {
    plantRun(1, daysAgo(10), { session: 'task1-5' });
    for (const session of ['task1-4', 'task1-5', 'chat1-1', 'replay-1-1'])
      sql.exec(`INSERT INTO taints VALUES ('${session}', 1, 'mail', 1, ${daysAgo(200)})`);
    sql.exec(
      `UPDATE chats SET session_number = 2; INSERT INTO taints VALUES ('chat1-2', 1, 'mail', 1, ${daysAgo(200)})`,
    );
    await forget();
    expect(sql.prepare('SELECT session FROM taints ORDER BY session').pluck().all()).toEqual(['chat1-2', 'task1-5']);
  });

  test('keys of accounts that were linked anew, never those of the account that is linked', async () => {
    const [before, lately] = [daysAgo(40), daysAgo(20)];
    const put = sql.prepare('INSERT INTO channel_auth VALUES (?, ?, ?, ?, ?)');
    for (const channel of ['telegram', 'whatsapp', `whatsapp@${before}`, `whatsapp@${lately}`])
      for (let id = 0; id < 250; id += 1) put.run(channel, 'session', `s${id}`, '{}', before);
    await forget({ keepDays: 0 });
    expect(sql.prepare('SELECT channel, count(*) FROM channel_auth GROUP BY channel').raw().all()).toEqual([
      ['telegram', 250],
      ['whatsapp', 250],
      [`whatsapp@${lately}`, 250],
    ]);
  });

  test('for ever means for ever', async () => {
    plantRun(1, daysAgo(4_000));
    plantMessage(1, daysAgo(4_000));
    await forget({ keepDays: 0 });
    expect([count('runs'), count('messages')]).toEqual([1, 1]);
  });
});

describe('what somebody needs stays, however old it is', () => {
  test.each([
    ['it waits', () => plantRun(1, daysAgo(999), { state: 'ready', finished_at: null })],
    ['it works', () => plantRun(1, daysAgo(999), { state: 'leased', finished_at: null })],
    ['it ended lately', () => plantRun(1, daysAgo(999), { finished_at: daysAgo(3) })],
    [
      'what it said is not sent',
      () => {
        plantRun(1, daysAgo(999));
        plantOut(1, 1, daysAgo(999), 'queued');
      },
    ],
    [
      'the owner is asked about it',
      () => {
        plantRun(1, daysAgo(999));
        sql.exec(
          `INSERT INTO approvals (kind, run_id, subject, detail, input, hash, created_at, expires_at) VALUES ('send', 1, 's', 'd', '{}', 'h', 1, 1)`,
        );
      },
    ],
    [
      'its slot is open',
      () => {
        plantTask(1);
        plantRun(1, daysAgo(999), { task_id: 1 });
        sql.exec(`INSERT INTO slots (task_id, slot_at, state, run_id, created_at) VALUES (1, 1, 'running', 1, 1)`);
      },
    ],
  ])('a run: %s', async (_, plant) => {
    plant();
    plantMessage(1, daysAgo(999));
    carry(1, 1);
    await forget({ keepMessagesDays: 30 });
    expect([ids('runs'), ids('messages'), count('run_messages')]).toEqual([[1], [1], 1]);
  });

  test('a row that cannot go holds up no other', async () => {
    for (const id of [1, 2, 3]) plantRun(id, daysAgo(200));
    sql.exec(`CREATE TRIGGER poison BEFORE DELETE ON runs WHEN old.id = 2 BEGIN SELECT RAISE(ABORT, 'no'); END`);
    await forget();
    expect(ids('runs')).toEqual([2]);
  });
});

test('a row that ended Pinch twice while it was taken away is left, and known by name while that goes on', async () => {
  for (const id of [1, 2, 3]) plantRun(id, daysAgo(200));
  plantOut(7, null, daysAgo(200));
  const names: string[] = [];
  const begun = {
    ...unwatched,
    guarded<T>(name: string, work: () => T): T {
      names.push(name);
      return work();
    },
    isSetAside: (name: string) => name === 'old-row runs 2',
  };
  await passOnce({ store, clock, log, config: config(), begun }, new AbortController().signal);
  expect([ids('runs'), ids('outbox')]).toEqual([[2], []]);
  expect(names).toEqual(['old-row runs 1', 'old-row runs 3', 'old-row outbox 7']);
});

describe('messages, when the owner says so', () => {
  test('they leave the search index, their files go, and one that is delivered again is not new', async () => {
    const media = JSON.stringify([{ kind: 'document', fileName: 'a b.pdf', mimeType: 'a/b', sizeBytes: 1, ref: 'r' }]);
    plantMessage(1, daysAgo(40), media);
    plantMessage(2, daysAgo(20));
    while (store.searchIndex.step());
    const names = ['media/1-0', 'media/2-0', 'groups/main/inbox/1-0-a b.pdf', 'groups/main/inbox/2-0-own.pdf'];
    for (const name of names) plantFile(name, 1);
    await forget({ keepMessagesDays: 30 });
    expect(ids('messages')).toEqual([2]);
    expect(sql.prepare('SELECT rowid FROM messages_fts').pluck().all()).toEqual([2]);
    expect(names.filter(isThere)).toEqual(['media/2-0', 'groups/main/inbox/2-0-own.pdf']);
    const again = {
      chatId: 1,
      direction: 'in' as const,
      senderId: null,
      senderName: 'Anna',
      text: 'text',
      sentAt: 1,
      now: NOW,
    };
    expect(store.messages.add({ ...again, platformId: 'p1' })).toBeUndefined();
    expect(store.messages.add({ ...again, platformId: 'p3' })).toBeDefined();
  });
});

describe('files go with their rows', () => {
  test('copies of media of runs that failed or were stopped, and files of messages that are not to be sent', async () => {
    for (const [id, state] of [
      [1, 'dead'],
      [2, 'cancelled'],
      [3, 'ready'],
      [4, 'leased'],
    ] as const) {
      plantMessage(id, daysAgo(20));
      plantRun(id, daysAgo(20), { state, session: `s${id}`, finished_at: id < 3 ? daysAgo(20) : null });
      carry(id, id);
      plantFile(`media/${id}-0`, 20);
    }
    plantMessage(5, NOW);
    plantFile('media/5-0', 1);
    sql.exec(`INSERT INTO outbox (key, chat_id, text, state, next_at, created_at, file) VALUES
      ('1:a', 1, '', 'queued', 1, 1, '{}'), ('1:b', 1, '', 'dead', 1, 1, '{}')`);
    for (const key of ['1-a', '1-b']) plantFile(`outbox/${key}`, 9);
    plantFile('outbox/1-c', 0);
    await forget();
    const names = [
      'media/1-0',
      'media/2-0',
      'media/3-0',
      'media/4-0',
      'media/5-0',
      'outbox/1-a',
      'outbox/1-b',
      'outbox/1-c',
    ];
    expect(names.filter(isThere)).toEqual(['media/3-0', 'media/4-0', 'media/5-0', 'outbox/1-a', 'outbox/1-c']);
  });

  test('histories of sessions without a run, never through a link, and no history of a chat', async () => {
    const sessions = ['task1-5', 'replay-1-1', 'chat1-1', 'task2-7'];
    for (const [index, session] of sessions.entries()) {
      plantRun(index + 1, daysAgo(200), { session });
      for (const name of [`${session}.jsonl`, `${session}.archive.jsonl`]) plantFile(`sessions/main/${name}`, 200);
    }
    plantRun(9, daysAgo(2), { session: 'task2-7' });
    sql.exec(`INSERT INTO groups (id, folder, created_at) VALUES (2, 'other', 1)`);
    plantRun(10, daysAgo(200), { session: 'task3-1', group_id: 2 });
    plantFile('elsewhere/task3-1.jsonl', 200);
    symlinkSync(join(home, 'elsewhere'), join(home, 'sessions/other'));
    await forget();
    const left = [...sessions.map((session) => `sessions/main/${session}.jsonl`), 'elsewhere/task3-1.jsonl'];
    expect(left.filter(isThere)).toEqual([
      'sessions/main/chat1-1.jsonl',
      'sessions/main/task2-7.jsonl',
      'elsewhere/task3-1.jsonl',
    ]);
  });
});

/** Two years, the older half of which is over. */
function plantYears(runs: number): void {
  sql.exec(`BEGIN;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${runs})
      INSERT INTO runs (id, key, kind, group_id, chat_id, session, state, run_at, created_at, finished_at)
      SELECT i, 'k' || i, 'message', 1, 1, 'chat1-1', 'done', 1, ${daysAgo(180)} + i * ${180 * DAY_MS} / ${runs}, ${daysAgo(180)} + i * ${180 * DAY_MS} / ${runs} FROM n;
    INSERT INTO messages (chat_id, direction, platform_id, sender_name, text, sent_at, received_at) SELECT 1, 'in', 'p' || id, 'A', 'some words of ' || id, 1, created_at FROM runs;
    INSERT INTO run_messages (run_id, message_id) SELECT id, id FROM runs;
    INSERT INTO events (run_id, at, kind, detail) SELECT r.id, 1, 'tool_started', printf('{"text":"%0200d"}', 1) FROM runs r, (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5);
    INSERT INTO events (run_id, at, kind) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT 1, 1, 'x' FROM n;
    INSERT INTO outbox (key, chat_id, run_id, text, state, next_at, created_at, sent_at) SELECT 'o' || id, 1, id, 'answer', 'sent', 1, created_at, created_at FROM runs;
    COMMIT`);
}

test('no step holds the process for more than 10 ms, one run with 20,000 events included', {
  timeout: 120_000,
}, async () => {
  plantYears(20_000);
  const steps: number[] = [];
  const measured = {
    ...store,
    unhurried<T>(work: () => T): T {
      const before = process.cpuUsage();
      const result = store.unhurried(work);
      const { user, system } = process.cpuUsage(before);
      steps.push((user + system) / 1_000);
      return result;
    },
  };
  await passOnce(
    { store: measured, clock, log, config: { ...config(), keepMessagesDays: 30 } },
    new AbortController().signal,
  );
  steps.sort((a, b) => a - b);
  const at = (part: number) => steps[Math.floor(steps.length * part)] ?? 0;
  console.log(`${steps.length} steps, CPU ms: half ${at(0.5)}, 99 % ${at(0.99)}, longest ${steps.at(-1)}`);
  expect([count('runs'), count('messages')]).toEqual([10_001, 10_001]);
  // A compiler or a collector that begins in the middle of one is none of its work.
  expect(at(0.99)).toBeLessThan(10);
});

test('ended anywhere, the next pass goes on where rows are left, and nothing refers to what is gone', {
  timeout: 60_000,
}, async () => {
  plantYears(400);
  for (let pass = 1; count('runs') !== 201; pass++) {
    const over = new AbortController();
    let left = 5 + (pass % 7);
    const dying = { ...clock, sleep: async () => void (left-- > 0 || over.abort()) };
    await passOnce({ store, clock: dying, log, config: config() }, over.signal);
    expect(sql.pragma('foreign_key_check')).toEqual([]);
    // Whatever is young is whole.
    expect(
      sql
        .prepare('SELECT count(*) FROM events e JOIN runs r ON r.id = e.run_id WHERE r.created_at >= ?')
        .pluck()
        .get(daysAgo(90)),
    ).toBe(201 * 5);
    store.close();
    store = openStore(file);
  }
});

describe('a clock that is far ahead', () => {
  const looks: number[] = [];
  let now: number;
  /** Runs the loop for so many looks. */
  async function run(most: number): Promise<void> {
    looks.length = 0;
    const over = new Promise<void>((resolve) => {
      const sleep = async (ms: number) => {
        looks.push(ms);
        if (looks.length <= most) return;
        resolve();
        await new Promise(() => undefined);
      };
      startRetention({ store, log, config: config(), clock: { now: () => now, sleep } });
    });
    await over;
  }

  test('takes nothing away at once, only when it still says so later', async () => {
    plantRun(1, daysAgo(1));
    now = NOW;
    await run(1);
    now = NOW + 3_000 * DAY_MS;
    await run(1);
    expect(count('runs')).toBe(1);
    now = NOW;
    await run(1);
    now = NOW + 3_000 * DAY_MS;
    await run(3);
    expect(count('runs')).toBe(0);
  });
});

test('of each memory file the newest versions stay, however old; of one that was deleted long ago none, and texts go with the last of them', async () => {
  const version = (path: string, text: string | null, at: number) => {
    const state = text === null ? ('deleted' as const) : ('kept' as const);
    const about = { groupId: 1, path, state, hash: text, bytes: 1, author: 'outside' as const, runId: null };
    store.memory.add({ ...about, restores: null, sources: [], secrets: [], at }, text);
  };
  for (let n = 0; n < 30; n += 1) version('CLAUDE.md', `v${n}`, daysAgo(300 - n));
  version('memory/long-gone.md', 'old', daysAgo(200));
  version('memory/long-gone.md', null, daysAgo(100));
  version('memory/gone.md', 'old', daysAgo(200));
  version('memory/gone.md', null, daysAgo(10));
  store.memory.addRestore({ groupId: 1, chatId: null, items: [], now: daysAgo(100) });
  store.memory.addRestore({ groupId: 1, chatId: null, items: [], now: daysAgo(100) });
  store.memory.endRestore(1, 'done', null);
  await forget({ keepDays: 0 });
  expect(store.memory.ofFile(1, 'CLAUDE.md', 100)).toHaveLength(30);
  await forget();
  expect(store.memory.ofFile(1, 'CLAUDE.md', 100)).toHaveLength(20);
  expect(store.memory.newest(1, 'CLAUDE.md')?.hash).toBe('v29');
  expect([store.memory.content('v9'), store.memory.content('v10')]).toEqual([undefined, 'v10']);
  expect(store.memory.ofFile(1, 'memory/long-gone.md', 100)).toEqual([]);
  expect(store.memory.ofFile(1, 'memory/gone.md', 100)).toHaveLength(2);
  expect(store.memory.bytes(1)).toBe(22);
  expect([store.memory.restore(1), store.memory.restore(2)?.state]).toEqual([undefined, 'waiting']);
});
