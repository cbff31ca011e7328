import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createContainerCalls, type GroupAtWork, groupAtWork } from '../../test/fakes/container-calls.js';
import { type Approvals, createApprovals } from '../approvals/approvals.js';
import type { Link } from '../gateway/server.js';
import { openStore, type Store } from '../store.js';
import { createTaskAsker } from './ask.js';
import { createTaskCalls } from './host-calls.js';
import { createTasks } from './tasks.js';

const clock = createFakeClock();
let store: Store;
let approvals: Approvals;
let call: ReturnType<typeof createContainerCalls>;
let main: GroupAtWork;
let family: GroupAtWork;
let told: string[];

beforeEach(() => {
  store = openStore(':memory:');
  const tasks = createTasks({ store, clock, config: { timeZone: 'UTC' } });
  const config = { timeZone: 'UTC' };
  const ownerChat = () => store.groups.chat(main.chatId) ?? expect.unreachable();
  approvals = createApprovals({ store, clock, config, ownerChat, stopped: () => false });
  const askOwner = createTaskAsker({ store, tasks, approvals });
  told = [];
  const onTooMany = (groupId: number, why: string) => void told.push(`${groupId} ${why}`);
  call = createContainerCalls(createTaskCalls({ store, clock, tasks, askOwner, onTooMany }), clock);
  main = groupAtWork(store, 'main', true);
  family = groupAtWork(store, 'family', false);
});

const daily = { prompt: 'Do it', cron: '0 9 * * *', key: 'toolu_1' };
type Caller = { link: Link; runId: number };
const add = ({ link, runId }: Caller, task: object = {}) => call(link, '/tasks', { ...daily, runId, ...task });
const change = ({ link, runId }: Caller, id: number, action: string) =>
  call(link, `/tasks/${id}`, { runId, key: 'k', action });

test('a task of the run: its answer names the next three times; the same call again is the same task', async () => {
  const text =
    'Task 1 (Do it) is scheduled, cron `0 9 * * *` (UTC). Next: Sun 22 Nov 2026, 09:00 · Mon 23 Nov 2026, 09:00 · Tue 24 Nov 2026, 09:00 (UTC).';
  expect(await add(family)).toEqual({ text });
  expect(await add(family)).toEqual({ text });
  expect(store.tasks.open(null)).toMatchObject([{ chatId: family.chatId, groupId: family.link.groupId }]);
});

describe('rights', () => {
  test('a group cannot see, change, or write into what is not its own; the main group can', async () => {
    await add(main);
    expect(await call(family.link, '/tasks/list', { runId: family.runId })).toEqual({
      text: expect.stringMatching(/^There are no tasks\.\n\n.*\/recap/),
    });
    await expect(change(family, 1, 'cancel')).rejects.toThrow('there is no task 1');
    await expect(add(family, { chat: 'telegram:main' })).rejects.toThrow('no such chat');
    await expect(add(family, { runId: main.runId })).rejects.toThrow('no such run');
    await add(main, { key: 'toolu_2', chat: 'telegram:family' });
    expect(store.tasks.get(2)).toMatchObject({ chatId: family.chatId, groupId: family.link.groupId });
    expect(await change(main, 2, 'pause')).toMatchObject({ text: expect.stringContaining('is paused') });
    expect(await change(family, 2, 'resume')).toMatchObject({ text: expect.stringContaining('is scheduled') });
  });

  test('a run of a task cannot start that task', async () => {
    await add(main);
    const key = 'task:1:5';
    const run = {
      kind: 'task' as const,
      groupId: main.link.groupId,
      chatId: main.chatId,
      session: 't',
      runAt: 0,
      now: 0,
    };
    const runId = store.runs.enqueue({ ...run, key, taskId: 1 }) ?? 0;
    store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] });
    await expect(change({ ...main, runId }, 1, 'run')).rejects.toThrow('cannot start itself');
  });
});

test.each([
  [{ prompt: '' }, /prompt/],
  [{ cron: undefined }, /exactly one/],
  [{ after: [0] }, /after/],
  [{ misfire: 'maybe' }, /misfire/],
])('%j is refused with what would be right', async (wrong, why) => {
  await expect(add(main, wrong)).rejects.toThrow(why);
  expect(store.tasks.open(null)).toEqual([]);
});

test('once its run was stopped, a container makes and changes no task', async () => {
  await add(family);
  store.runs.cancel(family.chatId, null, 2);
  await expect(add(family, { key: 'toolu_2' })).rejects.toThrow('this run was stopped');
  await expect(change(family, 1, 'cancel')).rejects.toThrow('this run was stopped');
});

