import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { type Channel, ChannelError, type ChannelState, type OutboundPart } from '../channels/channel.js';
import type { Signals } from '../core/signals.js';
import { openStore, type Store } from '../store.js';
import { startDelivery } from './delivery.js';
import { createOutboxFiles, type OutboxFiles } from './files.js';
import { createOwnerChat } from './notices.js';

let store: Store;
let clock: FakeClock;
let signals: Signals;
let sent: string[];
let answers: ((part: OutboundPart) => Promise<{ platformId: string }>)[];
let notices: string[];
let chats: number[];
let stop: () => Promise<void>;
let files: OutboxFiles;
let buttons: (OutboundPart['buttons'] | null)[];
let dropped: string[];
let blocked: Set<string>;
let state: ChannelState['state'];
/** How the next ones are answered; then they are taken. */
let dropAnswers: (() => Promise<unknown>)[];

const accept = async (part: OutboundPart) => ({ platformId: `p${part.key}` });
const fail = (kind: ChannelError['kind'], retryAfterMs?: number) => async () => {
  throw new ChannelError(kind, `${kind} failure`, retryAfterMs === undefined ? {} : { retryAfterMs });
};

const channel: Channel = {
  start: () => undefined,
  stop: async () => undefined,
  split: (text) => text.split('|'),
  async send(part) {
    const result = await (answers.shift() ?? accept)(part);
    sent.push(`${part.address} ${part.text}`);
    buttons.push(part.buttons ?? null);
    return result;
  },
  typing: () => undefined,
  async dropButtons(address, platformId) {
    await dropAnswers.shift()?.();
    dropped.push(`${address} ${platformId}`);
  },
  fetchMedia: async () => new Uint8Array(),
};

beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-delivery-'));
  store = openStore(join(folder, 'pinch.db'));
  files = createOutboxFiles(folder);
  clock = createFakeClock();
  signals = store.signals;
  blocked = new Set(['off']);
  state = 'open';
  [sent, answers, notices, buttons, dropped, dropAnswers] = [[], [], [], [], [], []];
  chats = ['a', 'b'].map(
    (address) => store.groups.seenChat({ channel: 'telegram', address, kind: 'direct', title: address, now: 1 }).id,
  );
  start();
});

function start(): void {
  stop = startDelivery({
    store,
    clock,
    log: pino({ level: 'silent' }),
    config: { assistantName: 'Pinch' },
    channel: (name) => (name === 'telegram' ? channel : undefined),
    outboxFiles: files,
    notifyOwner: (key) => notices.push(key),
    isBlocked: (name) => blocked.has(name),
    states: () => [{ name: 'telegram', state }],
    ownerChat: createOwnerChat({ store, clock, isBlocked: (name) => blocked.has(name) }),
  }).stop;
}

async function queue(key: string, text: string, chat = 0): Promise<void> {
  store.outbox.add({ key, chatId: chats[chat] ?? 0, runId: null, text, now: clock.now() });
  signals.emit('outbox');
  await clock.advance(0);
}

test('what was sent joins the history', async () => {
  await queue('1:final', 'hello');
  expect(sent).toEqual(['a hello']);
  expect(store.messages.latest(chats[0] ?? 0, 5)).toMatchObject([
    { direction: 'out', platformId: 'p1.0', text: 'hello' },
  ]);
  expect(store.outbox.list(5)[0]).toMatchObject({ state: 'sent' });
});

test('a failed message holds back those behind it in its chat, not other chats', async () => {
  answers = [fail('network')];
  await queue('1', 'first');
  await queue('2', 'second');
  await queue('3', 'other', 1);
  expect(sent).toEqual(['b other']);
  await clock.advance(60_000);
  expect(sent).toEqual(['b other', 'a first', 'a second']);
});

test('a retry goes on at the part that failed and cuts the text as before', async () => {
  answers = [accept, fail('retry')];
  await queue('1', 'one|two|three');
  expect(sent).toEqual(['a one']);
  await stop();
  start();
  await clock.advance(60_000);
  expect(sent).toEqual(['a one', 'a two', 'a three']);
});

