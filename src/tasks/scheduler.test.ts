import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { whenBusy } from '../../test/limits.js';
import { dayName } from '../core/day.js';
import type { Signals } from '../core/signals.js';
import type { Chat } from '../core/types.js';
import { openStore, type Store } from '../store.js';
import type { TaskInput } from '../wire.js';
import { startScheduler } from './scheduler.js';
import { createTasks, type Tasks } from './tasks.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** 21 November 2026, 09:00 UTC. */
const START = Date.UTC(2026, 10, 21, 9);

let store: Store;
let clock: FakeClock;
let signals: Signals;
let tasks: Tasks;
let chat: Chat;
let notices: string[];
let stopped: boolean;
let scheduler: { stop(): void };

beforeEach(() => {
  store = openStore(':memory:');
  clock = createFakeClock(START);
  const group = store.groups.ensure('main', true, START);
  const seen = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: START });
  store.groups.assignChat(seen.id, group.id);
  chat = { ...seen, groupId: group.id };
  notices = [];
  stopped = false;
  start();
});

/** A process that begins to run, on whatever the one before left. */
function start(): void {
  signals = store.signals;
  tasks = createTasks({ store, clock, config: { timeZone: 'UTC' } });
  scheduler = startScheduler({
    store,
    clock,
    log: pino({ level: 'silent' }),
    timeZone: 'UTC',
    stopSwitch: { stopped: () => stopped },
    notifyOwner: (_key, text) => notices.push(text),
  });
}

/** The process is gone for so long. */
async function downFor(ms: number): Promise<void> {
  scheduler.stop();
  await clock.advance(ms);
  start();
}

const add = (input: Partial<TaskInput>) => tasks.add({ prompt: 'do it', every: '5m', ...input }, chat);
const slots = (id: number) =>
  store.tasks.slotsOf(id, 100).map(({ slotAt, state, count }) => {
    const time = new Date(slotAt).toISOString().slice(11, 16);
    return `${time} ${state}${count > 1 ? ` ×${count}` : ''}`;
  });
const open = () => store.runs.list('ready', 1_000);

/** Works on the oldest run and ends it. */
function work(end: 'done' | 'dead' | 'cancelled' = 'done'): void {
  const run = store.runs.claim({ holder: 'me', now: clock.now(), excludeGroups: [] });
  if (!run) throw new Error('there is no run');
  const lease = { id: run.id, holder: 'me', attempt: run.attempt };
  if (end === 'dead') store.runs.dead(lease, { now: clock.now(), errorClass: 'unknown', error: 'it broke' });
  else store.runs.finish(lease, end, clock.now());
  signals.emit('run:ended', run.id);
}

describe('times', () => {
  test('each slot becomes one run, under its own key, with what it needs', async () => {
    const task = add({ every: '5m', check: 'true', timeout: '1m', attempts: 2, title: 'Five' });
    await clock.advance(5 * MINUTE);
    const [run] = open();
    expect(run).toMatchObject({ key: `task:${task.id}:${START + 5 * MINUTE}`, kind: 'task', taskId: task.id });
    expect(run?.session).toBe(`task${task.id}-${START + 5 * MINUTE}`);
    expect(store.runs.input(run?.id ?? 0)).toEqual({
      ...{ taskId: task.id, title: 'Five', prompt: 'do it', slotAt: START + 5 * MINUTE, late: false, missed: 0 },
      ...{ timeZone: 'UTC', check: 'true', attempts: 2, timeoutMs: MINUTE },
    });
    expect(slots(task.id)).toEqual(['09:05 running']);
    work();
    expect(slots(task.id)).toEqual(['09:05 done']);
    await clock.advance(10 * MINUTE - 1);
    work();
    expect(slots(task.id)).toEqual(['09:10 done', '09:05 done']);
  });

  test('a task for one time is over after it, in the conversation of its chat', async () => {
    const task = add({ every: undefined, at: 'in 5m' });
    await clock.advance(5 * MINUTE);
    expect(open()[0]?.session).toBe(`chat${chat.id}-1`);
    expect(store.tasks.get(task.id)).toMatchObject({ state: 'active', nextAt: null });
    work();
    expect(store.tasks.get(task.id)?.state).toBe('done');
    await clock.advance(24 * HOUR);
    expect(slots(task.id)).toEqual(['09:05 done']);
  });

  test('a time a year away', async () => {
    const task = add({ every: undefined, at: '2027-11-21T09:00' });
    await clock.advance(364 * 24 * HOUR);
    expect(slots(task.id)).toEqual([]);
    await clock.advance(24 * HOUR);
    expect(slots(task.id)).toEqual(['09:00 running']);
  });

  test('jitter delays the run, not the slot', async () => {
    const task = add({ jitter: '10m' });
    await clock.advance(5 * MINUTE);
    const [run] = open();
    expect(run?.runAt).toBe(START + 5 * MINUTE + Math.floor(clock.random() * 10 * MINUTE));
    expect(slots(task.id)).toEqual(['09:05 running']);
  });
});

