// Rows that no schema takes, planted in every table that a loop reads: the loops start, the others go on, and the owner is told once of each.
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { createApprovals } from '../approvals/approvals.js';
import { createOwnerNotices } from '../delivery/notices.js';
import { openStore, type Store } from '../store.js';
import { startScheduler } from '../tasks/scheduler.js';
import { createTasks } from '../tasks/tasks.js';
import { tellBadRows } from './bad-rows.js';

const log = pino({ level: 'silent' });
const MINUTE = 60_000;
let store: Store;
let clock: FakeClock;
let chat: ReturnType<Store['groups']['seenChat']>;

beforeEach(() => {
  store = openStore(':memory:');
  clock = createFakeClock();
  const main = store.groups.ensure('main', true, 1);
  const seen = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: 1 });
  store.groups.assignChat(seen.id, main.id);
  chat = { ...seen, groupId: main.id };
  tellBadRows({ store, notifyOwner: createOwnerNotices({ store, clock, ownerChat: () => chat }) });
});

const spoil = (sql: string) => store.statements.run<[]>(sql)();
const told = async () => {
  await new Promise(setImmediate);
  return store.outbox
    .list(99)
    .filter(({ key }) => key.startsWith('notice:bad-row:'))
    .map(({ key }) => key)
    .sort();
};
const tasks = () => createTasks({ store, clock, config: { timeZone: 'UTC' } });
const scheduler = () =>
  startScheduler({
    ...{ store, clock, log, timeZone: 'UTC' },
    stopSwitch: { stopped: () => false },
    notifyOwner: () => undefined,
  });
const approvals = () =>
  createApprovals({ store, clock, config: { timeZone: 'UTC' }, ownerChat: () => chat, stopped: () => false });

test.each([
  ['starts', `'{"kind":"moon"}'`],
  ['starts', `'{'`],
  ['options', `'{"context":"nobody"}'`],
])('tasks: one with such %s does not stop the others, nor the slots that wait', async (column, value) => {
  const [bad, good] = [1, 2].map((n) => tasks().add({ prompt: `do ${n}`, every: '5m' }, chat).id);
  scheduler();
  await clock.advance(5 * MINUTE);
  spoil(`UPDATE tasks SET ${column} = ${value} WHERE id = ${bad}`);
  spoil(`UPDATE slots SET state = 'waiting' WHERE task_id = ${bad}`);
  spoil(`UPDATE runs SET state = 'done'`);
  scheduler();
  await clock.advance(30 * MINUTE);
  expect(store.tasks.slotsOf(good ?? 0, 99).length).toBeGreaterThan(1);
  expect(await told()).toEqual([`notice:bad-row:tasks:${bad}`]);
});

test('approvals: one that is over and cannot be read does not spin the timer, the others end in time', async () => {
  const made = approvals();
  const ask = made.kind({ name: 'k', input: z.object({ n: z.number() }), maxOpen: 9, carryOut: () => 'done' });
  const [bad, good] = [1, 2].map((n) => ask({ groupId: null, subject: `s${n}`, input: { n } }).id);
  spoil(`UPDATE approvals SET input = '[' WHERE id = ${bad}`);
  approvals().start();
  await clock.advance(25 * 60 * MINUTE);
  expect(store.approvals.get(good ?? 0)?.state).toBe('expired');
  expect(() => made.decide(bad ?? 0, { decision: 'allow', by: 'x' })).toThrow('there is no approval');
  spoil(`UPDATE approvals SET state = 'allowed' WHERE id = ${bad}`);
  approvals().start();
  expect(await told()).toEqual([`notice:bad-row:approvals:${bad}`]);
});

test('accounts, sites and tools: what cannot be read is not there, and is told once however often it is read', async () => {
  spoil(`INSERT INTO service_clients VALUES ('s', 'c', 'id', NULL, 'magic', 'https://a.example', NULL, NULL, 0, 1)`);
  spoil(`INSERT INTO egress_rules (host, ports, created_at) VALUES ('a.example', 'all', 1), ('b.example', '[443]', 1)`);
  for (let time = 0; time < 3; time++) {
    expect(store.serviceClients.get('s', 'c')).toBeUndefined();
    expect(store.serviceClients.all()).toEqual([]);
    expect(store.egress.of(chat.groupId ?? 0, 1).map(({ host }) => host)).toEqual(['b.example']);
    expect(store.egress.find(null, 'a.example', true)).toBeUndefined();
  }
  expect(await told()).toEqual(['notice:bad-row:egress_rules:1', 'notice:bad-row:service_clients:']);
});

test('a notice is not lost with the work that came upon the row', async () => {
  spoil(`INSERT INTO egress_rules (host, ports, created_at) VALUES ('a.example', 'all', 1)`);
  const work = () =>
    store.transaction(() => {
      store.egress.all();
      throw new RangeError('no');
    });
  expect(work).toThrow(RangeError);
  expect(await told()).toEqual(['notice:bad-row:egress_rules:1']);
});
