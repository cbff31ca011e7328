// What somebody reads who asks in the morning what happened at night.
import { Hono } from 'hono';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import type { Chat } from '../core/types.js';
import { openStore, type Store } from '../store.js';
import { hoursOf } from './hours.js';
import { createRecap } from './module.js';
import { type Recap, recapOf, yesterdayEvening } from './recap.js';
import { recapText, TERMINAL_WORDS } from './text.js';

const HOUR_MS = 3_600_000;
const MORNING = Date.UTC(2026, 11, 1, 7);
const config = { timeZone: 'Europe/Berlin' };
let store: Store;
let clock: FakeClock;
let direct: Chat;
let family: Chat;

function start(): void {
  store = openStore(':memory:');
  clock = createFakeClock(MORNING - 20 * HOUR_MS);
  const chatOf = (address: string, folder: string): Chat => {
    const seen = store.groups.seenChat({ channel: 'telegram', address, kind: 'group', title: folder, now: 1 });
    const group = store.groups.ensure(folder, folder === 'main', 1);
    store.groups.assignChat(seen.id, group.id);
    return { ...seen, groupId: group.id };
  };
  direct = chatOf('1', 'main');
  family = chatOf('-5', 'family');
}

let made = 0;
/** A run that begins then, costs a cent and ends a minute later. */
function run(at: number, end: 'done' | 'dead' | 'open' = 'done', chat = direct): number {
  clock.set(at);
  made += 1;
  const where = { groupId: chat.groupId ?? 0, chatId: chat.id, session: `s${made}` };
  store.runs.enqueue({ ...where, key: `k${made}`, kind: 'message', runAt: at, now: at });
  const claimed = store.runs.claim({ holder: 'w', now: at, excludeGroups: [] }) ?? expect.unreachable();
  const tokens = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWrite5mTokens: 0, cacheWrite1hTokens: 0 };
  const facts = { status: 200, stopReason: 'end_turn', durationMs: 1, firstByteMs: 1, requestId: null };
  store.usage.record(
    {
      ...{ ...tokens, ...facts, groupId: where.groupId, runId: claimed.id, at, model: 'm', estimated: false },
      costMicroUsd: 10_000,
    },
    '2026-12-01',
  );
  const lease = { id: claimed.id, holder: 'w', attempt: claimed.attempt };
  if (end === 'done') store.runs.finish(lease, 'done', at + 60_000);
  if (end === 'dead') store.runs.dead(lease, { errorClass: 'unknown', error: 'the *disk* is full', now: at + 60_000 });
  return claimed.id;
}
const asked = (argument = '', { chat = direct, byOwner = true } = {}): string => {
  clock.set(MORNING);
  const [command] = createRecap({ store, clock, config }).commands;
  return command?.answer({ chat, argument, messageId: 1, byOwner, senderId: 1 }) ?? '';
};
const found = (): Recap => {
  clock.set(MORNING);
  return recapOf({ store, clock, config }, { kind: 'all' });
};

test.each([
  ['in the morning', '2026-12-01T07:00:00Z', 'Europe/Berlin', '2026-11-30T17:00:00Z'],
  ['just after midnight it is the same evening', '2026-11-30T23:30:00Z', 'Europe/Berlin', '2026-11-30T17:00:00Z'],
  ['late in the evening it is the one before', '2026-11-30T22:30:00Z', 'Europe/Berlin', '2026-11-29T17:00:00Z'],
  ['on the other side of the world', '2026-11-30T21:00:00Z', 'Australia/Sydney', '2026-11-30T07:00:00Z'],
  ['half hours', '2026-12-01T03:00:00Z', 'Asia/Kolkata', '2026-11-30T12:30:00Z'],
])('yesterday evening: %s', (_name, now, timeZone, evening) => {
  expect(new Date(yesterdayEvening(Date.parse(now), timeZone)).toISOString()).toBe(evening.replace('Z', '.000Z'));
});

describe('how long back', () => {
  test.each([
    ['12h', 12],
    ['3d', 72],
    ['1 day', 24],
    ['48 hours', 48],
    ['0h', undefined],
    ['99d', undefined],
    ['h', undefined],
    ['3w', undefined],
    ['-3h', undefined],
  ])('%s: %s', (text, hours) => expect(hoursOf(text)).toBe(hours));
});

