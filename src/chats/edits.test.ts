import { beforeEach, describe, expect, test } from 'vitest';
import type { InboundMessage } from '../channels/channel.js';
import { decideEdit, type EditInput } from './edits.js';
import { type Scene, startScene } from './testing/scene.js';

const HOUR = 3_600_000;
const input = (change: Partial<Omit<EditInput, 'before'>> & { before?: Partial<EditInput['before']> }): EditInput => ({
  ...{
    text: 'new',
    sentAt: 1_000,
    route: { kind: 'trigger' },
    mayAsk: true,
    isOpen: false,
    wroteSince: false,
    now: 2_000,
  },
  ...change,
  before: { text: 'old', sentAt: 1_000, assigned: true, command: false, intent: 'asked', ...change.before },
});
const context = { kind: 'context' as const };

test.each<[string, Parameters<typeof input>[0], object]>([
  ['the same words: a preview, a button, a reaction', { text: 'old' }, { kind: 'nothing' }],
  ['an older version that comes again', { sentAt: 999 }, { kind: 'nothing' }],
  ['words that became a command', { route: { kind: 'command' } }, { kind: 'no command' }],
  ['of a question, after its answer', {}, { kind: 'version', intent: 'asked', starts: true }],
  ['whose name went', { route: context }, { kind: 'version', intent: 'asked', starts: true }],
  ['by who may no longer ask', { route: context, mayAsk: false }, { starts: false }],
  ['while a run is open', { isOpen: true, wroteSince: true, now: 99 * HOUR }, { kind: 'version', starts: true }],
  ['after somebody wrote', { wroteSince: true }, { kind: 'version', starts: false }],
  ['a day later', { now: 24 * HOUR + 1_000 }, { kind: 'version', starts: false }],
  ['of talk', { route: context, before: { intent: 'said' } }, { kind: 'version', intent: 'said', starts: false }],
  ['that adds the name to talk', { before: { intent: 'said' }, wroteSince: true }, { intent: 'asked', starts: true }],
  ['that adds it a day later', { before: { intent: 'said' }, now: 25 * HOUR }, { starts: false }],
  [
    'that adds it to what no run read',
    { before: { intent: 'said', assigned: false } },
    { kind: 'rewrite', starts: true },
  ],
  ['of what no run read', { before: { assigned: false } }, { kind: 'rewrite', starts: true }],
  ['of a command, to words', { before: { command: true, assigned: false } }, { kind: 'version', starts: true }],
])('an edit %s', (_name, change, expected) => {
  expect(decideEdit(input(change))).toMatchObject(expected);
});

let scene: Scene;
let asked: InboundMessage;
beforeEach(() => {
  scene = startScene();
  ask('@Pinch what is 2+2', { from: '2' });
  scene.finish(scene.claim());
});
/** What `edit` changes from now on. */
function ask(...said: Parameters<Scene['message']>): void {
  asked = scene.message(...said);
  scene.receive(asked);
}
const edit = (text: string, more: Partial<InboundMessage> = {}) => {
  void scene.clock.advance(100);
  return scene.receive({ ...asked, text, edited: true, sentAt: scene.clock.now(), ...more });
};
const waits = () => scene.store.runs.list('ready', 9).map(({ id }) => scene.texts(id));

