import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createSignals } from '../core/signals.js';
import type { Link } from '../gateway/server.js';
import { openStore, type Store } from '../store.js';
import { createTaskApi } from './gateway.js';
import { createTasks } from './tasks.js';

const clock = createFakeClock();
let store: Store;
let api: ReturnType<typeof createTaskApi>;
let main: { link: Link; runId: number; chatId: number };
let family: { link: Link; runId: number; chatId: number };

beforeEach(() => {
  store = openStore(':memory:');
  const tasks = createTasks({ store, clock, signals: createSignals(), config: { timeZone: 'UTC' } });
  api = createTaskApi({ store, tasks });
  main = groupAtWork('main', true);
  family = groupAtWork('family', false);
});

/** A group whose agent works on a run. */
function groupAtWork(folder: string, isMain: boolean) {
  const group = store.groups.ensure(folder, isMain, 1);
  const chat = store.groups.seenChat({ channel: 'telegram', address: folder, kind: 'group', title: folder, now: 1 });
  store.groups.assignChat(chat.id, group.id);
  const run = {
    key: folder,
    kind: 'message' as const,
    groupId: group.id,
    chatId: chat.id,
    session: folder,
    runAt: 0,
    now: 0,
  };
  const runId = store.runs.enqueue(run) ?? 0;
  store.runs.claim({ owner: 'w', now: 1, leaseMs: 1, excludeGroups: [] });
  return { link: { groupId: group.id, onWork: () => undefined }, runId, chatId: chat.id };
}

const daily = { prompt: 'Do it', cron: '0 9 * * *', key: 'toolu_1' };

test('a task of the run: its answer names the next three times; the same call again is the same task', () => {
  const add = () => api.add(family.link, { ...daily, runId: family.runId });
  const text =
    'Task 1 (Do it) is scheduled, cron `0 9 * * *` (UTC). Next: Sun 22 Nov 2026, 09:00 · Mon 23 Nov 2026, 09:00 · Tue 24 Nov 2026, 09:00 (UTC).';
  expect(add()).toEqual({ text });
  expect(add()).toEqual({ text });
  expect(store.tasks.open(null)).toMatchObject([{ chatId: family.chatId, groupId: family.link.groupId }]);
});

describe('rights', () => {
  test('a group cannot see, change, or write into what is not its own; the main group can', () => {
    api.add(main.link, { ...daily, runId: main.runId });
    expect(api.list(family.link, { runId: family.runId })).toEqual({ text: 'There are no tasks.' });
    const change = (who: typeof main, id: number, action: string) =>
      api.change(who.link, id, { runId: who.runId, key: 'k', action });
    expect(() => change(family, 1, 'cancel')).toThrow('there is no task 1');
    expect(() => api.add(family.link, { ...daily, runId: family.runId, chat: 'telegram:main' })).toThrow(
      'no such chat',
    );
    expect(() => api.add(family.link, { ...daily, runId: main.runId })).toThrow('no such run');
    api.add(main.link, { ...daily, key: 'toolu_2', runId: main.runId, chat: 'telegram:family' });
    expect(store.tasks.get(2)).toMatchObject({ chatId: family.chatId, groupId: family.link.groupId });
    expect(change(main, 2, 'pause').text).toContain('is paused');
    expect(change(family, 2, 'resume').text).toContain('is scheduled');
  });

  test('a run of a task cannot start that task', () => {
    api.add(main.link, { ...daily, runId: main.runId });
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
    store.runs.claim({ owner: 'w', now: 1, leaseMs: 1, excludeGroups: [] });
    expect(() => api.change(main.link, 1, { runId, key: 'k', action: 'run' })).toThrow('cannot start itself');
  });
});

test.each([
  [{ prompt: '' }, /prompt/],
  [{ cron: undefined }, /exactly one/],
  [{ after: [0] }, /after/],
  [{ misfire: 'maybe' }, /misfire/],
])('%j is refused with what would be right', (wrong, why) => {
  expect(() => api.add(main.link, { ...daily, runId: main.runId, ...wrong })).toThrow(why);
  expect(store.tasks.open(null)).toEqual([]);
});

test('once its run was stopped, a container makes and changes no task', () => {
  api.add(family.link, { ...daily, runId: family.runId });
  store.runs.cancel(family.chatId, null, 2);
  const { link, runId } = family;
  for (const call of [
    () => api.add(link, { ...daily, key: 'toolu_2', runId }),
    () => api.change(link, 1, { runId, key: 'k', action: 'cancel' }),
  ])
    expect(call).toThrow('this run was stopped');
});
