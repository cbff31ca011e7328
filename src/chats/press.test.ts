// Buttons, reactions and one-word replies: who answers what, and how often. The rows are real; the card is one that delivery would have sent.
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import type { Button, InboundMessage } from '../channels/channel.js';
import { isOwnWord } from '../egress/own-words.js';
import type { Press } from '../groups/press.js';
import { openStore, type Store } from '../store.js';
import { chatCommands } from './commands.js';
import { createIntake, type Intake } from './intake.js';
import { createPairing } from './pairing.js';

let store: Store;
let clock: FakeClock;
let intake: Intake;
/** What was offered to whoever answers presses, and what it says. */
let offered: Press[];
let answer: string | undefined;
let again: boolean;
let stopped: string[];

beforeEach(() => {
  store = openStore(':memory:');
  clock = createFakeClock();
  [offered, stopped] = [[], []];
  [answer, again] = ['done', false];
  const control = {
    status: () => ({ text: 'well' }),
    emergencyStop: (reason: string) => void stopped.push(reason),
  };
  intake = createIntake({
    askToRegister: { forCall: () => undefined },
    ...{ store, clock, log: pino({ level: 'silent' }), pairing: createPairing(store), assistantName: 'Pinch' },
    commands: chatCommands({ store, clock, config: { assistantName: 'Pinch' }, control, resumeButtons: () => [] }),
    owner: { channel: 'telegram', address: '1' },
    onPress(press) {
      offered.push(press);
      return answer === undefined ? undefined : { text: answer, again };
    },
  });
  receive({ text: '/register family', chat: family });
});

const family: InboundMessage['chat'] = { address: '-5', kind: 'group', title: 'Family' };
const direct: InboundMessage['chat'] = { address: '1', kind: 'direct', title: 'Olga' };
const olga = { address: '1', name: 'Olga' };
const ben = { address: '2', name: 'Ben' };

let nextId = 100;
function receive(message: Partial<InboundMessage>) {
  const platformId = String(nextId++);
  const plain = { text: '', addressesAssistant: false, forwarded: false, edited: false, media: [] };
  return intake.receive('telegram', {
    ...{ chat: direct, sender: olga, platformId, sentAt: clock.now(), ...plain },
    ...message,
  });
}

const chatOf = ({ address }: { address: string }) => store.groups.chatByAddress('telegram', address)?.id ?? 0;

/** What delivery does once the platform took the message. Returns its platform id. */
function sent(key: string, buttons: Button[] | undefined, to = family, runId: number | null = null): string {
  receive({ text: 'hi', chat: to, addressesAssistant: true });
  const chatId = chatOf(to);
  const text = `card ${key}`;
  store.outbox.add({ key, chatId, runId, text, buttons, now: 1 });
  const outboxId = store.outbox.list(1)[0]?.id ?? 0;
  const by = { senderId: null, senderName: 'Pinch', sentAt: 1, now: 1, runId };
  store.outbox.sent(outboxId, 1);
  store.messages.add({ chatId, direction: 'out', platformId: `p-${key}`, text, outboxId, ...by });
  return `p-${key}`;
}

const press = (platformId: string, value: string, more: Partial<InboundMessage> = {}) =>
  receive({ press: { platformId, value }, platformId: `press-${nextId++}`, chat: family, ...more });
const react = (platformId: string, value: string, more: Partial<InboundMessage> = {}) =>
  press(platformId, value, { text: `[reaction ${value}]`, contextOnly: true, ...more });
const reply = (platformId: string, text: string, more: Partial<InboundMessage> = {}) =>
  receive({ text, chat: family, replyTo: { platformId, sender: 'Pinch', text: 'card' }, ...more });
/** Whose buttons are to be taken away. */
const dropped = () => store.outbox.buttonsToDrop().map(({ platformId }) => platformId);
const said = () => store.outbox.list(99).flatMap(({ key, text }) => (key.startsWith('press:') ? [text] : []));
const values = () => offered.map(({ value }) => value);
const texts = (runId: number | undefined) => store.messages.ofRun(runId ?? 0).map(({ text }) => text);

