import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { needsCompaction } from './compact.js';
import type { Block, Entry, HistoryRecord } from './records.js';
import { INTERRUPTED, lastReply, textBlock, toMessages } from './records.js';
import { type KeptHistories, openSession } from './session.js';
import { makePaths } from './testing/setup.js';

const MODEL = 'claude-sonnet-5-5';
const user = (text: string, id = 1): Entry => ({
  kind: 'user',
  origin: 'messages',
  messageIds: [id],
  content: [textBlock(text)],
});
const assistant = (content: Block[], stopReason = 'end_turn', tokens = 0): Entry => ({
  kind: 'assistant',
  model: MODEL,
  stopReason,
  tokens,
  content,
});
const results = (id: string): Entry => ({
  kind: 'user',
  origin: 'results',
  messageIds: [],
  content: [{ type: 'tool_result', tool_use_id: id }],
});
const call = (id: string): Block => ({ type: 'tool_use', id, name: 'bash', input: {} });
const done = (id: string): Entry => ({
  kind: 'tool_done',
  result: { type: 'tool_result', tool_use_id: id, content: 'ok' },
});
const history = (...entries: Entry[]): HistoryRecord[] =>
  entries.map((entry, at) => ({ seq: at + 1, ts: 0, runId: 1, ...entry }));
const shape = (...entries: Entry[]) =>
  toMessages(history(...entries), { model: MODEL }).map((m) => `${m.role}: ${m.content.map((b) => b.type).join(' ')}`);

test('a call without a result is told as interrupted, one with a record gets it, and results come first', () => {
  const records = history(user('a'), assistant([call('x'), call('y')], 'tool_use'), done('y'), user('b', 2));
  const last = toMessages(records, { model: MODEL }).at(-1)?.content;
  expect(last).toEqual([
    { type: 'tool_result', tool_use_id: 'x', is_error: true, content: INTERRUPTED },
    { type: 'tool_result', tool_use_id: 'y', content: 'ok' },
    textBlock('b'),
  ]);
});

test.each<[string, Entry[], string[]]>([
  ['an empty reply is dropped', [user('a'), assistant([]), user('b')], ['user: text text']],
  ['blank text is dropped', [user('a'), assistant([textBlock(' \n')]), user('b')], ['user: text text']],
  ['a reply before any message is dropped', [assistant([textBlock('x')]), user('a')], ['user: text']],
  [
    'a lost results line between two replies is filled in',
    [user('a'), assistant([call('x')], 'tool_use'), assistant([textBlock('b')])],
    ['user: text', 'assistant: tool_use', 'user: tool_result', 'assistant: text'],
  ],
  ['results whose call was lost are dropped', [user('a'), results('x')], ['user: text']],
  [
    'a summary replaces what came before',
    [user('a'), assistant([textBlock('b')]), { kind: 'compact', content: [textBlock('s')] }, user('c')],
    ['user: text text'],
  ],
])('%s', (_name, entries, expected) => {
  expect(shape(...entries)).toEqual(expected);
});

test('thinking goes back to its own model only', () => {
  const records = history(user('a'), assistant([{ type: 'thinking', thinking: '', signature: 's' }, call('x')]));
  expect(toMessages(records, { model: MODEL })[1]?.content).toHaveLength(2);
  expect(toMessages(records, { model: 'claude-opus-5-5' })[1]?.content).toHaveLength(1);
});

test('the final text is the last reply with the parts it continues', () => {
  const go: Entry = { kind: 'user', origin: 'continue', messageIds: [], content: [textBlock('continue')] };
  const cut = assistant([textBlock('one ')], 'max_tokens');
  expect(
    lastReply(history(user('a'), assistant([textBlock('old')]), user('b'), cut, go, assistant([textBlock('two')]))),
  ).toMatchObject({ text: 'one two', step: 6 });
});

test('compaction waits for progress after the last one', () => {
  const full = assistant([textBlock('x')], 'end_turn', 200_000);
  const summary: Entry = { kind: 'compact', content: [textBlock('s')] };
  expect(needsCompaction(history(user('a'), full), 150_000)).toBe(true);
  expect(needsCompaction(history(user('a'), full, summary), 150_000)).toBe(false);
  expect(needsCompaction(history(user('a'), summary, full), 150_000)).toBe(false);
  expect(needsCompaction(history(summary, full, full, full), 150_000)).toBe(true);
});

test('a line that a crash cut off is removed, and the next one is whole', () => {
  const { sessions: dir, root } = makePaths();
  const open = () => openSession({ dir, name: 'main-1', runId: 1 });
  const first = open();
  first.append(user('one'));
  first.close();
  const file = path.join(dir, 'main-1.jsonl');
  for (const torn of ['{"seq":2,"ki', '\u0000\u0000', '{"seq":2,"text":"ü'.slice(0, -1)]) {
    fs.appendFileSync(file, torn);
    const session = open();
    expect(session.knows(1)).toBe(true);
    session.append({ kind: 'todo', items: [] });
    session.close();
  }
  const again = open();
  expect(again.records.map((r) => r.seq)).toEqual([1, 2, 3, 4]);
  again.close();
  fs.rmSync(root, { recursive: true });
});

test('a session name cannot leave the folder', () => {
  const { sessions: dir, root } = makePaths();
  const session = openSession({ dir, name: '../../evil', runId: 1 });
  expect(fs.readdirSync(dir)).toEqual(['evil.jsonl']);
  session.close();
  fs.rmSync(root, { recursive: true });
});

test('a history is not read again by the next run, unless somebody else changed it', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'kept-'));
  const kept: KeptHistories = new Map();
  const open = (runId: number) => openSession({ dir, name: 'main-1', runId, kept });
  const first = open(1);
  first.note({ kind: 'user', origin: 'messages', messageIds: [1], content: [textBlock('hello')] });
  // Another process, after this one was killed here, finds it.
  expect(openSession({ dir, name: 'main-1', runId: 2 }).knows(1)).toBe(true);
  first.close();
  const second = open(2);
  expect(second.records[0]).toBe(first.records[0]);
  second.close();
  fs.appendFileSync(
    path.join(dir, 'main-1.jsonl'),
    `${JSON.stringify({ ...second.records[0], seq: 2, messageIds: [7] })}\n`,
  );
  const third = open(3);
  expect([third.records.length, third.knows(7)]).toEqual([2, true]);
  third.close();
});

test('what stands before a reply is on disk when the reply is', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'synced-'));
  const sync = vi.spyOn(fs, 'fdatasyncSync');
  const session = openSession({ dir, name: 'main-1', runId: 1 });
  session.note({ kind: 'user', origin: 'messages', messageIds: [1], content: [textBlock('hello')] });
  expect(sync).toHaveBeenCalledTimes(0);
  session.append({ kind: 'assistant', model: 'm', stopReason: 'end_turn', tokens: 0, content: [textBlock('ok')] });
  expect(sync).toHaveBeenCalledTimes(1);
  session.note({ kind: 'user', origin: 'messages', messageIds: [2], content: [textBlock('again')] });
  // A run that failed tells the host which messages it had.
  session.close();
  expect(sync).toHaveBeenCalledTimes(2);
  sync.mockRestore();
});