describe('after something was read that nobody trusted', () => {
  beforeEach(() => {
    store.taints.mark('family', family.link.groupId, 'the file letter.pdf', 1);
  });

  test('a task is made only once the owner saw all of it and said yes', async () => {
    const asked = await add(family, { prompt: 'Send the keys' });
    expect(asked).toMatchObject({ text: expect.stringMatching(/^Approval 1 \(make a task in family\): waits/) });
    expect(store.tasks.open(null)).toEqual([]);
    const [card] = store.outbox.list(1);
    for (const part of ['cron: 0 9 * * *', 'Send the keys', 'given: the file letter.pdf (Thu 1 Jan 1970'])
      expect(card?.text).toContain(part);
    expect(approvals.decide(1, { decision: 'allow', by: 'the owner' })).toContain(
      'Task 1 (Send the keys) is scheduled',
    );
    expect(store.tasks.open(null)).toMatchObject([{ prompt: 'Send the keys', chatId: family.chatId }]);
  });

  test('a change of a task too; what cannot be is refused before anybody is asked', async () => {
    const tasks = createTasks({ store, clock, config: { timeZone: 'UTC' } });
    tasks.add({ prompt: 'old', every: '1h' }, store.groups.chat(family.chatId) ?? expect.unreachable());
    const update = (fields: object) =>
      call(family.link, '/tasks/1', { runId: family.runId, key: 'k', action: 'update', fields });
    await expect(update({ cron: 'nonsense' })).rejects.toThrow();
    expect(store.approvals.list(null, 9)).toEqual([]);
    await update({ prompt: 'new' });
    expect(store.tasks.get(1)?.prompt).toBe('old');
    approvals.decide(1, { decision: 'allow', by: 'the owner' });
    expect(store.tasks.get(1)?.prompt).toBe('new');
    await change(family, 1, 'cancel');
    expect(store.tasks.get(1)?.state).toBe('cancelled');
  });

  test('in another session of the group nothing is asked once that container is gone', async () => {
    store.runs.cancel(family.chatId, 'family', 2);
    store.runs.releaseForeignLeases('another', 3);
    const later = { ...family.link, startedAt: 4 };
    const run = {
      kind: 'message' as const,
      groupId: later.groupId,
      chatId: family.chatId,
      session: 'new',
      runAt: 0,
      now: 4,
    };
    const runId = store.runs.enqueue({ ...run, key: 'next' }) ?? 0;
    store.runs.claim({ holder: 'w', now: 4, excludeGroups: [] });
    await add({ link: later, runId });
    expect(store.tasks.open(null)).toHaveLength(1);
  });
});

describe('what agents may plan', () => {
  const each = async (caller: Caller, times: number, task: object) => {
    for (let n = 0; n < times; n += 1) await add(caller, { cron: undefined, key: `n${n}`, ...task });
  };
  const update = ({ link, runId }: Caller, id: number, fields: object) =>
    call(link, `/tasks/${id}`, { runId, key: 'k', action: 'update', fields });

  test.each([
    ['a thousand tasks of one second', { every: '1s' }, 2],
    ['calendars with seconds', { cron: '* * * * * *' }, 2],
    ['calendars that are dense in one hour of the day', { cron: '*/2 * 9 * * *' }, 4],
  ])('%s: those that fit are made, the next one is refused with what to do', async (_name, task, most) => {
    await expect(each(family, 1_000, task)).rejects.toThrow(/7200 times an hour.*give a longer time/);
    expect(store.tasks.open(null)).toHaveLength(most);
    expect(told).toEqual([expect.stringMatching(/^\d+ the tasks that the agents/)]);
    // What starts seldom is still welcome, and other groups have their own.
    await add(family, { key: 'daily' });
    await each(main, 2, { every: '1s' });
  });

  test('60 an hour, whatever they are; an hour later as many', async () => {
    await expect(each(family, 61, { at: 'in 2h' })).rejects.toThrow(/60 tasks an hour.*wait until the hour is over/);
    await expect(change(family, 1, 'run')).rejects.toThrow('60 tasks an hour');
    await expect(update(family, 1, { at: 'in 3h' })).rejects.toThrow('60 tasks an hour');
    // What makes it less is always possible, and the same call again is no new task.
    await change(family, 1, 'cancel');
    await update(family, 2, { prompt: 'other words' });
    await add(family, { cron: undefined, key: 'n0', at: 'in 2h' });
    clock.set(clock.now() + 3_600_000);
    await add(family, { key: 'later' });
    expect(store.tasks.openCount(family.link.groupId)).toBe(60);
  });

  test('200 open ones in all', async () => {
    await add(family);
    const { id: _, ...task } = store.tasks.get(1) ?? expect.unreachable();
    store.transaction(() => {
      for (let n = 2; n <= 200; n += 1) {
        const { id } = store.tasks.add({ ...task, key: `n${n}`, now: 1 }) ?? expect.unreachable();
        store.tasks.setPlanned(id, family.link.groupId, 1);
      }
    });
    await expect(add(family, { key: 'more' })).rejects.toThrow(/may have 200 tasks.*cancel those/);
    await change(family, 1, 'cancel');
    await add(family, { key: 'more' });
  });

  test('new times and resumed tasks count like new ones; the owner makes and has what he likes', async () => {
    const tasks = createTasks({ store, clock, config: { timeZone: 'UTC' } });
    const chat = store.groups.chat(family.chatId) ?? expect.unreachable();
    for (let n = 0; n < 5; n += 1) tasks.add({ prompt: 'of the owner', every: '1s' }, chat);
    await each(family, 2, { every: '1s' });
    await expect(update(family, 1, { every: '2s' })).rejects.toThrow('7200 times an hour');
    expect(store.tasks.get(1)?.starts).toMatchObject({ everyMs: 1_000 });
    await change(family, 6, 'pause');
    await add(family, { cron: undefined, key: 'instead', every: '1s' });
    await expect(change(family, 6, 'resume')).rejects.toThrow('7200 times an hour');
    expect(store.tasks.get(6)?.state).toBe('paused');
    tasks.change(tasks.find(6, null), { action: 'resume' });
    expect(store.tasks.get(6)?.state).toBe('active');
  });
});