describe('while nobody was there: three hours down with */5', () => {
  test('latest: one run, marked late, that knows of the 35 others', async () => {
    const task = add({ every: undefined, cron: '*/5 * * * *' });
    await clock.advance(1);
    await downFor(3 * HOUR + 2 * MINUTE);
    expect(slots(task.id)).toEqual(['12:00 running', '11:55 missed ×35']);
    expect(open()).toHaveLength(1);
    expect(store.runs.input(open()[0]?.id ?? 0)).toMatchObject({ slotAt: START + 3 * HOUR, late: true, missed: 35 });
    work();
    await clock.advance(3 * MINUTE);
    expect(slots(task.id)[0]).toBe('12:05 running');
  });

  test('skip: none, and 36 missed in one row', async () => {
    const task = add({ every: undefined, cron: '*/5 * * * *', misfire: 'skip' });
    await downFor(3 * HOUR + 2 * MINUTE);
    expect(slots(task.id)).toEqual(['12:00 missed ×36']);
    expect(open()).toEqual([]);
  });

  test('all: the newest ten, one after the other, the rest missed', async () => {
    const task = add({ every: undefined, cron: '*/5 * * * *', misfire: 'all' });
    await downFor(3 * HOUR + 2 * MINUTE);
    expect(slots(task.id)).toEqual([
      ...['12:00', '11:55', '11:50', '11:45', '11:40', '11:35', '11:30', '11:25', '11:20'].map((at) => `${at} waiting`),
      '11:15 running',
      '11:10 missed ×26',
    ]);
    for (let n = 0; n < 10; n += 1) work();
    expect(slots(task.id).filter((slot) => slot.endsWith('done'))).toHaveLength(10);
  });

  test('a restart of a second costs no slot, whatever the misfire rule is', async () => {
    const task = add({ every: undefined, cron: '*/5 * * * *', misfire: 'skip' });
    await clock.advance(5 * MINUTE - 500);
    await downFor(1_000);
    expect(slots(task.id)).toEqual(['09:05 running']);
  });

  test('a daily slot is made up for until half a day later, and then missed', async () => {
    const task = add({ every: undefined, cron: '0 10 * * *' });
    await downFor(12 * HOUR);
    expect(slots(task.id)).toEqual(['10:00 running']);
    work();
    await downFor(26 * HOUR);
    expect(slots(task.id)).toEqual(['10:00 missed', '10:00 done']);
  });

  test('a reminder is made up for within a week; later the owner is told', async () => {
    const soon = add({ every: undefined, at: 'in 5m' });
    await downFor(3 * 24 * HOUR);
    expect(slots(soon.id)).toEqual(['09:05 running']);
    const late = add({ every: undefined, at: 'in 5m', title: 'Tea' });
    await downFor(8 * 24 * HOUR);
    expect(slots(late.id)).toEqual(['09:05 missed']);
    expect(store.tasks.get(late.id)?.state).toBe('done');
    expect(notices).toEqual([expect.stringContaining('(Tea) was due while this machine was off')]);
  });

  test('a month of every minute and of every second is counted at once', async () => {
    const minutes = add({ every: undefined, cron: '* * * * *' });
    const seconds = add({ every: '1s' });
    const began = performance.now();
    await downFor(30 * 24 * HOUR + 20_000);
    expect(performance.now() - began).toBeLessThan(whenBusy(2_000));
    expect(slots(minutes.id)).toEqual(['09:00 running', '08:59 missed ×1999']);
    expect(slots(seconds.id)).toEqual(['09:00 running', `09:00 missed ×${30 * 86_400 + 19}`]);
  });

  test('what becomes due during an emergency stop is missed, not saved up', async () => {
    const task = add({});
    stopped = true;
    await clock.advance(HOUR + MINUTE);
    expect(slots(task.id)).toEqual([]);
    stopped = false;
    signals.emit('task');
    expect(slots(task.id)).toEqual(['10:00 running', '09:55 missed ×11']);
  });
});

