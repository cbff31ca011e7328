// Two rules that do not meet: how often the host may die while a runner has a run, and how often a run may fail.
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { openStore, type Store } from '../store.js';
import type { ErrorClass } from '../wire.js';
import { recordOutcome } from './outcome.js';

const clock = createFakeClock();
let store: Store;
let id: number;

beforeEach(() => {
  store = openStore(':memory:');
  const group = store.groups.ensure('main', true, 1);
  const chat = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: 1 });
  store.groups.assignChat(chat.id, group.id);
  id = enqueue('k', { groupId: group.id, chatId: chat.id }) ?? 0;
});

const enqueue = (key: string, where: { groupId: number; chatId: number }) =>
  store.runs.enqueue({ key, kind: 'task', ...where, session: key, runAt: 1, now: 1 });
const claim = (holder: string) => store.runs.claim({ holder, now: Number.MAX_SAFE_INTEGER, excludeGroups: [] });

function cutOff(times: number): void {
  for (let restart = 1; restart <= times; restart++) {
    claim(`p${restart}`);
    store.runs.handOver(id, []);
    store.runs.releaseForeignLeases(`p${restart + 1}`, 1);
  }
}

function fail(errorClass: ErrorClass): string | undefined {
  const run = claim('me');
  if (!run) throw new Error('not claimed');
  const log = pino({ level: 'silent' });
  const fallback = { afterFailure: (_: number, known: ErrorClass) => ({ errorClass: known }) };
  const guard = { note: () => undefined };
  const deps = { store, clock, log, fallback, guard, leaseHolder: 'me', notifyOwner: () => undefined };
  recordOutcome(deps, run, { outcome: 'failed', errorClass, message: 'no' });
  return store.runs.get(id)?.state;
}

test.each<[ErrorClass, number]>([
  ['invalid_request', 2],
  ['timeout', 2],
  ['unknown', 4],
  ['crash', 8],
  ['check', 1],
])('attempts that the host cut off are no failures: of class %s a run has its %i tries all the same', (errorClass, tries) => {
  cutOff(11);
  const states = Array.from({ length: tries }, () => fail(errorClass));
  expect(states).toEqual([...Array.from({ length: tries - 1 }, () => 'ready'), 'dead']);
});

test('nor between failures, and one that the owner tries again has all of its tries', () => {
  fail('unknown');
  cutOff(5);
  fail('unknown');
  cutOff(5);
  fail('unknown');
  expect(store.runs.get(id)).toMatchObject({ state: 'ready', attempt: 13, attemptsLost: 10 });
  expect(fail('unknown')).toBe('dead');
  store.runs.revive(id, 1);
  expect([fail('unknown'), fail('unknown'), fail('unknown')]).toEqual(['ready', 'ready', 'ready']);
});

test('a run whose row or input cannot be read is dead, and the one behind it is claimed', () => {
  const { groupId, chatId } = store.runs.get(id) ?? { groupId: 0, chatId: 0 };
  const rows = ['input', 'no json', 'fine'].map((key) => enqueue(key, { groupId, chatId }) ?? 0);
  store.statements.run<[]>(
    `UPDATE runs SET input = '{"kind":"of a skill that is gone"}' WHERE id IN (${id}, ${rows[0]})`,
  )();
  store.statements.run<[]>(`UPDATE runs SET input = '{' WHERE id = ${rows[1]}`)();
  expect(claim('me')?.id).toBe(rows[2]);
  for (const bad of [id, rows[0], rows[1]])
    expect(store.runs.get(bad ?? 0)).toMatchObject({
      state: 'dead',
      leaseOwner: null,
      error: 'its row cannot be read',
    });
  expect(claim('me')).toBeUndefined();
});