describe('the recap', () => {
  beforeEach(start);

  test('what ended before is left out; what failed says why and what to do; the sum is that of the list', () => {
    run(MORNING - 20 * HOUR_MS);
    const good = run(MORNING - 8 * HOUR_MS);
    const bad = run(MORNING - 5 * HOUR_MS, 'dead');
    const text = asked();
    expect(text.split('\n')).toEqual([
      '**Since yesterday 18:00**: 2 runs, $0.02: 1 done, 1 failed.',
      '',
      `- ✓ 00:00 message ($0.01, run ${good})`,
      `- ✗ 03:00 message ($0.01, run ${bad})`,
      `  **failed**: the \\*disk\\* is full → \`/retry ${bad}\``,
      '',
      `Why: \`/runs ${bad}\``,
      'Stop everything: `/stop all`',
    ]);
    expect(asked('1d').split('\n')[0]).toContain('3 runs, $0.03');
    expect(recapText(found(), TERMINAL_WORDS)).toContain(`the *disk* is full → \`pinch retry ${bad}\``);
  });

  test('a run that began the evening before and still works is there; a quiet night is said to be one', () => {
    expect(asked()).toMatch(/^\*\*Since yesterday 18:00\*\*: nothing was done, and nothing was spent\./);
    run(MORNING - 30 * HOUR_MS, 'open');
    expect(asked()).toContain('1 run, $0.01: 1 not over yet');
  });

  test('the owner sees all in main and elsewhere that group, a member what was done in that chat and no way to act', () => {
    run(MORNING - 5 * HOUR_MS, 'done');
    const bad = run(MORNING - 4 * HOUR_MS, 'dead', family);
    expect(asked()).toContain('2 runs');
    expect(asked('', { chat: family })).toContain('1 run, $0.01: 1 failed');
    const member = asked('', { chat: family, byOwner: false });
    expect(member).toContain(`run ${bad}`);
    expect(member).not.toMatch(/\/retry|\/stop|\/undo|\/approvals/);
    expect(asked('', { chat: direct, byOwner: false })).toContain('1 run, $0.01: 1 done');
  });

  test('times of tasks at which nothing was done are named, with the reason', () => {
    const task = { ...TASK, groupId: direct.groupId ?? 0, chatId: direct.id, title: 'Water' };
    const { id: taskId } = store.tasks.add(task) ?? expect.unreachable();
    const at = MORNING - 3 * HOUR_MS;
    store.tasks.addSlot({ taskId, slotAt: at, state: 'missed', detail: 'nothing ran at the time', count: 4, now: at });
    store.tasks.addSlot({ taskId, slotAt: at - 48 * HOUR_MS, state: 'missed', now: at - 48 * HOUR_MS });
    store.tasks.addSlot({ taskId, slotAt: at + 1, state: 'done', now: at });
    expect(asked()).toContain('05:00 task 1: Water (missed, 4 times: nothing ran at the time)');
    expect(found().missed).toHaveLength(1);
    expect(asked('', { chat: family })).not.toContain('Water');
  });

  test('memory that a run wrote is named until it is written anew or brought back', () => {
    const [first, second] = [run(MORNING - 5 * HOUR_MS), run(MORNING - 4 * HOUR_MS)];
    const wrote = (path: string, runId: number) =>
      store.memory.add(
        {
          ...{ groupId: direct.groupId ?? 0, path, state: 'kept', hash: path, bytes: 1, author: 'run', runId },
          ...{ restores: null, sources: [], secrets: [], at: MORNING },
        },
        'x',
      );
    wrote('memory/a.md', first);
    wrote('memory/b.md', first);
    wrote('memory/b.md', second);
    expect(found().changed).toEqual([
      { run: second, files: ['memory/b.md'] },
      { run: first, files: ['memory/a.md'] },
    ]);
    expect(asked()).toContain('Written to memory: memory/b.md, memory/a.md. Take it back: `/undo`');
  });

  test('of very many runs the failed ones and the last are listed, in the order in which they were', () => {
    const bad = run(MORNING - 10 * HOUR_MS, 'dead');
    for (let n = 0; n < 30; n += 1) run(MORNING - 9 * HOUR_MS + n * 60_000);
    const lines = asked().split('\n');
    expect(lines[0]).toContain('31 runs, $0.31: 30 done, 1 failed');
    expect(lines[2]).toContain(`run ${bad}`);
    expect(lines).toContain('- and 19 more: `/runs`');
  });

  test('anything else is told the way; so is a program', async () => {
    expect(asked('since Easter')).toBe('Write `/recap`, `/recap 12h` or `/recap 3d`.');
    const app = new Hono();
    createRecap({ store, clock, config }).api(app);
    expect((await app.request('/api/recap?hours=0')).status).toBe(400);
    expect(await (await app.request('/api/recap?hours=12')).json()).toMatchObject({
      sum: 'nothing was done, and nothing was spent',
    });
  });
});

const TASK = {
  ...{ key: 't', prompt: 'water', nextAt: null, secret: null, now: 1 },
  ...{
    starts: { kind: 'hook' as const },
    options: { context: 'chat' as const, misfire: 'latest' as const, overlap: 'skip' as const, jitterMs: 0, after: [] },
  },
};