describe('killed at any step', () => {
  test('the slot and the next time move together: a process that starts again finds each slot once', async () => {
    const task = add({});
    for (let n = 0; n < 4; n += 1) {
      await clock.advance(5 * MINUTE);
      // Killed after the insert, and once more before anything is worked on.
      await downFor(0);
      await downFor(0);
      work();
      await downFor(0);
    }
    expect(slots(task.id)).toEqual(['09:20 done', '09:15 done', '09:10 done', '09:05 done']);
    expect(store.runs.list(null, 100)).toHaveLength(4);
  });

  test('a run that ended just before the kill is settled at the next start', async () => {
    const task = add({ every: undefined, at: 'in 5m' });
    await clock.advance(5 * MINUTE);
    scheduler.stop();
    signals.removeAllListeners();
    work('dead');
    expect(slots(task.id)).toEqual(['09:05 running']);
    start();
    expect(slots(task.id)).toEqual(['09:05 failed']);
    expect(store.tasks.get(task.id)?.state).toBe('done');
    expect(notices).toHaveLength(1);
  });

  test('a slot that waited is released by the next process', async () => {
    const task = add({ overlap: 'queue' });
    await clock.advance(10 * MINUTE);
    expect(slots(task.id)).toEqual(['09:10 waiting', '09:05 running']);
    scheduler.stop();
    signals.removeAllListeners();
    work();
    start();
    expect(slots(task.id)).toEqual(['09:10 running', '09:05 done']);
  });
});

describe('when the clock is set', () => {
  test('back: nothing runs twice, and times that were computed from the wrong one come when they should', async () => {
    const task = add({ every: undefined, cron: '0 * * * *' });
    clock.set(START + 5 * 365 * 24 * HOUR);
    await clock.advance(5 * MINUTE);
    work();
    clock.set(START + 90 * MINUTE);
    await clock.advance(5 * MINUTE);
    expect(store.tasks.get(task.id)?.nextAt).toBe(START + 2 * HOUR);
    await clock.advance(25 * MINUTE);
    expect(slots(task.id)).toContain('11:00 running');
    expect(open()).toHaveLength(1);
  });

  test('back across a slot that was worked on: it is not worked on again', async () => {
    const task = add({ every: undefined, cron: '0 10 * * *' });
    await clock.advance(HOUR + MINUTE);
    work();
    clock.set(START + 30 * MINUTE);
    await clock.advance(2 * HOUR);
    expect(slots(task.id)).toEqual(['10:00 done']);
    await clock.advance(24 * HOUR);
    expect(slots(task.id)).toEqual(['10:00 running', '10:00 done']);
  });

  test('forward: like a machine that slept', async () => {
    const task = add({ every: undefined, cron: '*/5 * * * *' });
    clock.set(START + 3 * HOUR + 2 * MINUTE);
    await clock.advance(MINUTE);
    expect(slots(task.id)).toEqual(['12:00 running', '11:55 missed ×35']);
  });
});

