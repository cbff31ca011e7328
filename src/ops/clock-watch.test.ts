// A clock that jumps must freeze nothing and expire nothing. Every time of the schema is either corrected, or named here with the reason why not.
import Database from 'better-sqlite3';
import { pino } from 'pino';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { createApprovals } from '../approvals/approvals.js';
import { systemClock } from '../core/clock.js';
import { migrate } from '../core/db.js';
import { openStore, type Store } from '../store.js';
import { createClockWatch, PLANNED } from './clock-watch.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 10, 21, 9);

/** Times that nothing waits for, and numbers whose names only look like times. */
const LEFT: Record<string, string> = {
  'tasks.next_at': 'computed anew by the scheduler',
  'slots.slot_at': 'the name of a slot',
  'chats.context_after': 'a message',
  'chats.attached_to': 'a message',
  'forgotten_messages.forgotten_at': 'when it may be forgotten altogether, a year later or two',
  ...Object.fromEntries(
    [
      'groups.created_at chats.created_at chats.last_seen_at messages.sent_at messages.received_at runs.created_at',
      'runs.started_at runs.finished_at events.at outbox.sent_at model_calls.at channel_auth.updated_at tasks.created_at',
      'slots.created_at slots.ended_at egress_rules.created_at approvals.decided_at taints.at page_sessions.created_at',
      'held_chats.held_at pauses.paused_at service_tokens.connected_at service_clients.made_at suspects.seen_at set_aside.at progress.at',
      'memory_versions.at memory_restores.created_at',
    ].flatMap((line) => line.split(' ').map((name) => [name, 'only told'])),
  ),
  'runs.outage_told_at': 'only whether it is there counts',
};

let clock: FakeClock;
let store: Store;
let watch: ReturnType<typeof createClockWatch>;
const log = pino({ level: 'silent' });

beforeEach(() => {
  clock = createFakeClock(START);
  store = openStore(':memory:');
  watch = start();
});

function start() {
  const made = createClockWatch({ store, clock, log });
  made.start();
  return made;
}

test('every time of the schema is corrected, or named as one that nothing waits for', () => {
  const db = new Database(':memory:');
  migrate(db, new URL('../core/migrations/', import.meta.url));
  const columns = db
    .prepare<[], string>(
      `SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND c.type = 'INTEGER'`,
    )
    .pluck()
    .all()
    .filter((name) => /[._](at|until|since|before|after|from|to|due|expires|expiry|time|deadline)$/.test(name));
  const known = [...PLANNED.map(({ table, column }) => `${table}.${column}`), ...Object.keys(LEFT)];
  expect(columns.filter((name) => !known.includes(name))).toEqual([]);
  expect(known.filter((name) => !columns.includes(name))).toEqual([]);
});

/** One row of each table that has a time which is corrected; `at` is that time, in all of them. */
function plant(at: number): void {
  const { run } = store.statements;
  const main = store.groups.ensure('main', true, START);
  const chat = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: START });
  const rows = [
    `UPDATE groups SET parked_class = 'auth', parked_until = ?1`,
    `INSERT INTO runs (key, kind, group_id, chat_id, session, run_at, created_at, restart_told_at)
     VALUES ('k', 'message', ${main.id}, ${chat.id}, 's', ?1, 1, ?1)`,
    `INSERT INTO outbox (key, chat_id, text, state, buttons_over, next_at, created_at)
     VALUES ('q', ${chat.id}, 'x', 'queued', 0, ?1, ?1), ('b', ${chat.id}, 'x', 'sent', 1, ?1, ?1)`,
    `INSERT INTO approvals (kind, subject, detail, input, hash, created_at, expires_at) VALUES ('k', 's', 'd', '{}', 'h', ?1, ?1)`,
    `INSERT INTO egress_rules (host, until, created_at) VALUES ('a.example', ?1, 1)`,
    `INSERT INTO egress_bytes VALUES (${main.id}, ?1, 5)`,
    `INSERT INTO silent_streaks VALUES ('chat:1', 1, 1, ?1)`,
    `INSERT INTO taints VALUES ('s', ${main.id}, 'a page', 1, ?1)`,
    `INSERT INTO page_sessions (hash, created_at, expires_at) VALUES ('h', 1, ?1)`,
    `INSERT INTO service_tokens (service, client, access_token, expires_at, connected_at) VALUES ('s', 'c', 't', ?1, 1)`,
  ];
  for (const row of rows) run<[at: number]>(row)(at);
}