test('a connection that is there again is used at once, unless the provider asked to wait', async () => {
  const emit = async () => {
    signals.emit('channel', 'telegram');
    await new Promise(setImmediate);
    await clock.advance(0);
  };
  answers = [fail('network'), fail('retry', 50_000)];
  await queue('3', 'again');
  await queue('4', 'later', 1);
  state = 'reconnecting';
  await emit();
  expect(sent).toEqual([]);
  state = 'open';
  await emit();
  expect(sent).toEqual(['a again']);
  await clock.advance(50_000);
  expect(sent).toEqual(['a again', 'b later']);
});

test('retry_after is kept to the millisecond', async () => {
  answers = [fail('retry', 300_000)];
  await queue('1', 'x');
  await clock.advance(299_999);
  expect(sent).toEqual([]);
  await clock.advance(1);
  expect(sent).toEqual(['a x']);
});

test('half an hour without network loses nothing and counts as no attempt', async () => {
  answers = Array.from({ length: 25 }, () => fail('network'));
  await queue('1', 'x');
  await clock.advance(3 * 3_600_000);
  expect([sent, notices]).toEqual([['a x'], []]);
});

test('a refused message is dead, the owner is told once and the next one goes out', async () => {
  answers = [fail('permanent')];
  await queue('1', 'x');
  await queue('2', 'y');
  expect(sent).toEqual(['a y']);
  expect(store.outbox.list(5).find((row) => row.key === '1')).toMatchObject({
    state: 'dead',
    error: 'permanent failure',
  });
  expect(notices).toEqual(['outbox:1']);
});

test('a notice that cannot be sent begets no other notice', async () => {
  answers = [fail('permanent')];
  await queue('notice:x', 'x');
  expect(notices).toEqual([]);
});

test('a text that breaks the rules for cutting goes out plainly, and no letter of it is lost', async () => {
  const split = channel.split;
  channel.split = () => {
    throw new RangeError('Maximum call stack size exceeded');
  };
  const text = `*a* ${'word_'.repeat(2_000)}\n\n${'😀'.repeat(500)}`;
  await queue('1', text);
  await expect.poll(() => store.outbox.list(1)[0]?.state).toBe('sent');
  channel.split = split;
  const parts = sent.map((line) => line.replace(/^a /, ''));
  expect(parts.join('').replaceAll('\\', '')).toBe(text);
  for (const part of parts) expect(part.length).toBeLessThanOrEqual(2_000);
});

test('a passing refusal is given up after twelve tries', async () => {
  answers = Array.from({ length: 50 }, () => fail('retry'));
  await queue('1', 'x');
  await clock.advance(3_600_000);
  expect(store.outbox.list(5)[0]).toMatchObject({ state: 'dead' });
  expect(answers).toHaveLength(38);
});

test('a file goes out with its caption, stays until it is sent, and joins the history by its name', async () => {
  const key = '1:toolu_1';
  await files.keep(key, [Buffer.from('%PDF-')]);
  const file = { fileName: 'a.pdf', mimeType: 'application/pdf', path: 'out/a.pdf', bytes: 5 };
  const parts: OutboundPart[] = [];
  const take = async (part: OutboundPart) => {
    parts.push({ ...part, text: readFileSync(part.file?.path ?? '', 'utf8') });
    return accept(part);
  };
  answers = [fail('network'), take];
  store.outbox.add({ key, chatId: chats[0] ?? 0, runId: null, text: 'the | report', file, now: clock.now() });
  signals.emit('outbox');
  await clock.advance(0);
  await clock.advance(60_000);
  await expect.poll(() => store.outbox.list(1)[0]?.state).toBe('sent');
  expect(parts).toMatchObject([{ text: '%PDF-', file: { fileName: 'a.pdf', mimeType: 'application/pdf' } }]);
  expect(store.messages.latest(chats[0] ?? 0, 5)).toMatchObject([{ text: '[file: out/a.pdf] the | report' }]);
  expect(existsSync(files.pathOf(key))).toBe(false);
});

/** A message that a run sends. */
async function queueOfRun(key: string, text: string): Promise<void> {
  const chatId = chats[0] ?? 0;
  const group = store.groups.ensure('main', true, 1);
  const run = { key: 'r', kind: 'message' as const, groupId: group.id, chatId, session: 's', runAt: 0, now: 0 };
  runId = store.runs.enqueue(run) ?? runId;
  store.outbox.add({ key, chatId, runId, text, now: clock.now() });
  signals.emit('outbox');
  await clock.advance(0);
}
let runId = 0;