describe('overlap and order', () => {
  test('skip: what comes while the one before works is skipped, in one row', async () => {
    const task = add({});
    await clock.advance(20 * MINUTE);
    expect(slots(task.id)).toEqual(['09:20 skipped ×3', '09:05 running']);
    work();
    await clock.advance(5 * MINUTE);
    expect(slots(task.id)).toEqual(['09:25 running', '09:20 skipped ×3', '09:05 done']);
  });

  test('queue: one after the other, never more than ten waiting', async () => {
    const task = add({ overlap: 'queue' });
    await clock.advance(70 * MINUTE);
    expect(open()).toHaveLength(1);
    expect(slots(task.id).filter((slot) => slot.endsWith('waiting'))).toHaveLength(9);
    expect(slots(task.id)[0]).toBe('10:10 skipped ×4');
    for (let n = 0; n < 10; n += 1) work();
    expect(slots(task.id).filter((slot) => slot.endsWith('done'))).toHaveLength(10);
  });

  test('after: waits for the tasks before it, whatever their order; a failed one blocks it and says so', async () => {
    const at = { every: undefined, cron: '0 10 * * *' };
    const fetch = add({ ...at, title: 'Fetch' });
    const clean = add({ ...at, title: 'Clean', after: [fetch.id] });
    const report = add({ ...at, title: 'Report', after: [clean.id, fetch.id] });
    await clock.advance(HOUR);
    expect(open().map((run) => run.taskId)).toEqual([fetch.id]);
    work();
    expect(open().map((run) => run.taskId)).toEqual([clean.id]);
    work('dead');
    expect(open()).toEqual([]);
    expect(slots(report.id)).toEqual(['10:00 blocked']);
    expect(notices.at(-1)).toBe(`Task ${report.id} (Report) did not run: task ${clean.id} (Clean) is failed.`);
    await clock.advance(24 * HOUR);
    for (let n = 0; n < 3; n += 1) work();
    expect(slots(report.id)).toEqual(['10:00 done', '10:00 blocked']);
  });

  test('after one that was missed: blocked, not waited for, whichever came first; a task for one time is over then', async () => {
    const later = add({ every: undefined, cron: '0 11 * * *', misfire: 'skip', title: 'Later' });
    const first = add({ every: undefined, cron: '0 10,12 * * *', after: [later.id] });
    const once = add({ every: undefined, at: '2026-11-21T12:00', after: [later.id] });
    await downFor(3 * HOUR + 10 * MINUTE);
    expect(slots(first.id)).toEqual(['12:00 blocked', '10:00 missed']);
    expect(store.tasks.get(once.id)?.state).toBe('done');
    expect(open()).toEqual([]);
  });

  test('by hand while a late slot is still to come: not both at once', async () => {
    const task = add({ every: undefined, cron: '0 10 * * *' });
    clock.set(START + HOUR + 30_000);
    tasks.change(task, { action: 'run' });
    expect(open()).toHaveLength(1);
    expect(slots(task.id)).toEqual(['10:00 running', '10:00 skipped']);
  });

  test('a retried run opens its slot again: what comes after it waits, and its end counts', async () => {
    const task = add({});
    await clock.advance(5 * MINUTE);
    work('dead');
    const [dead] = store.runs.list('dead', 1);
    store.runs.revive(dead?.id ?? 0, clock.now());
    store.tasks.reopenSlot(dead?.id ?? 0);
    await clock.advance(5 * MINUTE);
    expect(slots(task.id)).toEqual(['09:10 skipped', '09:05 running']);
    work();
    expect(slots(task.id)).toEqual(['09:10 skipped', '09:05 done']);
    expect(store.tasks.get(task.id)?.failures).toBe(0);
  });

  test('a circle is refused', () => {
    const first = add({});
    const second = add({ after: [first.id] });
    const third = add({ after: [second.id] });
    const closing = () => tasks.change(first, { action: 'update', fields: { after: [third.id] } });
    expect(closing).toThrow(`task ${first.id} would come after itself`);
    expect(() => add({ after: [99] })).toThrow('there is no task 99');
  });
});