describe('an edit after the answer', () => {
  test('gets an answer of its own, and says which message it replaces', () => {
    const { runId, messageId } = edit('@Pinch what is 2+3');
    expect(scene.claim()).toBeUndefined();
    void scene.clock.advance(1_500);
    expect(scene.claim()?.id).toBe(runId);
    const [first] = scene.store.messages.ofRun(scene.runs()[0]?.id ?? 0);
    expect(scene.store.messages.get(messageId ?? 0)).toMatchObject({ edited: true, replaces: first?.id });
  });

  test('several in a row get one answer, to the last', () => {
    const ids = ['@Pinch what is 2+3', '@Pinch what is 2+', '@Pinch what is 2+4'].map((text) => edit(text).runId);
    expect(new Set(ids).size).toBe(1);
    expect(waits()).toEqual([['@Pinch what is 2+4']]);
  });

  test.each([
    ['the same words', '@Pinch what is 2+2'],
    ['a command', '@Pinch /help'],
  ])('%s start nothing', (_name, text) => {
    expect(edit(text)).toEqual({});
    expect(waits()).toEqual([]);
  });

  test('delivered twice, in any order, it reaches the model once', () => {
    const first = scene.clock.now() + 100;
    edit('@Pinch what is 2+3', { sentAt: first });
    edit('@Pinch what is 2+4', { sentAt: first + 1_000 });
    void scene.clock.advance(2_000);
    const run = scene.claim();
    for (let again = 0; again < 2; again++) {
      edit('@Pinch what is 2+3', { sentAt: first });
      edit('@Pinch what is 2+4', { sentAt: first + 1_000 });
    }
    expect(scene.texts(run?.id)).toEqual(['@Pinch what is 2+4']);
    scene.finish(run);
    edit('@Pinch what is 2+4', { sentAt: first + 1_000 });
    expect(waits()).toEqual([]);
  });

  test.each<[string, () => unknown, boolean]>([
    ['somebody said something', () => scene.say('and now?', { from: '3' }), false],
    ['somebody asked something else', () => [scene.say('@Pinch hi'), scene.finish(scene.claim())], false],
    ['somebody sent a command', () => scene.say('/new'), false],
    [
      'somebody reacted',
      () => scene.say('[reaction 👍]', { contextOnly: true, press: { platformId: '1', value: '👍' } }),
      true,
    ],
    ['the assistant went on', () => scene.store.messages.add(ownWords()), true],
    ['nobody did anything for an hour', () => scene.clock.advance(HOUR), true],
    ['nobody did anything for two days', () => scene.clock.advance(48 * HOUR), false],
  ])('when meanwhile %s', (_name, meanwhile, answered) => {
    meanwhile();
    expect(edit('@Pinch what is 2+3').runId !== undefined).toBe(answered);
    if (answered) return;
    const { runId } = scene.say('@Pinch go on', { from: '2' });
    expect(scene.texts(runId)).toContain('@Pinch what is 2+3');
  });
  const ownWords = () => ({
    ...{ chatId: 1, direction: 'out' as const, platformId: '900', senderId: null, senderName: 'Pinch' },
    ...{ text: '4', sentAt: 1, now: 1 },
  });

  test('what went to the model together is one question: an edit of its first message is answered', () => {
    ask('@Pinch what is 3+3', { from: '2' });
    scene.say('and be quick @Pinch', { from: '2' });
    scene.finish(scene.claim());
    expect(edit('@Pinch what is 3+4').runId).toBeDefined();
  });

  test('the caption of an album is corrected: one more question', () => {
    const album = { id: 'a', size: 3 };
    ask('@Pinch what are these?', { from: '2', album: { id: 'a' } });
    for (const text of ['', '']) scene.say(text, { from: '2', album });
    void scene.clock.advance(9_000);
    scene.finish(scene.claim());
    expect(edit('@Pinch what is in these?').runId).toBeDefined();
  });

  test('a question that was given up is asked again', () => {
    ask('@Pinch what is 3+3', { from: '2' });
    const run = scene.claim();
    const how = { now: scene.clock.now(), errorClass: 'unknown' as const, error: 'x' };
    scene.store.runs.dead({ id: run?.id ?? 0, holder: 'w', attempt: 1 }, how);
    expect(edit('@Pinch what is 3+4').runId).toBeDefined();
  });
});

describe('an edit of a command', () => {
  beforeEach(() => ask('/status', { from: '1' }));

  test('runs none, says so once, and the same words say nothing', () => {
    const before = scene.replies();
    edit('/status');
    expect(scene.replies()).toEqual(before);
    const at = scene.clock.now() + 100;
    for (let again = 0; again < 2; again++) edit('/stop', { sentAt: at });
    expect(scene.replies().filter((text) => !before.includes(text))).toEqual([
      'A command only runs when it is sent, not when a message is edited. Send it as a new message.',
    ]);
  });

  test('to words is a question', () => {
    const { runId } = edit('what is your status?');
    expect(scene.texts(runId)).toContain('what is your status?');
  });
});

describe('an edit that adds the name', () => {
  test('to what a run had read as context asks, also when others wrote since', () => {
    ask('what is 5+5', { from: '3' });
    scene.say('@Pinch hi', { from: '2' });
    scene.finish(scene.claim());
    scene.say('so much talk', { from: '2' });
    const { runId } = edit('@Pinch what is 5+5');
    expect(scene.texts(runId)).toEqual(['so much talk', '@Pinch what is 5+5']);
  });

  test('to what was said two days ago asks nothing', () => {
    ask('what is 5+5', { from: '3' });
    void scene.clock.advance(48 * HOUR);
    expect(edit('@Pinch what is 5+5').runId).toBeUndefined();
  });
});

test('an edit during the run is steered in, with or without the name; one of talk is not', () => {
  ask('@Pinch what is 3+3', { from: '2' });
  const run = scene.claim();
  expect(edit('what is 3+4').runId).toBe(run?.id);
  expect(scene.texts(run?.id)).toEqual(['@Pinch what is 3+3', 'what is 3+4']);
  ask('talk', { from: '3' });
  expect(edit('more talk').runId).toBeUndefined();
});