/** The channel takes each part only when the test says so. */
function pacedChannel(): () => Promise<void> {
  const waiting: (() => void)[] = [];
  answers = Array.from({ length: 20 }, () => async (part) => {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
    });
    return accept(part);
  });
  return async () => {
    waiting.shift()?.();
    await clock.advance(0);
  };
}

test('the answer to a command goes out between the parts of what a run sends', async () => {
  const next = pacedChannel();
  await queueOfRun('1:a', 'one|two|three');
  await queue('command:9', 'Stopped.');
  for (let n = 0; n < 4; n++) await next();
  expect(sent).toEqual(['a one', 'a Stopped.', 'a two', 'a three']);
});

test.each([
  ['its run', () => store.outbox.endOfRuns({ runId, chatId: null, error: 'somebody stopped it' })],
  ['its chat', () => store.outbox.endOfRuns({ runId: null, chatId: chats[0] ?? 0, error: 'somebody stopped it' })],
])('when %s is stopped the parts that are left stay here, and what the host says goes out', async (_, stopIt) => {
  const next = pacedChannel();
  await queueOfRun('1:a', 'one|two|three');
  await queueOfRun('1:b', 'more');
  stopIt();
  await queue('command:9', 'Stopped.');
  for (let n = 0; n < 5; n++) await next();
  expect(sent).toEqual(['a one', 'a Stopped.']);
  const states = store.outbox.list(5).map(({ key, state }) => [key, state]);
  expect(states).toEqual([
    ['command:9', 'sent'],
    ['1:b', 'dead'],
    ['1:a', 'dead'],
  ]);
  expect(notices).toEqual([]);
});

test('a part that is refused after its run was stopped begets no notice', async () => {
  answers = [fail('retry'), fail('permanent')];
  await queueOfRun('1:a', 'one');
  store.outbox.endOfRuns({ runId, chatId: null, error: 'somebody stopped it' });
  await clock.advance(60_000);
  expect([sent, notices]).toEqual([[], []]);
});

const yesNo = [
  { label: 'Yes', value: 'choice:1' },
  { label: 'No', value: 'choice:2' },
];

test('buttons go with the last part, also after a retry; each part is known by the key of its row', async () => {
  answers = [accept, fail('retry'), accept, accept];
  const chatId = chats[0] ?? 0;
  store.outbox.add({ key: 'card', chatId, runId: null, text: 'one|two|three', buttons: yesNo, now: clock.now() });
  signals.emit('outbox');
  await clock.advance(0);
  await clock.advance(60_000);
  expect(sent).toEqual(['a one', 'a two', 'a three']);
  expect(buttons).toEqual([null, null, yesNo]);
  expect(['p1.0', 'p1.1', 'p1.2', 'p9'].map((id) => store.messages.outboxKeyOf(chatId, id))).toEqual([
    ...Array(3).fill('card'),
    undefined,
  ]);
  expect(store.messages.outboxKeyOf(chats[1] ?? 0, 'p1.2')).toBeUndefined();
  expect(['p1.0', 'p1.2'].map((id) => store.outbox.openButtons(chatId, id))).toEqual([[], yesNo]);
});

describe('buttons that lead nowhere', () => {
  const card = async (text = 'one|two') => {
    const chatId = chats[1] ?? 0;
    store.outbox.add({ key: 'card', chatId, runId: null, text, buttons: yesNo, now: clock.now() });
    signals.emit('outbox');
    await clock.advance(0);
  };
  const over = async () => {
    store.outbox.endButtons('card');
    signals.emit('outbox');
    await clock.advance(0);
  };

  test('are taken away from the last part, once', async () => {
    await card();
    await queue('plain', 'no buttons');
    store.outbox.endButtons('plain');
    await over();
    signals.emit('outbox');
    await clock.advance(600_000);
    expect(dropped).toEqual(['b p1.1']);
    expect(store.outbox.openButtons(chats[1] ?? 0, 'p1.1')).toEqual([]);
  });

  test('are taken away after a restart, when they were over before it or while Pinch was off', async () => {
    await card();
    await stop();
    store.outbox.endButtons('card');
    start();
    await clock.advance(0);
    expect(dropped).toEqual(['b p1.1']);
  });

  test('are not sent at all, and taken away when it happened during the send', async () => {
    answers = [fail('network')];
    await card('one');
    store.outbox.endButtons('card');
    await clock.advance(60_000);
    expect(buttons).toEqual([null]);
    answers = [
      async () => {
        store.outbox.endButtons('late');
        return { platformId: 'late' };
      },
    ];
    const chatId = chats[0] ?? 0;
    store.outbox.add({ key: 'late', chatId, runId: null, text: 'late', buttons: yesNo, now: clock.now() });
    signals.emit('outbox');
    await clock.advance(0);
    expect(dropped).toContain('a late');
  });

  test.each([
    ['network', 2],
    ['retry', 2],
    ['permanent', 0],
  ] as const)('are tried again after a %s failure', async (kind, times) => {
    await card('one');
    dropAnswers = [fail(kind), fail(kind)];
    await over();
    expect(dropped).toEqual([]);
    await clock.advance(200_000);
    expect(dropAnswers).toHaveLength(2 - Math.max(times, 1));
    expect(dropped).toEqual(times > 0 ? ['b p1.0'] : []);
    expect(store.outbox.list(9)).toMatchObject([{ state: 'sent', error: null }]);
  });
});

