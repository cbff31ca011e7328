// Topics of a forum: chats of their own, registered one by one or all together.
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import type { InboundMessage } from '../channels/channel.js';
import { openStore, type Store } from '../store.js';
import { chatCommands } from './commands.js';
import { createIntake, type Intake } from './intake.js';
import { createPairing } from './pairing.js';

let store: Store;
let clock: FakeClock;
let intake: Intake;
let calls: string[];

beforeEach(() => {
  store = openStore(':memory:');
  clock = createFakeClock();
  calls = [];
  const none = () => undefined;
  const control = { status: () => ({ text: 'all is well' }), emergencyStop: none };
  const config = { assistantName: 'Pinch' };
  intake = createIntake({
    ...{ store, clock, assistantName: 'Pinch', log: pino({ level: 'silent' }), pairing: createPairing(store) },
    askToRegister: { forCall: ({ title }) => void calls.push(title) },
    commands: chatCommands({ store, clock, config, control, resumeButtons: () => [] }),
    owner: { channel: 'telegram', address: '1' },
  });
});

let lastId = 0;
function says(address: string, text: string, change: Partial<InboundMessage> = {}) {
  lastId += 1;
  const kind = address.startsWith('-') ? 'group' : 'direct';
  const message: InboundMessage = {
    chat: { address, kind, title: `title of ${address}` },
    sender: { address: '1', name: 'Olga' },
    ...{ platformId: `${lastId}`, text, sentAt: clock.now() },
    ...{ addressesAssistant: true, forwarded: false, edited: false, media: [] },
    ...change,
  };
  return intake.receive('telegram', message);
}
const chat = (address: string) => store.groups.chatByAddress('telegram', address);
function folderOf(address: string): string | undefined {
  const groupId = chat(address)?.groupId ?? undefined;
  return groupId === undefined ? undefined : store.groups.get(groupId)?.folder;
}
const lastReply = () => store.outbox.list(1)[0]?.text;
const byBen = { sender: { address: '2', name: 'Ben' } };

describe('registering', () => {
  test('in one topic it is for that topic; the others and General stay as they are', () => {
    says('-9/45', '/register garden');
    expect(lastReply()).toMatch(/^This topic now belongs to the group `garden`.*`\/register garden forum`/);
    for (const address of ['-9/45', '-9/46', '-9', '-9/4', '-9/450', '-90/45']) says(address, 'hello', byBen);
    expect(['-9/45', '-9/46', '-9', '-9/4', '-9/450', '-90/45'].map(folderOf)).toEqual(['garden', ...Array(5)]);
    expect(calls).toEqual(['-9/46', '-9', '-9/4', '-9/450', '-90/45'].map((address) => `title of ${address}`));
  });

  test.each([
    '-9',
    '-9/45',
    '-9/46',
  ])('written in %s with `forum`, it is for all topics, those to come too', (where) => {
    says('-9/45', 'before', byBen);
    says(where, '/register home forum listed 2');
    expect(lastReply()).toMatch(/^This chat with all its topics/);
    for (const address of ['-9', '-9/45', '-9/46', '-9/47', '-8', '-90', '-90/45', '-9x/45']) says(address, 'x', byBen);
    expect(['-9', '-9/45', '-9/46', '-9/47'].map(folderOf)).toEqual(Array(4).fill('home'));
    expect(['-8', '-90', '-90/45', '-9x/45'].map(folderOf)).toEqual(Array(4));
    expect(chat('-9/47')).toMatchObject({ sendersPolicy: 'listed', listedSenders: ['2'] });
  });

  test('each topic works in a session of its own; what one waits for is not ended in another', () => {
    says('-9', '/register home forum');
    const runs = ['-9', '-9/45', '-9/46'].map((address) => store.runs.get(says(address, 'hi', byBen).runId ?? 0));
    expect(new Set(runs.map((run) => run?.session)).size).toBe(3);
    expect(new Set(runs.map((run) => run?.groupId)).size).toBe(1);
    says('-9/45', '/stop');
    expect(runs.map((run) => store.runs.get(run?.id ?? 0)?.state)).toEqual(['ready', 'cancelled', 'ready']);
  });

  test('one topic may leave the rest, or be taken back; its runs for the old group end', () => {
    says('-9', '/register home forum');
    const { runId } = says('-9/45', 'hi', byBen);
    says('-9/45', '/register garden');
    expect(store.runs.get(runId ?? 0)?.state).toBe('cancelled');
    says('-9', '/register general');
    expect(['-9', '-9/45'].map(folderOf)).toEqual(['general', 'garden']);
    says('-9/48', 'x', byBen);
    expect(folderOf('-9/48')).toBe('home');
    says('-9', '/register all-again forum');
    expect(['-9', '-9/45', '-9/48'].map(folderOf)).toEqual(Array(3).fill('all-again'));
  });

  test('only the owner registers a forum', () => {
    says('-9', '/register home forum', byBen);
    says('-9/45', 'x', byBen);
    expect(['-9', '-9/45'].map(folderOf)).toEqual(Array(2));
  });

  test('what a group without topics is registered for last is what counts for the topics that it gets', () => {
    says('-9', '/register home forum');
    says('-9', '/register other listed 2');
    says('-9/45', 'x', byBen);
    expect(['-9', '-9/45'].map(folderOf)).toEqual(['other', undefined]);
  });

  test('a group that is registered with its topics before it may have any keeps that as a supergroup', () => {
    says('-9', '/register home forum');
    for (let news = 0; news < 2; news++) intake.chatMoved('telegram', '-9', '-1009');
    says('-1009/45', 'x', byBen);
    expect(['-1009', '-1009/45'].map(folderOf)).toEqual(['home', 'home']);
  });
});