const allow = [
  { label: 'Allow', value: 'allow:7' },
  { label: 'Deny', value: 'deny:7' },
];
const choices = [
  { label: 'Tea', value: 'choice:1' },
  { label: '/stop all', value: 'choice:2' },
  { label: 'https://evil.example/?secret', value: 'choice:3' },
];

describe('a card', () => {
  test('goes to whoever answers it, by its key; the answer is said in the chat, no run begins', () => {
    const card = sent('card:7', allow);
    const before = store.runs.list(null, 99);
    expect(press(card, 'allow:7')).toMatchObject({ runId: undefined });
    expect(offered).toMatchObject([
      { key: 'card:7', value: 'allow:7', isOwner: true, by: 'Olga', chat: { address: '-5' } },
    ]);
    expect(store.outbox.list(1)).toMatchObject([{ key: expect.stringMatching(/^press:\d+:press-\d+$/), text: 'done' }]);
    expect(store.runs.list(null, 99)).toEqual(before);
    expect(dropped()).toEqual([card]);
  });

  test('a press that comes again after a restart counts once', () => {
    const card = sent('card:7', allow);
    for (let n = 0; n < 3; n++) press(card, 'allow:7', { platformId: 'press-1' });
    react(card, '👍', { platformId: 'reaction-1' });
    react(card, '👍', { platformId: 'reaction-1' });
    reply(card, 'yes', { platformId: '77' });
    reply(card, 'yes', { platformId: '77' });
    expect(values()).toEqual(['allow:7', '👍', 'yes']);
    expect(said()).toHaveLength(3);
  });

  test('its buttons count once, whoever pressed first', () => {
    const card = sent('card:7', allow);
    expect(store.outbox.openButtons(chatOf(family), card)).toEqual(allow);
    press(card, 'allow:7');
    expect(store.outbox.openButtons(chatOf(family), card)).toEqual([]);
    store.outbox.buttonsGone(store.outbox.buttonsToDrop()[0]?.id ?? 0);
    // The second person still saw buttons.
    press(card, 'deny:7', { sender: ben });
    expect(values()).toEqual(['allow:7']);
    expect(dropped()).toEqual([card]);
  });

  test('a press that could not count yet leaves the buttons as they are', () => {
    const card = sent('card:7', allow);
    again = true;
    press(card, 'allow:7');
    expect([said(), dropped(), store.outbox.openButtons(chatOf(family), card)]).toEqual([['done'], [], allow]);
    again = false;
    press(card, 'allow:7');
    expect([values(), dropped()]).toEqual([['allow:7', 'allow:7'], [card]]);
  });

  test('a stranger who has no say leaves it as it is', () => {
    const card = sent('card:7', allow);
    answer = undefined;
    press(card, 'allow:7', { sender: ben });
    expect(offered).toMatchObject([{ isOwner: false, by: 'Ben' }]);
    expect([said(), dropped()]).toEqual([[], []]);
    answer = 'done';
    press(card, 'allow:7');
    expect(said()).toEqual(['done']);
  });

  test.each([
    ['a message that is not ours', 'p-unknown', 'allow:7'],
    ['a value that no button has', 'p-card:7', 'allow:8'],
    ['a choice that no button has', 'p-card:7', 'choice:1'],
    ['the text of a card that a person wrote', 'forged', 'allow:7'],
    ['our own message without buttons', 'p-plain', 'allow:7'],
  ])('a press on %s is nothing', (_name, platformId, value) => {
    sent('card:7', allow);
    sent('plain', undefined);
    receive({ text: 'card card:7', platformId: 'forged', chat: family, sender: ben });
    const runs = store.runs.list(null, 99).length;
    expect(press(platformId, value)).toEqual({});
    expect([offered, said()]).toEqual([[], []]);
    // Those of the card are for others to press.
    expect(dropped()).toEqual([]);
    expect(store.runs.list(null, 99)).toHaveLength(runs);
  });

  test('of another chat with the same id is another message', () => {
    sent('card:7', allow, direct);
    press('p-card:7', 'allow:7', { chat: family });
    expect(offered).toEqual([]);
  });

  test('a press is no context: the model never sees it', () => {
    const card = sent('card:7', allow);
    press(card, 'allow:7');
    const { runId } = receive({ text: '@Pinch go on', chat: family });
    expect(texts(runId)).not.toContain('Allow');
    // People do, on the page.
    expect(store.messages.latest(chatOf(family), 2)).toMatchObject([
      { text: 'Allow', replyTo: { platformId: card } },
      { text: '@Pinch go on' },
    ]);
  });
});