describe('a channel that is switched off', () => {
  const DAY_MS = 86_400_000;
  const chatOn = (channel: string, now = clock.now()) => {
    const main = store.groups.ensure('main', true, now);
    const chat = store.groups.seenChat({ channel, address: `${channel}-chat`, kind: 'direct', title: 'Owner', now });
    store.groups.assignChat(chat.id, main.id);
    return chat.id;
  };
  const queueFor = async (chatId: number, key: string, now = clock.now()) => {
    store.outbox.add({ key, chatId, runId: null, text: key, now });
    signals.emit('outbox');
    await clock.advance(0);
  };
  const states = () => store.outbox.list(9).map(({ key, state, error }) => `${key} ${state} ${error}`);

  test('what waits for it is seen to wait, given up after three days, and never comes out weeks later', async () => {
    await queueFor(chatOn('off'), '1:final');
    expect(states()).toEqual(['1:final queued its channel is switched off']);
    await clock.advance(4 * DAY_MS);
    expect(states()).toEqual(['1:final dead its channel is switched off']);
    expect(notices).toEqual(['outbox:1']);
    expect(sent).toEqual([]);
  });

  test('a notice that waited for it goes to a chat of the owner whose channel works', async () => {
    const chat = chatOn('off');
    // No other chat works either: it waits.
    blocked.add('web').add('telegram');
    await queueFor(chat, 'notice:1');
    expect(states()).toEqual(['notice:1 queued its channel is switched off']);
    chatOn('telegram', 5);
    blocked.delete('telegram');
    await clock.advance(60_000);
    expect(sent).toEqual(['telegram-chat notice:1']);
  });

  test('a notice whose channel waits for a person goes elsewhere; anything else waits for that person', async () => {
    const chat = chatOn('telegram');
    blocked.add('telegram');
    answers = [fail('network')];
    await queueFor(chat, '1:final');
    await queueFor(chat, 'notice:1');
    await clock.advance(60_000);
    const web = store.groups.chatByAddress('web', 'owner');
    expect(store.outbox.list(9).map(({ key, chatId }) => [key, chatId])).toEqual([
      ['notice:1', web?.id],
      ['1:final', chat],
    ]);
  });

  test('an old notice is no news: what was queued before a long pause is not sent after it', async () => {
    await queueFor(chatOn('telegram'), 'notice:1', clock.now() - 4 * DAY_MS);
    await queueFor(chatOn('telegram'), 'notice:2', clock.now() - 2 * DAY_MS);
    expect(sent).toEqual(['telegram-chat notice:2']);
    expect(states()).toContain('notice:1 dead nobody could be told for days');
  });

  test('buttons there are not taken away for ever', async () => {
    const chat = chatOn('telegram');
    store.outbox.add({
      key: 'card',
      chatId: chat,
      runId: null,
      text: 'x',
      buttons: [{ label: 'Y', value: 'y' }],
      now: 1,
    });
    signals.emit('outbox');
    await clock.advance(0);
    await stop();
    store.statements.run('UPDATE chats SET channel = ?1 WHERE id = ?2')('off', chat);
    start();
    store.outbox.endButtons('card');
    await clock.advance(DAY_MS);
    expect(store.outbox.buttonsToDrop()).toHaveLength(1);
    await clock.advance(3 * DAY_MS);
    expect(store.outbox.buttonsToDrop()).toEqual([]);
  });
});
