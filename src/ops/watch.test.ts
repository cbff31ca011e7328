import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import type { Signals } from '../core/signals.js';
import { openStore, type Store } from '../store.js';
import { startWatch } from './watch.js';

const MINUTE_MS = 60_000;
let store: Store;
let clock: FakeClock;
let signals: Signals;
let watch: ReturnType<typeof startWatch>;
let lines: Record<string, unknown>[];
let rings: number;
let paused: boolean;
let ids: { groupId: number; chatId: number };

beforeEach(() => {
  store = openStore(':memory:');
  clock = createFakeClock();
  signals = store.signals;
  [lines, rings, paused] = [[], 0, false];
  const groupId = store.groups.ensure('family', false, 1).id;
  const chat = store.groups.seenChat({ channel: 'web', address: '1', kind: 'direct', title: '', now: 1 });
  ids = { groupId, chatId: chat.id };
  const log = pino({}, { write: (line) => lines.push(JSON.parse(line)) });
  watch = startWatch({ store, clock, log, paused: () => paused, canHost: () => true });
  signals.on('run:ready', () => {
    rings += 1;
  });
});

afterEach(() => {
  watch.stop();
  store.close();
});

const enqueue = (session: string, runAt = clock.now()) =>
  store.runs.enqueue({ ...ids, key: `k:${session}:${runAt}`, kind: 'message', session, runAt, now: clock.now() });
const claim = () => store.runs.claim({ holder: 'me', now: clock.now(), excludeGroups: [] });
const logged = (msg: string) => lines.filter((line) => line.msg === msg);
const unclaimed = () => logged('due runs are not claimed');

function block(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; );
}

/** Looks are 30 s apart; a step is shorter than what counts as a sleep of the machine. */
async function pass(minutes: number): Promise<void> {
  for (let step = 0; step < minutes * 2; step += 1) await clock.advance(MINUTE_MS / 2);
}

test('a stall of the event loop is logged with the runs that were being worked on', async () => {
  enqueue('s1');
  const id = claim()?.id;
  signals.emit('run:started', id ?? 0);
  await sleep(250);
  block(1_300);
  await sleep(150);
  await pass(0.5);
  expect(logged('event loop stalled')).toEqual([expect.objectContaining({ working: [id] })]);
  expect(Number(logged('event loop stalled')[0]?.stallMs)).toBeGreaterThanOrEqual(1_200);
  await pass(0.5);
  expect(logged('event loop stalled')).toHaveLength(1);
});

test('a stall is not forgotten when its run is over before anybody looked', async () => {
  enqueue('s1');
  const run = claim();
  signals.emit('run:started', run?.id ?? 0);
  await sleep(250);
  block(1_300);
  await sleep(150);
  store.runs.finish({ id: run?.id ?? 0, holder: 'me', attempt: 1 }, 'done', clock.now());
  signals.emit('run:ended', run?.id ?? 0);
  await pass(0.5);
  expect(logged('event loop stalled')).toEqual([expect.objectContaining({ working: [] })]);
});

test('without a run nothing is measured, and a busy loop is still known', async () => {
  await pass(0.5);
  lines = [];
  await sleep(1_500);
  await pass(0.5);
  expect(lines).toEqual([]);
  block(1_300);
  await pass(0.5);
  expect(lines).toEqual([expect.objectContaining({ msg: 'event loop busy without a run' })]);
});

test('a due run that nobody claims is told once, after five minutes, and the queue is rung', async () => {
  const id = enqueue('s1');
  enqueue('later', clock.now() + 60 * MINUTE_MS);
  await pass(4.5);
  expect([unclaimed(), rings]).toEqual([[], 0]);
  await pass(3);
  expect(unclaimed()).toEqual([expect.objectContaining({ runs: [id], working: [], room: true })]);
  expect(rings).toBeGreaterThan(1);
  claim();
  const second = enqueue('s2');
  await pass(6);
  expect(unclaimed().slice(1)).toEqual([expect.objectContaining({ runs: [second], working: [id] })]);
});

function pause(): void {
  paused = true;
}

test.each<[string, () => void]>([
  ['everything is paused', pause],
  ['its session works', () => void claim()],
  ['its group is parked', () => void store.groups.park(ids.groupId, 'auth', clock.now() + 60 * MINUTE_MS)],
])('a run that waits because %s is no stall', async (_why, arrange) => {
  enqueue('s1');
  arrange();
  enqueue('s1', clock.now() + 1);
  await pass(10);
  expect(unclaimed()).toEqual([]);
});

test('after the machine slept, the queue looks first', async () => {
  enqueue('s1');
  const slept = clock.now() + 8 * 60 * MINUTE_MS;
  clock.now = () => slept;
  await clock.advance(MINUTE_MS / 2);
  expect(unclaimed()).toEqual([]);
});
