// A run again: which runs can be, with what, and how both sides are read.
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import type { Run } from '../core/types.js';
import { openStore, type Store } from '../store.js';
import type { PromptMessage } from '../wire.js';
import { type Comparison, comparisonText } from './compare.js';
import { recordDryEnd } from './dry-end.js';
import { comparisonOf, type ReplayRequest, replayRequest, startReplay, withPrompt } from './replay.js';
import { replayCommands } from './replay-chat.js';

let store: Store;
let clock: FakeClock;
let groupId: number;
let chatId: number;
const config = { runtime: 'docker' };

beforeEach(() => {
  [store, clock] = [openStore(':memory:'), createFakeClock()];
  groupId = store.groups.ensure('main', true, 1).id;
  chatId = store.groups.seenChat({ channel: 'web', address: 'a', kind: 'direct', title: 'Home', now: 1 }).id;
  store.groups.assignChat(chatId, groupId);
});

const get = (id: number): Run => store.runs.get(id) ?? expect.unreachable();
function endedRun(kind: 'message' | 'task' | 'hook', state: 'done' | 'dead' | 'cancelled' = 'done'): Run {
  const input = { taskId: 1, title: 't', prompt: 'water', slotAt: 1, late: false, missed: 0 };
  const key = `${kind} ${state}`;
  const of = { key, kind, groupId, chatId, session: key, runAt: 0, now: 0 };
  const id = store.runs.enqueue({ ...of, ...(kind !== 'message' && { input }) }) ?? 0;
  if (kind === 'message') say(id, key);
  store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] });
  const lease = { id, holder: 'w', attempt: 1 };
  if (state === 'dead') store.runs.dead(lease, { now: 2, errorClass: 'unknown', error: 'x' });
  else store.runs.finish(lease, state, 2);
  return get(id);
}
function say(runId: number, platformId: string): void {
  const said = { chatId, platformId, senderName: 'Olga', text: 'go', sentAt: 1, now: 1 };
  store.statements.run<[chatId: number, platformId: string, sender: string, text: string]>(
    `INSERT INTO messages (chat_id, direction, platform_id, sender_name, text, sent_at, received_at) VALUES (?1, 'in', ?2, ?3, ?4, 1, 1)`,
  )(said.chatId, said.platformId, said.senderName, said.text);
  const id = store.messages.find(chatId, platformId)?.id ?? 0;
  store.runs.attachMessage(runId, id);
}
const replay = (run: Run, request: Partial<ReplayRequest> = {}, more = config): Run =>
  startReplay({ store, clock, config: more }, run, replayRequest.parse(request));

test.each([
  'message',
  'task',
  'hook',
] as const)('a run of kind %s can be run again, dead and cancelled ones too', (kind) => {
  for (const state of ['done', 'dead', 'cancelled'] as const) {
    const first = endedRun(kind, state);
    const again = replay(first, { dry: true, model: 'other-1', prompt: 'do less' });
    expect(again).toMatchObject({ kind: 'replay', replayOf: first.id, dry: true, model: 'other-1', prompt: 'do less' });
    expect(again.session).toBe(`dry-${first.id}-1`);
    expect(store.messages.ofRun(again.id)).toEqual(store.messages.ofRun(first.id));
    expect(store.runs.input(again.id)).toEqual(store.runs.input(first.id));
  }
});

test('what cannot be run again says why', () => {
  const first = endedRun('message');
  const again = replay(first);
  expect(() => replay(again)).toThrow('is ready');
  expect(() => replay(first, { dry: true }, { runtime: 'process' })).toThrow('needs containers');
  const other = store.groups.ensure('other', false, 1);
  store.groups.assignChat(chatId, other.id);
  expect(() => replay(first)).toThrow('does not belong to its group any more');
  expect(replay(first, { dry: true }).dry).toBe(true);
  store.statements.run<[]>('DELETE FROM run_messages')();
  expect(() => replay(first, { dry: true })).toThrow(`the messages of run ${first.id} are gone`);
});

test('a replay of a replay repeats what that one was, and is compared with it', () => {
  const second = replay(endedRun('message'), { dry: true });
  store.runs.claimDry({ holder: 'w', now: clock.now() });
  store.runs.finish({ id: second.id, holder: 'w', attempt: 1 }, 'done', 3);
  const third = replay(get(second.id), { dry: true });
  expect(comparisonOf(store, third)).toMatchObject({
    of: second.id,
    original: { run: second.id },
    replay: { run: third.id },
  });
  expect(comparisonOf(store, get(second.replayOf ?? 0))).toBeUndefined();
});

test('a dry run is tried again dry, when somebody retries it too', () => {
  const { id } = replay(endedRun('message'), { dry: true });
  store.runs.claimDry({ holder: 'w', now: clock.now() });
  store.runs.dead({ id, holder: 'w', attempt: 1 }, { now: 3, errorClass: 'unknown', error: 'x' });
  store.runs.revive(id, 4);
  expect(store.runs.claim({ holder: 'w', now: clock.now(), excludeGroups: [] })).toBeUndefined();
  expect(store.runs.claimDry({ holder: 'w', now: clock.now() })).toMatchObject({ id, dry: true });
});

