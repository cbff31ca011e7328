// What a run takes along of its chat: bounded, once, and nothing silently.
import { beforeEach, describe, expect, test } from 'vitest';
import { openStore, type Store } from '../store.js';

let store: Store;
let chatId: number;
let groupId: number;
let next = 0;

beforeEach(() => {
  store = openStore(':memory:');
  groupId = store.groups.ensure('family', false, 1).id;
  chatId = store.groups.seenChat({ channel: 'telegram', address: '-1', kind: 'group', title: 'Family', now: 1 }).id;
  store.groups.assignChat(chatId, groupId);
});

type Said = { asked?: boolean; command?: boolean; chat?: number };
function say(text: string, { asked = false, command = false, chat = chatId }: Said = {}): number {
  const said = { chatId: chat, direction: 'in' as const, platformId: `p${next++}`, senderId: null, senderName: 'Anna' };
  const id = store.messages.add({ ...said, text, command, sentAt: 1, now: 1, intent: asked ? 'asked' : 'said' });
  if (id === undefined) throw new Error('not stored');
  return id;
}
const ask = (text: string) => say(text, { asked: true });
const chatter = (count: number, text = 'chatter') =>
  store.transaction(() => Array.from({ length: count }, () => say(text)));
const start = (key = `k${next++}`) =>
  store.runs.enqueue({ key, kind: 'message', groupId, chatId, session: 's', runAt: 1, now: 1 }) ?? 0;
const idsOf = (runId: number) => store.messages.ofRun(runId).map(({ id }) => id);
const leftOutOf = (runId: number) => store.runs.leftOut(runId);
const attach = (runId: number, upTo: number) => store.transaction(() => store.runs.attachMessages(runId, chatId, upTo));

test('a backlog of 10,000 messages: the newest 200 go along, the others are counted, and never come later', () => {
  const said = chatter(10_000);
  const [run, question] = [start(), ask('what was it?')];
  attach(run, question);
  expect(idsOf(run)).toEqual([...said.slice(-200), question]);
  expect(leftOutOf(run)).toEqual([{ messageId: said.at(-200), leftOut: 9_800 }]);
  const [second, again] = [start(), ask('and now?')];
  attach(second, again);
  expect([idsOf(second), leftOutOf(second)]).toEqual([[again], []]);
});

test('nobody counts a backlog of years to its end', () => {
  chatter(20_500);
  const [run, question] = [start(), ask('?')];
  attach(run, question);
  expect(leftOutOf(run)).toMatchObject([{ leftOut: 20_000 }]);
});

test.each([
  ['of 2 kB', 2_000, 27],
  ['of 200 bytes in letters of three bytes', 200, 200],
  ['of 100 kB', 100_000, 3],
])('a backlog of messages %s is bounded in bytes', (_name, bytes, fit) => {
  const said = chatter(300, bytes === 200 ? '語'.repeat(31) : 'x'.repeat(bytes));
  const [run, question] = [start(), ask('hm?')];
  attach(run, question);
  expect(idsOf(run)).toEqual([...said.slice(-fit), question]);
  expect(leftOutOf(run)).toEqual([{ messageId: said.at(-fit), leftOut: 300 - fit }]);
});

test('what asks goes along whatever its size, and when nothing else fits beside it', () => {
  const said = chatter(3, 'y'.repeat(50_000));
  const questions = Array.from({ length: 9 }, () => ask('z'.repeat(90_000)));
  const run = start();
  for (const question of questions) attach(run, question);
  expect(idsOf(run)).toEqual(questions);
  expect(leftOutOf(run)).toEqual([{ messageId: questions[0], leftOut: said.length }]);
});

test('a run that waits takes in more questions, and stays within the limit with the chatter between them', () => {
  const run = start();
  const questions = Array.from({ length: 5 }, () => {
    chatter(150);
    const question = ask('?');
    attach(run, question);
    return question;
  });
  expect(idsOf(run)).toHaveLength(205);
  expect(idsOf(run)).toEqual(expect.arrayContaining(questions));
  expect(leftOutOf(run).reduce((sum, { leftOut }) => sum + leftOut, 0)).toBe(550);
});

test('what the runner was given stays with the run; what is steered in is bounded by itself', () => {
  const run = start();
  chatter(200);
  const first = ask('?');
  attach(run, first);
  store.runs.handOver(run, idsOf(run));
  const given = idsOf(run);
  const later = chatter(300);
  const second = ask('!');
  attach(run, second);
  expect(idsOf(run)).toEqual([...given, ...later.slice(-200), second]);
  expect(leftOutOf(run)).toEqual([{ messageId: later.at(-200), leftOut: 100 }]);
});

test('the count goes along to a replay, and to the run that takes over what was not read', () => {
  chatter(500);
  const [run, question] = [start(), ask('?')];
  attach(run, question);
  const [replay, following] = [start(), start()];
  store.runs.copyMessages(run, replay);
  expect(leftOutOf(replay)).toEqual(leftOutOf(run));
  store.runs.moveMessages(run, following, idsOf(run));
  expect([leftOutOf(run), leftOutOf(following)]).toEqual([[], leftOutOf(replay)]);
});

test('more questions than anybody answers: the oldest are left out and counted', () => {
  const run = start();
  const questions = store.transaction(() => Array.from({ length: 520 }, () => ask('?')));
  for (const question of questions) attach(run, question);
  expect(idsOf(run)).toEqual(questions.slice(-500));
  expect(leftOutOf(run)).toEqual([{ messageId: questions[20], leftOut: 20 }]);
});

describe('the cursor of a chat', () => {
  test('commands and what came before /new never go along', () => {
    chatter(3);
    store.groups.newSession(chatId, say('/new', { command: true }));
    const hello = say('hello');
    say('/status', { command: true });
    const [run, question] = [start(), ask('?')];
    attach(run, question);
    expect([idsOf(run), leftOutOf(run)]).toEqual([[hello, question], []]);
  });

  test('a message that was left out and then asks, by an edit, goes along; its neighbours do not', () => {
    const said = chatter(400);
    const [run, question] = [start(), ask('?')];
    attach(run, question);
    const [edited, second] = [said[3] ?? 0, start()];
    store.messages.rewrite(edited, { text: '@Pinch do it', sentAt: 2, intent: 'asked' });
    attach(second, edited);
    attach(second, edited);
    expect([idsOf(second), leftOutOf(second)]).toEqual([[edited], []]);
    expect(idsOf(run)).toHaveLength(201);
  });

  test('chats have a cursor each, and keep it when they come to another group', () => {
    const other = store.groups.seenChat({ channel: 'telegram', address: '-2', kind: 'group', title: 'B', now: 1 }).id;
    const elsewhere = say('elsewhere', { chat: other });
    chatter(2);
    const [run, question] = [start(), ask('?')];
    attach(run, question);
    expect(idsOf(run)).not.toContain(elsewhere);
    store.groups.assignChat(chatId, store.groups.ensure('work', false, 1).id);
    const [second, again] = [start(), ask('!')];
    attach(second, again);
    expect(idsOf(second)).toEqual([again]);
  });

  test('a transaction that fails takes nothing along', () => {
    chatter(5);
    const [run, question] = [start(), ask('?')];
    expect(() =>
      store.transaction(() => {
        store.runs.attachMessages(run, chatId, question);
        throw new Error('the disk is full');
      }),
    ).toThrow('the disk is full');
    expect(idsOf(run)).toEqual([]);
    attach(run, question);
    expect(idsOf(run)).toHaveLength(6);
  });
});
