// Calls against the budgets, on real rows: caps, their ends in the owner's zone, crashes, warnings.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { createHome, type Home, spend, USD } from './testing/home.js';

/** What the call is refused with, or `fits`; one that fits costs nothing. */
function tried(
  home: Pick<Home, 'ledger' | 'call'>,
  costMicroUsd: number,
  of: Parameters<Home['call']>[1] = {},
): string {
  const answer = home.ledger.reserve(home.call(costMicroUsd, of));
  if ('status' in answer) return `${answer.status} ${answer.message}`;
  answer.settle(home.call(0, of));
  return 'fits';
}

test('calls in parallel cannot together spend more than a cap, and the last ones are asked to wait, not refused', () => {
  const home = createHome();
  const answers = Array.from({ length: 10 }, () => home.ledger.reserve(home.call(0.3 * USD)));
  const going = answers.flatMap((answer) => ('settle' in answer ? [answer] : []));
  expect(going).toHaveLength(3);
  expect(answers[3]).toMatchObject({ status: 429, message: expect.stringContaining('for group `main` is held') });
  expect(home.store.usage.spent('2026-11-21', '2026-11-21', null)).toBe(0.9 * USD);
  for (const { settle } of going) settle(home.call(0.01 * USD));
  expect(home.store.usage.spent('2026-11-21', '2026-11-21', null)).toBe(0.03 * USD);
  expect(tried(home, 0.3 * USD)).toBe('fits');
});

test('each cap refuses by its name: run, group, day, month', () => {
  const home = createHome({ limits: { month: 4 * USD, run: 0.9 * USD } });
  const runId = home.run();
  spend(home, 0.8 * USD, { runId });
  expect(tried(home, 0.2 * USD, { runId })).toMatch(
    /^402 The limit for one piece of work is used up: \$0\.80 of \$0\.90 spent/,
  );
  expect(tried(home, 0.2 * USD, { runId: home.run() })).toBe('fits');
  expect(tried(home, 0.3 * USD)).toMatch(/^402 The budget of today for group `main` is used up: \$0\.80 of \$1\.00/);
  spend(home, 1 * USD, { folder: 'family' });
  expect(tried(home, 0.3 * USD, { folder: 'work' })).toMatch(
    /^402 The budget of today for all groups is used up: \$1\.80 of \$2\.00/,
  );
  home.clock.set(home.clock.now() + 86_400_000);
  for (const folder of ['main', 'family']) spend(home, 1 * USD, { folder });
  home.clock.set(home.clock.now() + 86_400_000);
  expect(tried(home, 0.3 * USD, { folder: 'work' })).toMatch(
    /^402 The budget of this month is used up: \$3\.80 of \$4\.00/,
  );
});

test('a call of a task counts for the limit that the task has of its own, on all of its runs of the day', () => {
  const home = createHome();
  const rules = { context: 'fresh', misfire: 'skip', overlap: 'skip' } as const;
  const options = { ...rules, jitterMs: 0, after: [], budgetMicroUsd: 100_000 };
  const of = {
    key: 't',
    groupId: home.group('main').id,
    chatId: home.chat.id,
    title: 'Watch',
    prompt: 'p',
    secret: null,
  };
  const task = home.store.tasks.add({ ...of, options, starts: { kind: 'hook' }, nextAt: null, now: 1 });
  const taskId = task?.id ?? 0;
  spend(home, 90_000, { runId: home.run({ taskId }) });
  expect(tried(home, 20_000, { runId: home.run({ taskId }) })).toMatch(
    /^402 The budget of today for task 1 is used up: \$0\.09 of \$0\.10/,
  );
  expect(tried(home, 10_000, { runId: home.run({ taskId }) })).toBe('fits');
  expect(tried(home, 20_000, { runId: home.run() })).toBe('fits');
});