const message = (text: string, mayAsk: boolean): PromptMessage => ({
  id: 1,
  sender: 'A',
  sentAt: 1,
  text,
  media: [],
  mayAsk,
});
test.each([
  [null, ['a', 'b', 'c']],
  ['new', ['a', 'new', 'c']],
])('the words %s stand in the place of the last that ask', (prompt, texts) => {
  const messages = [message('a', true), message('b', true), message('c', false)];
  expect(withPrompt(messages, prompt).map(({ text }) => text)).toEqual(texts);
});

test('the chat that asked is told once, when the dry run is over for good', () => {
  const [command] = replayCommands({ store, clock, config, stopSwitch: { stopped: () => true } });
  const first = endedRun('message');
  const call = { chat: store.groups.chat(chatId) ?? expect.unreachable(), messageId: 1, senderId: 1, byOwner: true };
  const answer = command?.answer({ ...call, argument: `${first.id} dry` });
  expect(answer).toContain('dry: nothing of it leaves this machine');
  expect(answer).toContain('It waits until `/resume`');
  expect(command?.answer({ ...call, argument: 'x' })).toContain('/replay <run>');
  expect(command?.answer({ ...call, argument: '99' })).toContain('There is no run 99');
  const { id } = store.runs.claimDry({ holder: 'w', now: clock.now() }) ?? expect.unreachable();
  recordDryEnd({ store, clock }, { id }, [{ path: 'a', how: 'new' }]);
  expect(store.outbox.list(9)).toEqual([]);
  store.runs.finish({ id, holder: 'w', attempt: 1 }, 'done', clock.now());
  recordDryEnd({ store, clock }, { id }, [{ path: 'a', how: 'new' }]);
  expect(store.outbox.list(9).map(({ text }) => text)).toEqual([expect.stringContaining('- written file: a — new')]);
});

test('what commands wrote is not listed, which is said; memory is, whoever wrote it', () => {
  const first = endedRun('message');
  const tool = (id: number, tool: string, input: string) =>
    store.events.add(id, 1, 'tool_started', { id: 'x', tool, input });
  tool(first.id, 'write', '{"path":"/workspace/memory/a.md","content":"x"}');
  tool(first.id, 'bash', '{"command":"echo > memory/b.md; echo > c.txt"}');
  store.events.add(first.id, 2, 'memory_changed', { files: 'memory/a.md, memory/b.md' });
  const { id } = replay(first, { dry: true });
  tool(id, 'bash', '{"command":"ls"}');
  const comparison = comparisonOf(store, store.runs.get(id) ?? expect.unreachable());
  expect(comparison?.did.map(({ what, about }) => `${what} ${about}`)).toEqual(
    expect.arrayContaining(['written file memory/a.md', 'written file memory/b.md']),
  );
  expect(comparison?.did).toHaveLength(2);
  const note = `Run ${first.id} ran commands: files that commands wrote are not listed, but for its memory.`;
  expect(comparison?.notes).toEqual([note]);
  for (const width of [0, 80]) expect(comparisonText(comparison ?? expect.unreachable(), width)).toContain(note);
});

test('side by side: what both did in one row, then what only the second did, then what it cost', () => {
  const side = {
    run: 1,
    state: 'done' as const,
    models: ['m'],
    costMicroUsd: 12_300,
    durationMs: 2_000,
    modelCalls: 1,
  };
  const act = (what: string, about: string) => ({ what, about, at: 1 });
  const comparison: Comparison = {
    ...{ of: 1, dry: true, original: side, replay: { ...side, run: 2 } },
    did: [act('message', 'to Home'), act('task', 'Water')],
    would: [act('task', 'Water'), act('file', 'a.txt')],
    notes: [],
  };
  expect(comparisonText(comparison, 61).split('\n').slice(1)).toEqual([
    'Run 1 did                     | Run 2 would have done',
    'message: to Home              | –',
    'task: Water                   | task: Water',
    '–                             | file: a.txt',
    'done, m, $0.0123, 2.0 s       | done, m, $0.0123, 2.0 s',
  ]);
  const gone = comparisonText({ ...comparison, original: null, did: [] });
  expect(gone).toContain('Run 1 did (it is gone):\n- nothing');
});

test('a call that was held back stands once, beside the one that was made', () => {
  const first = endedRun('message', 'done');
  const { id } = startReplay({ store, clock, config }, first, { dry: true });
  const ended = { status: 200, why: '', bytesUp: 1, bytesDown: 1, durationMs: 1 };
  const called = { service: 'shop', method: 'POST', path: '/orders', ...ended };
  store.events.add(first.id, 1, 'service', { ...called, verdict: 'allowed' });
  store.events.add(id, 1, 'held_back', { what: 'service', about: 'POST shop /orders', text: 'qty=2' });
  store.events.add(id, 1, 'service', { ...called, verdict: 'held' });
  store.events.add(id, 1, 'mcp', {
    service: 'notes',
    tool: 'add',
    verdict: 'held',
    why: '',
    ok: true,
    chars: 0,
    durationMs: 1,
  });
  const { did, would } = comparisonOf(store, get(id)) ?? expect.unreachable();
  expect([did, would]).toMatchObject([
    [{ about: 'POST shop /orders' }],
    [{ about: 'POST shop /orders', text: 'qty=2' }],
  ]);
  expect(would).toHaveLength(1);
});