/** By table, column and condition. */
const times = () =>
  PLANNED.map(({ table, column, where = 'true' }) =>
    store.statements.value<[], number>(`SELECT ${column} FROM ${table} WHERE ${where}`)(),
  );

describe('a clock that is set back', () => {
  test.each([
    ['an hour', HOUR],
    ['two days', 2 * DAY],
    ['five years', 5 * 365 * DAY],
  ])('by %s: what waits for a time waits as long as it was to', async (_name, ms) => {
    plant(START + 10 * MINUTE);
    const heard: string[] = [];
    for (const signal of ['run:ready', 'outbox', 'task', 'clock'] as const)
      store.signals.on(signal, () => heard.push(signal));
    clock.set(START - ms);
    await clock.advance(MINUTE);
    // It is noticed half a minute later.
    expect(times()).toEqual(PLANNED.map(() => START - ms + 10 * MINUTE + MINUTE / 2));
    expect(heard.sort()).toEqual(['clock', 'outbox', 'run:ready', 'task']);
  });

  test('while Pinch was not there, or was killed', () => {
    plant(START + 10 * MINUTE);
    clock.set(START - DAY);
    watch = start();
    expect(times()).toEqual(PLANNED.map(() => START - DAY + 10 * MINUTE));
  });

  test('is corrected once: a second start and what was planned since stay as they are', async () => {
    clock.set(START - DAY);
    await clock.advance(MINUTE);
    plant(clock.now() + HOUR);
    const planned = times();
    watch.stop();
    watch = start();
    expect(times()).toEqual(planned);
  });

  test('by less than clocks are adjusted all the time changes nothing', async () => {
    plant(START + 10 * MINUTE);
    clock.set(START - 3_000);
    await clock.advance(MINUTE);
    expect(new Set(times())).toEqual(new Set([START + 10 * MINUTE]));
  });

  test('does not hold up a timer of this process for longer than it was to wait', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const fired = new Promise<void>((resolve) => systemClock.at(Date.now() + 50, resolve));
      vi.setSystemTime(Date.now() - DAY);
      await fired;
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a machine that slept, or Pinch that was stopped', () => {
  const config = { timeZone: 'UTC' };
  function ask() {
    const seen = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: START });
    const deps = { store, clock, config, ownerChat: () => seen, stopped: () => false, lookAtClock: watch.look };
    const approvals = createApprovals(deps);
    approvals.start();
    return approvals;
  }
  const expiry = () => store.statements.value<[], number>(`SELECT expires_at FROM approvals WHERE kind = 'k'`)();
  const state = () => store.statements.value<[], string>(`SELECT state FROM approvals WHERE kind = 'k'`)();

  test('what waits for an answer waits on, and ends when its time with us is over', async () => {
    plant(START + HOUR);
    ask();
    clock.set(START + 3 * DAY);
    await clock.advance(MINUTE);
    expect(state()).toBe('open');
    expect(expiry()).toBe(START + 3 * DAY + HOUR);
    for (let minute = 0; minute < 61; minute++) await clock.advance(MINUTE);
    expect(state()).toBe('expired');
  });

  test('what was over before stays over', async () => {
    plant(START + HOUR);
    for (let minute = 0; minute < 61; minute++) await clock.advance(MINUTE);
    clock.set(START + 3 * DAY);
    await clock.advance(MINUTE);
    expect(expiry()).toBe(START + HOUR);
  });

  test('a message that could not be sent does not grow old, and what was allowed for a time ends all the same', async () => {
    plant(START + HOUR);
    store.statements.run<[]>(`UPDATE outbox SET created_at = ${START - HOUR}`)();
    watch.stop();
    clock.set(START + 4 * DAY);
    watch = start();
    const at = (column: string) => times()[PLANNED.findIndex((one) => `${one.table}.${one.column}` === column)];
    expect(at('outbox.created_at')).toBe(START + 4 * DAY - HOUR);
    expect([at('egress_rules.until'), at('page_sessions.expires_at')]).toEqual([START + HOUR, START + HOUR]);
  });
});