describe('reactions and words', () => {
  test('a reaction is an answer, whatever the colour of the thumb', () => {
    const card = sent('card:7', allow);
    for (const value of ['👍🏽', '👎', '❤️', '']) react(card, value);
    expect(values()).toEqual(['👍', '👎', '❤', '']);
  });

  test('one that nobody answers is context, as any other', () => {
    answer = undefined;
    const card = sent('card:7', allow);
    react(card, '🎉', { sender: ben });
    react('p-unknown', '👍', { sender: ben });
    expect(store.messages.latest(chatOf(family), 2).map(({ text }) => text)).toEqual([
      '[reaction 🎉]',
      '[reaction 👍]',
    ]);
    expect([said(), dropped()]).toEqual([[], []]);
    expect(store.outbox.openButtons(chatOf(family), card)).toEqual(allow);
  });

  test.each(['yes', ' YES ', 'no', 'OK', '👍🏿', '👎', 'Allow', 'always', 'deny'])('the owner replies %j', (text) => {
    const card = sent('card:7', allow);
    expect(reply(card, text)).toMatchObject({ runId: undefined });
    expect(values()).toEqual([text.trim().toLowerCase().replace('🏿', '')]);
    expect(said()).toEqual(['done']);
    expect(dropped()).toEqual([card]);
  });

  test.each([
    ['other words', { text: 'yes please' }],
    ['somebody else', { sender: ben }],
    ['a forward', { forwarded: true }],
    ['an edit', { edited: true }],
    ['a reply to a person', { replyTo: { platformId: 'x', sender: 'Pinch', text: 'card card:7' } }],
    ['no reply at all', { replyTo: undefined }],
  ])('%s: not an answer but words', (_name, change) => {
    const card = sent('card:7', allow);
    const { messageId } = reply(card, 'yes', change);
    expect([offered, said()]).toEqual([[], []]);
    expect(store.messages.get(messageId ?? 0)?.text).toMatch(/^yes/);
  });

  test('a word that nobody answers goes to the model, with what it answers', () => {
    answer = undefined;
    const card = sent('question', undefined);
    const { runId } = reply(card, 'yes');
    expect(texts(runId).at(-1)).toBe('yes');
  });
});

