// The buttons below notices about tasks, pressed in time, twice, and when what they are about has changed.
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import type { Chat } from '../core/types.js';
import { openStore, type Store } from '../store.js';
import { taskActions, taskButtons } from './press.js';
import { startScheduler } from './scheduler.js';
import { createTasks, type Tasks } from './tasks.js';

const START = Date.UTC(2026, 10, 21, 9);
const EVERY_MS = 300_000;
let store: Store;
let clock: FakeClock;
let tasks: Tasks;
let chat: Chat;
let told: { text: string; buttons: { label: string; value: string }[] }[];

beforeEach(() => {
  store = openStore(':memory:');
  clock = createFakeClock(START);
  const group = store.groups.ensure('main', true, START);
  const seen = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: START });
  store.groups.assignChat(seen.id, group.id);
  chat = { ...seen, groupId: group.id };
  told = [];
  tasks = createTasks({ store, clock, config: { timeZone: 'UTC' } });
  const notifyOwner = (_: string, text: string, __?: number, buttons: { label: string; value: string }[] = []) =>
    told.push({ text, buttons });
  const log = pino({ level: 'silent' });
  startScheduler({ store, clock, log, timeZone: 'UTC', stopSwitch: { stopped: () => false }, notifyOwner });
});

/** Presses this button of the latest notice. */
function press(label: string, isUsed = false): string | undefined {
  const button = told.at(-1)?.buttons.find((one) => one.label.startsWith(label));
  if (!button) throw new Error(`no ${label} among ${JSON.stringify(told.at(-1))}`);
  return pressValue(button.value, isUsed);
}

function pressValue(value: string, isUsed = false): string | undefined {
  const actions = taskActions({ store, clock, tasks, reopenSlot: store.tasks.reopenSlot });
  const [name = '', ...words] = value.split(':');
  return actions[name]?.({ words, chat, isUsed })?.text;
}

async function fail(budget?: object): Promise<number> {
  await clock.advance(EVERY_MS);
  const run = store.runs.claim({ holder: 'me', now: clock.now(), excludeGroups: [] });
  if (!run) throw new Error('there is no run');
  if (budget) store.events.add(run.id, clock.now(), 'budget_refused', { ...refusal, ...budget });
  const errorClass = budget ? 'budget' : 'unknown';
  store.runs.dead(
    { id: run.id, holder: 'me', attempt: run.attempt },
    { now: clock.now(), errorClass, error: 'it broke' },
  );
  store.signals.emit('run:ended', run.id);
  return run.id;
}
const refusal = {
  cap: 'task' as const,
  limitMicroUsd: 1e6,
  spentMicroUsd: 9e5,
  worstCaseMicroUsd: 2e5,
  text: 'Used up.',
};
const labels = () => told.at(-1)?.buttons.map(({ label }) => label);
const add = (input = {}) => tasks.add({ prompt: 'do it', every: '5m', title: 'Watch', ...input }, chat);
const waiting = () => store.runs.list('ready', 9).length;

test('what was switched off after failures is turned on again, once', async () => {
  const { id } = add();
  const runId = await fail();
  expect(told.at(-1)?.buttons).toEqual([
    { label: 'Run now', value: `run:retry:${runId}` },
    { label: 'Show', value: `run:show:${runId}` },
  ]);
  for (let n = 0; n < 4; n += 1) await fail();
  expect(labels()).toEqual(['Turn on again', 'Run now', 'Show']);
  expect(press('Turn on')).toMatch(/^Task 1 \(Watch\) is scheduled, every 5m\. Next:/);
  expect(press('Turn on', true)).toMatch(/^That was pressed already\. Task 1 \(Watch\) is scheduled/);
  expect(store.tasks.get(id)).toMatchObject({ state: 'active', failures: 0 });
  tasks.change(tasks.find(id, null), { action: 'cancel' });
  expect(press('Turn on')).toContain('task 1 is cancelled');
  expect(pressValue('task:resume:77')).toBe('There is no task 77 any more.');
});

test('what did not run runs now, and is shown', () => {
  const { id } = add();
  const [runNow, show] = taskButtons.failed(id);
  expect(pressValue(runNow?.value ?? '')).toBe('Task 1 (Watch) starts now, unless it is working already.');
  expect(waiting()).toBe(1);
  expect(pressValue(runNow?.value ?? '', true)).toMatch(/^That was pressed already/);
  expect([waiting(), pressValue(show?.value ?? '', true)]).toEqual([1, expect.stringContaining('> do it')]);
  expect(pressValue(taskButtons.tooMany(1)[0]?.value ?? '')).toContain('**1** Watch');
});

test('its own limit of a day is raised, and what was cut off goes on; the limit of its run has a button of its own', async () => {
  const { id } = add({ budget: 1 });
  const runId = await fail({ period: '2026-11-21' });
  expect(labels()).toEqual(['Raise to $2 a day', 'Show']);
  expect(press('Raise')).toBe(`Task 1 (Watch) may cost $2.00 a day; run ${runId} goes on.`);
  expect([store.tasks.get(id)?.options.budgetMicroUsd, store.runs.get(runId)?.state]).toEqual([2e6, 'ready']);
  tasks.change(tasks.find(id, null), { action: 'update', fields: { budget: 5 } });
  expect(press('Raise')).toBe('Task 1 (Watch) may cost $5.00 a day.');
  expect(store.tasks.get(id)?.options.budgetMicroUsd).toBe(5e6);
  await fail({ cap: 'run' });
  expect(labels()).toEqual(['Raise to $2 for this run', 'Show']);
});