test.each([
  ['the clocks go forward', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z', 'Mon 30 Mar 2026, 00:00'],
  ['the clocks go back', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z', 'Mon 26 Oct 2026, 00:00'],
])('a day on which %s is spent from its first to its last moment', (_name, first, next, text) => {
  const home = createHome({ now: first });
  spend(home, 0.9 * USD);
  home.clock.set(Date.parse(next) - 1);
  expect(tried(home, 0.2 * USD)).toContain(`It begins anew at ${text} (Europe/Berlin)`);
  home.clock.set(Date.parse(next));
  expect(tried(home, 0.2 * USD)).toBe('fits');
});

test('a month ends at its last local midnight, summer time or not', () => {
  const home = createHome({ now: '2026-02-28T23:00:00Z', limits: { month: 1 * USD } });
  spend(home, 0.9 * USD);
  home.clock.set(Date.parse('2026-03-31T21:59:59Z'));
  expect(tried(home, 0.2 * USD)).toContain('The budget of this month is used up');
  expect(tried(home, 0.2 * USD)).toContain('It begins anew at Wed 1 Apr 2026, 00:00 (Europe/Berlin)');
  home.clock.set(Date.parse('2026-03-31T22:00:00Z'));
  expect(tried(home, 0.2 * USD)).toBe('fits');
});

test('a call that goes on over midnight counts for the day it began on', () => {
  const home = createHome({ now: '2026-11-21T22:59:00Z' });
  const reserved = home.ledger.reserve(home.call(0.9 * USD));
  home.clock.set(Date.parse('2026-11-21T23:01:00Z'));
  expect(tried(home, 1 * USD)).toBe('fits');
  if ('settle' in reserved) reserved.settle(home.call(0.8 * USD));
  expect(home.store.usage.spent('2026-11-21', '2026-11-21', null)).toBe(0.8 * USD);
  expect(home.store.usage.spent('2026-11-22', '2026-11-22', null)).toBe(0);
});

test('a call that a crash cuts off stays booked as the most it can have cost, and is no longer waited for', () => {
  const home = createHome();
  const runId = home.run();
  home.ledger.reserve(home.call(0.4 * USD, { runId }));
  // The process dies here; the next one has only the rows.
  const next = { ...home, ...home.restart() };
  expect(tried(next, 0.2 * USD, { runId })).toMatch(/^402 The limit for one piece of work .* \$0\.40 of \$0\.50 spent/);
  expect(tried(next, 0.7 * USD)).toMatch(/^402 The budget of today for group `main` is used up: \$0\.40 of \$1\.00/);
});

test('the owner is warned at 80 % of the budgets of group, day and month, once each, also after a restart', () => {
  const home = createHome({ limits: { month: 2 * USD } });
  spend(home, 0.79 * USD);
  expect(home.notices.size).toBe(0);
  // What a call may cost is not spent yet.
  const open = home.ledger.reserve(home.call(0.2 * USD));
  spend(home, 0);
  if ('settle' in open) open.settle(home.call(0.005 * USD));
  expect(home.notices.size).toBe(0);
  spend(home, 0.02 * USD);
  expect([...home.notices.values()]).toEqual([
    '81 % of the budget of today for group `main` is spent: $0.81 of $1.00. It begins anew at Sun 22 Nov 2026, 00:00 (Europe/Berlin). ' +
      '`/budget main <amount>` (behind it `today`: for today only) raises it, `/cost` shows what it was spent on.',
  ]);
  spend({ ...home, ...home.restart() }, 0.02 * USD);
  expect(home.notices.size).toBe(1);
  spend(home, 0.8 * USD, { folder: 'family' });
  expect([...home.notices.keys()].map((key) => key.split(':').slice(1, 3))).toEqual([
    ['group', 'main'],
    ['month', ''],
    ['day', ''],
    ['group', 'family'],
  ]);
});

test('a warning is one row of the outbox, whoever restarts', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'pinch-budgets-')), 'pinch.db');
  const { createOwnerChat, createOwnerNotices } = await import('../delivery/notices.js');
  const home = createHome({ file });
  const notifyOwner = createOwnerNotices({
    ...home,
    ownerChat: createOwnerChat({ ...home, isBlocked: () => false }),
  });
  Object.assign(home.deps, { notifyOwner });
  for (const _ of [1, 2, 3]) spend({ ...home, ...home.restart() }, 0.3 * USD);
  spend({ ...home, ...home.restart() }, 0.01 * USD);
  expect(home.store.outbox.list(10).map(({ key }) => key)).toEqual(['notice:budget-low:group:main:2026-11-21:1000000']);
});

test('a refusal is in the timeline of its run, however often a container asks again at once', () => {
  const home = createHome();
  const runId = home.run();
  for (let n = 0; n < 50; n += 1) tried(home, 0.6 * USD, { runId });
  expect(home.store.events.ofRun(runId)).toMatchObject([
    {
      kind: 'budget_refused',
      detail: { cap: 'run', limitMicroUsd: 500_000, spentMicroUsd: 0, worstCaseMicroUsd: 600_000 },
    },
  ]);
});

test('no sum that a call waits for looks at a table that grows', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'pinch-budgets-')), 'pinch.db');
  const home = createHome({ file });
  spend(home, 1_000, { runId: home.run() });
  const db = new Database(file);
  const plan = (sql: string) =>
    db
      .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map(({ detail }) => detail);
  const plans = [
    `SELECT sum(cost_micro_usd) FROM costs WHERE day BETWEEN '2026-11-01' AND '2026-11-30' AND (NULL IS NULL OR group_id = 1)`,
    `SELECT sum(cost_micro_usd) FROM costs WHERE day = '2026-11-30' AND task_id = 3`,
    'SELECT sum(cost_micro_usd) FROM model_calls WHERE run_id = 3',
    `SELECT detail FROM events WHERE run_id = 3 AND kind = 'budget_refused' AND at >= 5 ORDER BY id DESC LIMIT 1`,
    `SELECT micro_usd FROM budget_caps WHERE name = 'day' AND coalesce(group_id, 0) = 0 AND day IN ('', 'x') ORDER BY day DESC LIMIT 1`,
  ].flatMap(plan);
  db.close();
  expect(plans.filter((step) => !/^SEARCH /.test(step))).toEqual([]);
});
