// The loop guard: what spends again and again without a word is paused, once; what is cheap, quiet or heard is not.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { createHome, type Home, spend, USD } from './testing/home.js';

const HOUR = 3_600_000;
let home: Home;
let taskId: number;
beforeEach(() => {
  const file = join(mkdtempSync(join(tmpdir(), 'pinch-guard-')), 'pinch.db');
  // A fifth of a group's day is 2 USD.
  home = createHome({ file, limits: { month: 1_000 * USD, day: 100 * USD, group: 10 * USD, run: 5 * USD } });
  const options = { context: 'fresh', misfire: 'skip', overlap: 'skip', jitterMs: 0 } as const;
  const made = { key: 't', groupId: home.group('main').id, chatId: home.chat.id, title: 'Watch *it*', prompt: 'p' };
  const starts = { kind: 'hook' } as const;
  const task = { ...made, options: { ...options, after: [] }, starts, secret: null, nextAt: null, now: 1 };
  taskId = home.store.tasks.add(task)?.id ?? 0;
});

/** A run that costs so much, and says something or not. */
function work(costUsd: number, { says = false, ofTask = true, guard = home.guard } = {}): void {
  const id = home.run(ofTask ? { taskId } : {});
  if (costUsd > 0) spend(home, Math.round(costUsd * USD), { runId: id });
  if (says) home.store.outbox.add({ key: `${id}:end:1`, chatId: home.chat.id, runId: id, text: 'found it', now: 1 });
  const run = home.store.runs.get(id);
  if (run) guard.note(run);
}
const questions = () => [...home.notices].flatMap(([key, text]) => (key.startsWith('loop:') ? [text] : []));

test('a task that spends five times in a row without a word is paused, with one question that says how to go on', () => {
  for (const _ of [1, 2, 3, 4]) work(0.4);
  expect(home.paused).toEqual([]);
  work(0.4);
  expect(home.paused).toEqual([taskId]);
  expect(questions()).toEqual([
    'Task 1 (Watch \\*it\\*) worked 5 times in a row since Sat 21 Nov 2026, 10:00 for $2.00 and told nobody anything, so I paused it. Shall it go ' +
      'on? `/task 1 resume` lets it go on, `/task 1 cancel` ends it; `/runs 5` shows what the last run did.',
  ]);
});

test('the count goes on over restarts, and begins anew when the owner has let it go on', () => {
  for (const _ of [1, 2, 3, 4, 5]) work(0.4, { guard: home.restart().guard });
  expect(home.paused).toEqual([taskId]);
  for (const _ of [1, 2, 3, 4]) work(0.4);
  expect(home.paused).toEqual([taskId]);
  work(0.4);
  expect(home.paused).toEqual([taskId, taskId]);
});

test.each([
  ['a check script that prints nothing, however often', () => Array.from({ length: 500 }, () => work(0))],
  ['a quiet heartbeat: 28 times a day for what it may cost', () => Array.from({ length: 28 }, () => work(0.5 / 28))],
  ['four dear runs, and checks that cost nothing', () => [1, 2, 3, 4].flatMap(() => [work(2), work(0)])],
  [
    'a word now and then',
    () => [1, 2, 3, 4].flatMap(() => [work(0.4), work(0.4), work(0.4), work(0.4, { says: true })]),
  ],
  [
    'once a day, for weeks',
    () => Array.from({ length: 20 }, () => [work(1), home.clock.set(home.clock.now() + 25 * HOUR)]),
  ],
])('%s: nothing is paused', (_name, happens) => {
  happens();
  expect(home.paused).toEqual([]);
  expect(questions()).toEqual([]);
});

test('checks in between end no streak', () => {
  for (const _ of [1, 2, 3, 4, 5]) {
    work(0.4);
    work(0);
  }
  expect(home.paused).toEqual([taskId]);
});

test('a chat: its runs are held until the owner says /continue; the chat is told once', () => {
  const family = home.store.groups.seenChat({
    channel: 'telegram',
    address: '-1',
    kind: 'group',
    title: 'Family',
    now: 1,
  });
  home.store.groups.assignChat(family.id, home.group('family').id);
  const silent = () => {
    const id = home.run({ folder: 'family', chatId: family.id });
    spend(home, 0.4 * USD, { folder: 'family', runId: id });
    const run = home.store.runs.get(id);
    if (run) home.guard.note(run);
  };
  for (const _ of [1, 2, 3, 4, 5]) silent();
  expect(home.store.budgets.heldChats()).toMatchObject([{ chatId: family.id, title: 'Family' }]);
  expect(questions()).toEqual([
    expect.stringMatching(/^In the chat "Family" I worked 5 times .* `\/continue 2` lets me;/),
  ]);
  expect(home.store.outbox.list(9)).toMatchObject([
    { chatId: family.id, text: expect.stringMatching(/^I paused here/) },
  ]);
  const answer = home.commands.find(({ usage }) => usage.startsWith('/continue'))?.answer;
  const ready: string[] = [];
  home.signals.on('run:ready', () => ready.push('ready'));
  expect(answer?.({ chat: home.chat, argument: '', messageId: 1, byOwner: true, senderId: 1 })).toContain(
    'Nothing is paused there',
  );
  expect(answer?.({ chat: home.chat, argument: `${family.id}`, messageId: 2, byOwner: true, senderId: 1 })).toBe(
    'I go on there.',
  );
  expect(home.store.budgets.heldChats()).toEqual([]);
  expect(ready).toEqual(['ready']);
});