test.each(['11/7', '11/8', '11'])("the owner's direct chat %s is the main group", (address) => {
  says(address, 'hi');
  expect(folderOf(address)).toBe('main');
});

test('pairing works in a topic of a direct chat, and the answer goes there', () => {
  const code = createPairing(store).code('telegram');
  says('5/7', `/pair ${code}`, { sender: { address: '5', name: 'Eve' } });
  expect(folderOf('5/7')).toBe('main');
  expect(store.outbox.list(1)[0]).toMatchObject({ chatId: chat('5/7')?.id });
});

test('`/status` says which topic it is written in, and where that belongs', () => {
  says('-9/45', '/status');
  expect(lastReply()).toContain('- this chat: title of -9/45 (`telegram:-9/45`), not registered');
  says('-9/45', '/register garden');
  says('-9/45', '/status', byBen);
  expect(lastReply()).toContain('(`telegram:-9/45`), group garden');
});

test.each([
  ['telegram:-9/45', '-9/45'],
  ['telegram:-9', '-9'],
  ['telegram:-9/1', '-9'],
  ['telegram:11/1', '11/1'],
  ['telegram:-9/', undefined],
  ['telegram:-9/4', undefined],
])('%s is found by its address', (name, address) => {
  for (const one of ['-9', '-9/45', '11/1']) says(one, 'x');
  expect(store.groups.findChat(name)?.address).toBe(address);
});

describe('a press or a reaction that comes without its topic', () => {
  const question = (address: string, platformId: string) => {
    const chatId = chat(address)?.id ?? 0;
    const key = `q${platformId}`;
    store.outbox.add({
      key,
      chatId,
      runId: null,
      text: 'Tea?',
      buttons: [{ label: 'Yes', value: 'choice:1' }],
      now: 1,
    });
    const outboxId = store.outbox.list(1)[0]?.id ?? 0;
    const out = { direction: 'out' as const, senderId: null, senderName: 'Pinch', text: 'Tea?', sentAt: 1, now: 1 };
    store.messages.add({ ...out, chatId, platformId, outboxId });
  };
  const press = (address: string, platformId: string, value = 'choice:1') =>
    says(address, '', { press: { platformId, value } });

  test.each([
    ['-9', '-9/45', '700'],
    ['-9', '-9', '701'],
    ['11', '11/7', '700'],
    ['-9/45', '-9/45', '702'],
  ])('in %s, it is taken in the chat %s of its message', (told, address, platformId) => {
    says('-9', '/register home forum');
    for (const one of ['-9/45', '-9/46', '11/7', '-90/1']) says(one, '/register home');
    question(address, platformId);
    const { runId } = press(told, platformId);
    expect(store.runs.get(runId ?? 0)).toMatchObject({ chatId: chat(address)?.id });
    expect(chat(address)?.title).toBe(`title of ${address}`);
  });

  test('a message of another forum is not meant', () => {
    for (const one of ['-9', '-90/45']) says(one, '/register home');
    question('-90/45', '700');
    expect(press('-9', '700').runId).toBeUndefined();
  });

  test('a reaction to words of a person becomes context of that topic', () => {
    says('-9', '/register home forum');
    const { messageId } = says('-9/45', 'look', byBen);
    const { platformId } = store.messages.get(messageId ?? 0) ?? { platformId: '' };
    const { messageId: reaction } = says('-9', '[reaction 👍]', {
      contextOnly: true,
      press: { platformId, value: '👍' },
    });
    expect(store.messages.get(reaction ?? 0)).toMatchObject({ chatId: chat('-9/45')?.id, text: '[reaction 👍]' });
  });
});