describe('a choice of a question', () => {
  beforeEach(() => {
    answer = undefined;
  });

  test('is what the person says: a message that starts a run and quotes the question', () => {
    const question = sent('3:ask', choices);
    const { messageId, runId } = press(question, 'choice:1', { sender: ben });
    expect(texts(runId).at(-1)).toBe('Tea');
    expect(store.messages.get(messageId ?? 0)).toMatchObject({
      senderName: 'Ben',
      replyTo: { platformId: question },
      role: 'member',
    });
    press(question, 'choice:3');
    expect(texts(runId)).not.toContain('https://evil.example/?secret');
  });

  test('goes to the conversation that asked', () => {
    const groupId = store.groups.ensure('family', false, 1).id;
    const task = {
      key: 't',
      kind: 'task' as const,
      groupId,
      chatId: chatOf(family),
      session: 'task4',
      runAt: 1,
      now: 1,
    };
    const question = sent('4:ask', choices, family, store.runs.enqueue(task) ?? null);
    const { runId } = press(question, 'choice:1');
    expect(store.runs.get(runId ?? 0)?.session).toBe('task4');
  });

  test('only of somebody who may ask there', () => {
    receive({ text: '/register family listed 3', chat: family });
    const question = sent('3:ask', choices);
    const runs = store.runs.list(null, 99).length;
    press(question, 'choice:1', { sender: ben });
    expect(store.runs.list(null, 99)).toHaveLength(runs);
    expect(dropped()).toEqual([]);
    expect(texts(press(question, 'choice:1').runId).at(-1)).toBe('Tea');
  });

  test('is never a command of the person, nor their own word: the agent wrote it', () => {
    const stop = press(sent('3:ask', choices), 'choice:2');
    expect(texts(stop.runId).at(-1)).toBe('/stop all');
    expect(stopped).toEqual([]);
    const link = press(sent('4:ask', choices), 'choice:3');
    const row = store.messages.get(link.messageId ?? 0);
    expect(row && isOwnWord(row)).toBe(false);
  });

  test('does nothing in a chat without a group', () => {
    receive({ text: 'x', chat: { ...family, address: '-6' } });
    const chat = { ...family, address: '-6' };
    expect(press(sent('3:ask', choices, chat), 'choice:1', { chat, sender: ben })).toEqual({});
  });
});

describe('the button below what a run does', () => {
  const state = (runId: number | undefined) => store.runs.get(runId ?? 0)?.state;
  /** A run that somebody asked for in the family's chat, and the message that says how it goes on. */
  function working(sender = ben) {
    const { runId = 0 } = receive({ text: '@Pinch do it', chat: family, sender, addressesAssistant: true });
    const chatId = chatOf(family);
    store.progress.put({ runId, kind: 'message', chatId, platformId: `w${runId}`, sender: '', at: 1 });
    return { runId, message: `w${runId}` };
  }

  test('the owner stops any run, whoever asked for it his own; that is said, and in the timeline', () => {
    for (const sender of [olga, ben]) {
      const { runId, message } = working();
      expect(press(message, `stop:${runId}`, { sender })).toMatchObject({ runId: undefined });
      expect(state(runId)).toBe('cancelled');
      expect(store.events.ofRun(runId).map(({ kind }) => kind)).toContain('stopped');
    }
    expect(said()).toEqual(['Stopped.', 'Stopped.']);
    expect(offered).toEqual([]);
  });

  test('nobody else stops it, nor a run of another chat, nor one that is over; each hears why', () => {
    const { runId, message } = working(olga);
    press(message, `stop:${runId}`, { sender: ben });
    press(message, `stop:${runId}`, { sender: { address: '3', name: 'Olga' } });
    press(message, `stop:${runId}`, { chat: direct });
    press(message, 'stop:999999');
    press(message, `stop:${runId} `);
    const notYours = 'Only whoever asked for it, and my owner, may stop that.';
    expect([state(runId), said()]).toEqual(['ready', [notYours, notYours]]);
    press(message, `stop:${runId}`);
    press(message, `stop:${runId}`);
    expect(said().toSorted()).toEqual([notYours, notYours, 'Stopped.', 'That is over already.']);
  });

  test('words that look like it are words; a message whose id was lost by a kill is known by its press', () => {
    const { runId, message } = working();
    receive({ text: `stop:${runId}`, chat: family, replyTo: { platformId: message, sender: 'Pinch', text: '' } });
    expect(state(runId)).toBe('ready');
    store.progress.drop(runId, 'message');
    press('lost', `stop:${runId}`);
    expect(state(runId)).toBe('cancelled');
    expect(store.progress.get(runId, 'message')).toMatchObject({ platformId: 'lost' });
  });
});