describe('failures', () => {
  test('one failing slot never stops the series; five in a row pause it, and the owner is told once of each', async () => {
    const task = add({ title: 'Shaky' });
    const fail = async (end: 'done' | 'dead') => {
      await clock.advance(5 * MINUTE);
      work(end);
    };
    await fail('dead');
    expect(notices).toEqual([expect.stringMatching(/^Task \d+ \(Shaky\) failed\. Reported from there: `it broke/)]);
    await fail('done');
    for (let n = 0; n < 5; n += 1) await fail('dead');
    expect(store.tasks.get(task.id)).toMatchObject({ state: 'paused', nextAt: null });
    expect(notices).toHaveLength(3);
    expect(notices.at(-1)).toMatch(/failed 5 times in a row and is paused\. Reported from there: `it broke/);
    await clock.advance(HOUR);
    expect(open()).toEqual([]);
    tasks.change(task, { action: 'resume' });
    await clock.advance(5 * MINUTE);
    expect(open()).toHaveLength(1);
    expect(store.tasks.get(task.id)?.failures).toBe(0);
  });

  test('a budget of its own: slots are skipped once it is used up', async () => {
    const task = tasks.add({ prompt: 'x', every: '5m', budget: 0.00001 }, chat);
    await clock.advance(5 * MINUTE);
    const runId = open()[0]?.id ?? 0;
    work();
    const usage = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWrite5mTokens: 0, cacheWrite1hTokens: 0 };
    const call = { ...usage, groupId: chat.groupId ?? 0, runId, at: clock.now(), model: 'm', costMicroUsd: 10 };
    const rest = { estimated: false, status: 200, stopReason: null, durationMs: 1, firstByteMs: null, requestId: null };
    store.usage.record({ ...call, ...rest }, dayName(clock.now(), 'UTC'));
    await clock.advance(5 * MINUTE);
    expect(store.tasks.slotsOf(task.id, 1)).toMatchObject([
      { state: 'skipped', detail: 'its budget of the day is used up' },
    ]);
    await clock.advance(24 * HOUR);
    expect(open()).toHaveLength(1);
  });
});

test('a run that its task’s own limit cut off is no failure: the slot is skipped, the owner is told once a day, the task goes on', async () => {
  const task = add({ title: 'Watch' });
  const refusal = { limitMicroUsd: 10, spentMicroUsd: 5, worstCaseMicroUsd: 9, text: 'It is used up.' };
  for (let n = 0; n < 6; n += 1) {
    await clock.advance(5 * MINUTE);
    const run = store.runs.claim({ holder: 'me', now: clock.now(), excludeGroups: [] });
    if (!run) throw new Error('there is no run');
    store.events.add(run.id, clock.now(), 'budget_refused', { cap: 'task', period: '2026-11-21', ...refusal });
    const lease = { id: run.id, holder: 'me', attempt: run.attempt };
    store.runs.dead(lease, { now: clock.now(), errorClass: 'budget', error: refusal.text });
    signals.emit('run:ended', run.id);
  }
  expect(store.tasks.get(task.id)).toMatchObject({ state: 'active', failures: 0 });
  expect(store.tasks.slotsOf(task.id, 9)).toMatchObject(Array(6).fill({ state: 'skipped' }));
  expect(new Set(notices)).toEqual(new Set([`Task ${task.id} (Watch) stopped in the middle. It is used up.`]));
});

test('a task that cannot be computed any more is paused, and the others come', async () => {
  const broken = add({ every: undefined, cron: '0 10 * * *' });
  const fine = add({ every: undefined, cron: '0 10 * * *', title: 'Fine' });
  const starts = { kind: 'cron' as const, cron: '0 10 * * *', timeZone: 'Atlantis/Gone' };
  store.tasks.change({ ...broken, starts });
  await clock.advance(HOUR);
  expect(slots(fine.id)).toEqual(['10:00 running']);
  expect(store.tasks.get(broken.id)).toMatchObject({ state: 'paused', nextAt: null });
  expect(notices).toEqual([expect.stringContaining('failed and is paused')]);
});

test('pausing drops what waits, also after failures; what works goes on', async () => {
  const task = add({ overlap: 'queue', jitter: '1h' });
  await clock.advance(15 * MINUTE);
  tasks.change(task, { action: 'pause' });
  expect(store.runs.counts()).toEqual({ cancelled: 1 });
  signals.emit('task');
  expect(slots(task.id)).toEqual(['09:15 skipped', '09:10 skipped', '09:05 cancelled']);
  const shaky = add({ overlap: 'queue' });
  await clock.advance(40 * MINUTE);
  for (let n = 0; n < 5; n += 1) work('dead');
  expect(store.tasks.get(shaky.id)?.state).toBe('paused');
  expect(open()).toEqual([]);
  expect(slots(shaky.id).filter((slot) => slot.endsWith('waiting'))).toEqual([]);
});

test('a task whose chat moved to another group does nothing in it', async () => {
  const task = add({});
  store.groups.assignChat(chat.id, store.groups.ensure('family', false, START).id);
  await clock.advance(10 * MINUTE);
  expect(open()).toEqual([]);
  expect(slots(task.id)).toEqual(['09:10 skipped ×2']);
});

test('a time whose run is there but whose slot was forgotten is not worked on again, nor in the way', async () => {
  const task = add({});
  await clock.advance(5 * MINUTE);
  work();
  store.tasks.pruneSlots(task.id, 0);
  store.tasks.dropSlotBefore(task.id, START + 6 * MINUTE);
  store.tasks.setNext(task.id, START + 5 * MINUTE);
  signals.emit('task');
  expect(slots(task.id)).toEqual([]);
  await clock.advance(5 * MINUTE);
  expect(slots(task.id)).toEqual(['09:10 running']);
});

test('run now: a slot of its own, at once, also when paused', () => {
  const task = add({});
  tasks.change(task, { action: 'pause' });
  tasks.change(task, { action: 'run' });
  tasks.change(task, { action: 'run' });
  expect(slots(task.id)).toEqual(['09:00 skipped', '09:00 running']);
  expect(open()).toHaveLength(1);
});

test('cancelled: what waited is dropped, nothing comes any more', async () => {
  const task = add({ overlap: 'queue' });
  await clock.advance(10 * MINUTE);
  tasks.change(task, { action: 'cancel' });
  await clock.advance(HOUR);
  expect(slots(task.id)).toEqual(['09:10 skipped', '09:05 cancelled']);
  expect(open()).toEqual([]);
  expect(() => tasks.change(store.tasks.get(task.id) ?? task, { action: 'resume' })).toThrow('is cancelled');
});

test('ten thousand tasks due in the same second become ten thousand runs, and others get their turn meanwhile', async () => {
  scheduler.stop();
  store.transaction(() => {
    for (let n = 0; n < 10_000; n += 1) {
      const starts = { kind: 'cron' as const, cron: '0 10 * * *', timeZone: 'Europe/Berlin' };
      const options = {
        context: 'fresh' as const,
        misfire: 'latest' as const,
        overlap: 'skip' as const,
        jitterMs: 0,
        after: [],
      };
      const place = { groupId: chat.groupId ?? 0, chatId: chat.id };
      const nextAt = START + MINUTE;
      store.tasks.add({
        key: `t${n}`,
        ...place,
        title: 'T',
        prompt: 'x',
        starts,
        options,
        nextAt,
        secret: null,
        now: START,
      });
    }
  });
  start();
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  await clock.advance(MINUTE);
  while (store.tasks.due(clock.now(), 1).length > 0) await new Promise(setImmediate);
  clearInterval(timer);
  expect(store.runs.counts().ready).toBe(10_000);
  expect(turns).toBeGreaterThan(10);
});
