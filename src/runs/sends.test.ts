// What a container may send through the gateway's calls: keyed, limited, and nothing once its run was stopped.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { createContainerCalls } from '../../test/fakes/container-calls.js';
import { createOutboxFiles } from '../delivery/files.js';
import { openStore, type Store } from '../store.js';
import type { FinishReport } from '../wire.js';
import { createHostCalls } from './host-calls.js';

let clock: FakeClock;
let store: Store;
let call: (path: string, body: object) => Promise<unknown>;
let reports: FinishReport[];
let runId: number;
let chatId: number;
const link = { groupId: 1, startedAt: 0, onWork: () => undefined };

beforeEach(() => {
  clock = createFakeClock();
  store = openStore(':memory:');
  reports = [];
  const routes = createHostCalls({
    askToSend: () => undefined,
    checkRoom: () => undefined,
    searchMemory: async () => [],
    ...{
      store,
      clock,
      mediaFile: () => '',
      outboxFiles: createOutboxFiles(mkdtempSync(join(tmpdir(), 'pinch-sends-'))),
    },
    onFinish: (_, report) => reports.push(report) > 0,
  });
  const calls = createContainerCalls(routes, clock);
  call = (path, body) => calls(link, path, body);
  const group = store.groups.ensure('main', true, 1);
  chatId = store.groups.seenChat({ channel: 'web', address: 'a', kind: 'direct', title: 'A', now: 1 }).id;
  store.groups.assignChat(chatId, group.id);
  const run = { key: 'r', kind: 'message' as const, groupId: group.id, chatId, session: 's', runAt: 0, now: 0 };
  runId = store.runs.enqueue(run) ?? 0;
  store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] });
});

const send = (key: string, text = 'x') => call('/send', { runId, key, text });
const ask = () => call('/ask', { runId, key: 'q', question: 'Why?', choices: [] });
const answer = (step: number, text: string) => call(`/runs/${runId}/answer`, { step, text });
const finish = (report: object) => call(`/runs/${runId}/finish`, report);
const allThrow = (calls: Promise<unknown>[], why: string) =>
  Promise.all(calls.map((refused) => expect(refused).rejects.toThrow(why)));
const queued = () => store.outbox.list(500).map(({ key, text }) => [key, text]);

test('a text with which the model ended is one message, however often it is reported', async () => {
  for (const text of ['first', 'first', 'told differently']) await answer(2, text);
  await answer(4, 'second');
  expect(queued()).toEqual([
    [`${runId}:end:4`, 'second'],
    [`${runId}:end:2`, 'first'],
  ]);
});

test('an end without words for people sends nothing', async () => {
  for (const [step, text] of ['', ' \n', '[silent]', ' [Silent] '].entries()) await answer(step, text);
  expect(queued()).toEqual([]);
});

test('a run sends thirty messages a minute; past that it is told so', async () => {
  for (let n = 0; n < 30; n++) await send(`k${n}`);
  await allThrow([send('k30'), answer(1, 'x'), ask()], '30 messages a minute');
  // What is queued may be asked for again: it is the same message.
  expect(await send('k7')).toMatchObject({ queued: true });
  expect(queued()).toHaveLength(30);
});

test('a minute later it may send again, until three hundred', async () => {
  for (let n = 0; n < 300; n++) {
    if (n % 30 === 0) await clock.advance(61_000);
    await send(`k${n}`);
  }
  await clock.advance(61_000);
  await expect(send('k300')).rejects.toThrow(/300 messages/);
});

test('a long text counts by the parts it is sent in', async () => {
  await send('k0', 'x'.repeat(100_000));
  await expect(send('k1', 'x'.repeat(10_000))).rejects.toThrow(/minute/);
  await send('k2', 'short');
});

test('files that wait to be sent may have 200 MB in one group', async () => {
  const waiting = { fileName: 'a', mimeType: 'text/plain', path: 'a', bytes: 200 * 1024 * 1024 - 100 };
  store.outbox.add({ key: 'r:a', chatId, runId, text: '', file: waiting, now: 1 });
  const file = (key: string, body: object) =>
    call(`/file?spec=${encodeURIComponent(JSON.stringify({ runId, key, path: 'out/b.txt', caption: '' }))}`, body);
  await expect(file('k1', { text: 'x'.repeat(100) })).rejects.toThrow('too many files of this group');
  await file('k2', { text: 'x'.repeat(10) });
  expect(store.outbox.list(1)).toMatchObject([{ file: { fileName: 'b.txt', bytes: 21 } }]);
});

test('once its run was stopped, a container sends, asks and answers nothing, but may say how it ended', async () => {
  store.runs.cancel(chatId, null, 2);
  await allThrow([send('k'), ask(), answer(1, 'x')], 'this run was stopped');
  expect(queued()).toEqual([]);
  await finish({ outcome: 'cancelled', handledMessageIds: [] });
  expect(reports).toHaveLength(1);
});

test('a report that cannot be read ends the attempt as failed: the run does not hang', async () => {
  await expect(finish({ outcome: 'done', text: 7 })).rejects.toThrow('text');
  expect(reports).toMatchObject([{ outcome: 'failed', errorClass: 'unknown' }]);
});

test('a report of ten thousand wrong ids ends the attempt as failed, and the refusal stays short', async () => {
  const report = { outcome: 'done', text: '', step: 1, handledMessageIds: Array(10_000).fill('x') };
  await expect(finish(report)).rejects.toThrow(/^.{1,2000}$/s);
  expect(reports).toMatchObject([{ outcome: 'failed' }]);
  const events = (list: object[]) => call(`/runs/${runId}/events`, { events: list });
  await expect(events(Array(10_000).fill({}))).rejects.toThrow(/^.{1,2000}$/s);
  const detail = Object.fromEntries(Array.from({ length: 2_900 }, (_, n) => [`k${n}`, null]));
  await expect(events([{ kind: 'note', at: 1, detail }])).rejects.toThrow(/^.{1,2000}$/s);
});

test('a question lists its choices and has a button for each', async () => {
  await call('/ask', { runId, key: 'q', question: 'Which?', choices: ['Tea', 'Milk'] });
  expect(store.outbox.list(1)).toMatchObject([
    {
      text: 'Which?\n1. Tea\n2. Milk',
      buttons: [
        { label: 'Tea', value: 'choice:1' },
        { label: 'Milk', value: 'choice:2' },
      ],
    },
  ]);
  await call('/ask', { runId, key: 'open', question: 'Why?', choices: [] });
  expect(store.outbox.list(1)).toMatchObject([{ text: 'Why?', buttons: null }]);
});

test('a report that comes again is taken once: not for a run that is over, nor for its next attempt', async () => {
  const lease = { id: runId, holder: 'w', attempt: 1 };
  const failed = { outcome: 'failed', errorClass: 'network', message: 'away', handledMessageIds: [], attempt: 1 };
  expect(await finish(failed)).toEqual({ accepted: true });
  store.runs.giveBack(lease, { errorClass: 'network', error: 'away', counted: true, runAt: 1 });
  await expect(finish(failed)).rejects.toThrow('no such run');
  store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] });
  expect(await finish(failed)).toEqual({ accepted: false });
  expect(await finish({ ...failed, attempt: 2 })).toEqual({ accepted: true });
  store.runs.finish({ ...lease, attempt: 2 }, 'done', 2);
  await expect(finish({ ...failed, attempt: 2 })).rejects.toThrow('no such run');
  expect(reports.map(({ attempt }) => attempt)).toEqual([1, 2]);
});
