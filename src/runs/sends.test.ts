// What a container may send through the gateway's calls: keyed, limited, and nothing once its run was stopped.
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { createSignals } from '../core/signals.js';
import { createOutboxFiles } from '../delivery/files.js';
import { openStore, type Store } from '../store.js';
import type { FinishReport } from '../wire.js';
import { createHostApi, type HostApi } from './host-calls.js';

let clock: FakeClock;
let store: Store;
let api: HostApi;
let reports: FinishReport[];
let runId: number;
let chatId: number;
const link = { groupId: 1, onWork: () => undefined };

beforeEach(() => {
  clock = createFakeClock();
  store = openStore(':memory:');
  const signals = createSignals();
  reports = [];
  api = createHostApi({
    ...{ store, signals, clock, mediaFile: () => '', outboxFiles: createOutboxFiles('/nowhere') },
    onFinish: (_, report) => reports.push(report) > 0,
  });
  const group = store.groups.ensure('main', true, 1);
  chatId = store.groups.seenChat({ channel: 'web', address: 'a', kind: 'direct', title: 'A', now: 1 }).id;
  store.groups.assignChat(chatId, group.id);
  const run = { key: 'r', kind: 'message' as const, groupId: group.id, chatId, session: 's', runAt: 0, now: 0 };
  runId = store.runs.enqueue(run) ?? 0;
  store.runs.claim({ owner: 'w', now: 1, leaseMs: 1, excludeGroups: [] });
});

const send = (key: string, text = 'x') => api.send(link, { runId, key, text });
const queued = () => store.outbox.list(500).map(({ key, text }) => [key, text]);

test('a text with which the model ended is one message, however often it is reported', () => {
  for (const text of ['first', 'first', 'told differently']) api.answer(link, runId, { step: 2, text });
  api.answer(link, runId, { step: 4, text: 'second' });
  expect(queued()).toEqual([
    [`${runId}:end:4`, 'second'],
    [`${runId}:end:2`, 'first'],
  ]);
});

test('an end without words for people sends nothing', () => {
  for (const [step, text] of ['', ' \n', '[silent]', ' [Silent] '].entries()) api.answer(link, runId, { step, text });
  expect(queued()).toEqual([]);
});

test('a run sends thirty messages a minute; past that it is told so', () => {
  for (let n = 0; n < 30; n++) send(`k${n}`);
  expect(() => send('k30')).toThrow(/30 messages a minute/);
  expect(() => api.answer(link, runId, { step: 1, text: 'x' })).toThrow(/30 messages a minute/);
  expect(() => api.ask(link, { runId, key: 'q', question: 'Why?', choices: [] })).toThrow(/30 messages a minute/);
  // What is queued may be asked for again: it is the same message.
  expect(send('k7')).toMatchObject({ queued: true });
  expect(queued()).toHaveLength(30);
});

test('a minute later it may send again, until three hundred', async () => {
  for (let n = 0; n < 300; n++) {
    if (n % 30 === 0) await clock.advance(61_000);
    send(`k${n}`);
  }
  await clock.advance(61_000);
  expect(() => send('k300')).toThrow(/300 messages/);
});

test('a long text counts by the parts it is sent in', () => {
  send('k0', 'x'.repeat(100_000));
  expect(() => send('k1', 'x'.repeat(10_000))).toThrow(/minute/);
  send('k2', 'short');
});

test('once its run was stopped, a container sends, asks and answers nothing, but may say how it ended', () => {
  store.runs.cancel(chatId, null, 2);
  for (const call of [
    () => send('k'),
    () => api.ask(link, { runId, key: 'q', question: 'Why?', choices: [] }),
    () => api.answer(link, runId, { step: 1, text: 'x' }),
  ])
    expect(call).toThrow('this run was stopped');
  expect(queued()).toEqual([]);
  api.finish(link, runId, { outcome: 'cancelled', text: '', handledMessageIds: [] });
  expect(reports).toHaveLength(1);
});

test('a report that cannot be read ends the attempt as failed: the run does not hang', () => {
  expect(() => api.finish(link, runId, { outcome: 'done', text: 7 })).toThrow();
  expect(reports).toMatchObject([{ outcome: 'failed', errorClass: 'unknown' }]);
});

test('a report of a hundred thousand wrong ids ends the attempt as failed, and the refusal stays short', () => {
  const report = { outcome: 'done', text: '', step: 1, handledMessageIds: Array(100_000).fill('x') };
  expect(() => api.finish(link, runId, report)).toThrow(/^.{1,2000}$/s);
  expect(reports).toMatchObject([{ outcome: 'failed' }]);
  expect(() => api.events(link, runId, { events: Array(500_000).fill({}) })).toThrow(/^.{1,2000}$/s);
  const detail = Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`k${n}`, null]));
  expect(() => api.events(link, runId, { events: [{ kind: 'note', at: 1, detail }] })).toThrow(/^.{1,2000}$/s);
});
