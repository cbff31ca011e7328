// Runs from claim to outcome, with a real store and containers played by the test.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { ChannelError } from '../channels/channel.js';
import type { Signals } from '../core/signals.js';
import type { Run } from '../core/types.js';
import type { GroupContainer } from '../sandbox/pool.js';
import type { SandboxExit } from '../sandbox/sandbox.js';
import { openStore, type Store } from '../store.js';
import type { PromptMessage, RunSpec, WorkLine } from '../wire.js';
import { stopRun } from './cancelled.js';
import { createQueue, type Queue } from './queue.js';
import { retryRun } from './retry-run.js';
import { createOutageTells } from './tells.js';

let store: Store;
let clock: FakeClock;
let signals: Signals;
let queue: Queue;
/** What happened to the group's place in the pool. */
let pool: string[];
let sent: WorkLine[];
let readsWork: boolean;
let end: (exit: SandboxExit) => void;
let container: Promise<GroupContainer>;
let fetchMedia: () => Promise<void>;
let dropMedia: () => Promise<void>;
let notices: string[];
/** Runs that were over for good, as the loop guard was told. */
let ended: number[];
/** Where the owner is told. */
let ownerChat: number;
/** Of the first two runs, whose dry folders were to go, at each look. */
let swept: number[][];
let isDiskLow = false;
let isStopped = false;
let wallClockMs: number;
let ids: { groupId: number; chatId: number };

const network = async () => {
  throw new ChannelError('network', 'no route to the files');
};
const gone = (reason: string): SandboxExit => ({ reason, exitCode: undefined, outOfMemory: false });

function newContainer(): GroupContainer {
  const closed = new Promise<SandboxExit>((resolve) => {
    end = resolve;
  });
  return {
    containerId: 'c1',
    closed,
    send(line) {
      if (readsWork) sent.push(line);
      return readsWork;
    },
  };
}

async function messagesOf(runId: number): Promise<PromptMessage[]> {
  const rows = store.messages.ofRun(runId);
  await fetchMedia();
  return rows.map(({ id, senderName: sender, sentAt, text }) => ({ id, sender, sentAt, text, media: [] }));
}

async function buildSpec({ id, attempt, session }: Run): Promise<RunSpec> {
  const limits = { maxTokens: 1, maxModelCalls: 1, wallClockMs };
  const names = { assistantName: 'Pinch', model: 'm', timeZone: 'UTC' };
  const where = { group: { folder: 'main', isMain: true }, chat: { title: 'Web' } };
  return { id, attempt, session, ...where, ...names, messages: await messagesOf(id), limits, ownSkills: [] };
}

/** The next run is claimed once the answer of the last one is on its way. */
const settled = async () => {
  await clock.advance(0);
  await clock.advance(0);
};

beforeEach(() => {
  store = openStore(join(mkdtempSync(join(tmpdir(), 'pinch-queue-')), 'pinch.db'));
  clock = createFakeClock();
  signals = store.signals;
  [pool, sent, notices, ended, readsWork, swept] = [[], [], [], [], true, []];
  [fetchMedia, dropMedia] = [async () => undefined, async () => undefined];
  container = Promise.resolve(newContainer());
  const group = store.groups.ensure('main', true, 1);
  const chat = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: 1 });
  store.groups.assignChat(chat.id, group.id);
  ids = { groupId: group.id, chatId: chat.id };
  ownerChat = chat.id;
  isStopped = false;
  isDiskLow = false;
  wallClockMs = 900_000;
  queue = start('me');
});

const start = (leaseHolder: string): Queue => {
  const made = createQueue({
    ...{ store, clock, leaseHolder, log: pino({ enabled: false }), channels: { get: () => undefined } },
    diskIsLow: () => isDiskLow,
    pool: {
      canHostDry: () => true,
      share: () => ({ blocked: [], lookAgainAt: undefined }),
      acquire: () => {
        pool.push('acquired');
        return container;
      },
      release: () => void pool.push('released'),
      endGroup: async (groupId, why) => void pool.push(`ended ${groupId}: ${why}`),
      kill: async () => {
        pool.push('killed');
        end(gone('it was stopped'));
      },
    },
    dryFolders: {
      changes: async () => [],
      sweep: async (isOpen) => void swept.push([1, 2].filter((id) => !isOpen(id))),
    },
    guard: { note: (run) => void ended.push(run.id) },
    fallback: { afterFailure: (_, errorClass) => ({ errorClass }) },
    supervisor: { engineDown: () => false, reportDown: () => undefined },
    stopSwitch: { stopped: () => isStopped },
    orders: { dropMedia: () => dropMedia(), promptMessages: messagesOf, buildSpec },
    notifyOwner: (key) => {
      notices.push(key);
      return ownerChat;
    },
  });
  made.start();
  return made;
};

/** Gives `runId` one more message, or starts a run with it. */
async function say(
  text: string,
  runId?: number,
  album: string | null = null,
): Promise<{ runId: number; messageId: number }> {
  const now = clock.now();
  const row = {
    chatId: ids.chatId,
    direction: 'in' as const,
    platformId: text,
    senderId: null,
    senderName: 'Ann',
    text,
    album,
  };
  const messageId = store.messages.add({ ...row, sentAt: now, now }) ?? 0;
  const kind = 'message' as const;
  const id =
    runId ?? store.runs.enqueue({ ...ids, key: `msg:1:${messageId}`, kind, session: 's', runAt: now, now }) ?? 0;
  store.runs.attachMessages(id, ids.chatId, messageId);
  if (runId === undefined) signals.emit('run:ready');
  else signals.emit('run:steered', runId);
  await settled();
  return { runId: id, messageId };
}

const stateOf = (runId: number) => store.runs.get(runId);

test('a run is handed over, reported and answered; its place is given back', async () => {
  const { runId, messageId } = await say('hello');
  expect(sent).toMatchObject([{ type: 'run', run: { id: runId, attempt: 1, messages: [{ text: 'hello' }] } }]);
  expect(queue.onFinish(runId, { outcome: 'done', text: 'hi', step: 2, handledMessageIds: [messageId] })).toBe(true);
  await settled();
  expect(stateOf(runId)).toMatchObject({ state: 'done' });
  expect(store.outbox.list(5)).toMatchObject([{ key: `${runId}:end:2`, text: 'hi' }]);
  expect(pool).toEqual(['acquired', 'released']);
  expect(queue.onFinish(runId, { outcome: 'done', text: 'again', step: 2, handledMessageIds: [] })).toBe(false);
});

test('a run that somebody had tried again from another chat: told there once, and not where the notice says it already', async () => {
  const { id: other } = store.groups.seenChat({ channel: 'web', address: 'b', kind: 'direct', title: 'B', now: 1 });
  const deps = { store, clock, reopenSlot: () => undefined };
  const dies = async (runId: number, messageId: number) => {
    queue.onFinish(runId, { outcome: 'failed', errorClass: 'check', message: 'full', handledMessageIds: [messageId] });
    await settled();
  };
  const toldOther = () => store.outbox.list(20).flatMap(({ chatId, text }) => (chatId === other ? [text] : []));
  const { runId, messageId } = await say('dig');
  await dies(runId, messageId);
  const retry = async () => {
    retryRun(deps, stateOf(runId) ?? expect.unreachable(), other);
    await clock.advance(1);
  };
  await retry();
  await dies(runId, messageId);
  expect(toldOther()).toEqual([`Run ${runId} failed again: full`]);
  ownerChat = other;
  await retry();
  await dies(runId, messageId);
  expect([toldOther().length, stateOf(runId)?.reportChat]).toEqual([1, null]);
  await retry();
  queue.onFinish(runId, { outcome: 'done', text: 'found', step: 2, handledMessageIds: [messageId] });
  await settled();
  expect(toldOther()[0]).toBe(`Run ${runId} is done: “found”`);
});

test('folders of dry runs go when these are over: at the start, and when one that waits is stopped meanwhile', async () => {
  const { runId } = await say('hello');
  expect([runId, swept]).toEqual([1, [[1, 2]]]);
  store.runs.enqueue({
    ...ids,
    key: 'dry',
    kind: 'replay',
    session: 'd',
    runAt: clock.now() + 9_000,
    now: 1,
    dry: true,
  });
  stopRun(store, stateOf(2) ?? expect.unreachable(), clock.now());
  await settled();
  expect(swept).toEqual([[1, 2], [2]]);
});

test('files that cannot be had while the container starts: the place is given back when it comes', async () => {
  fetchMedia = network;
  let started: (worker: GroupContainer) => void = () => undefined;
  container = new Promise((resolve) => {
    started = resolve;
  });
  const { runId } = await say('look at this');
  expect(stateOf(runId)).toMatchObject({ state: 'ready', errorClass: 'network' });
  expect(pool).toEqual(['acquired']);
  started(newContainer());
  await settled();
  expect(pool).toEqual(['acquired', 'released']);
});

test('a message whose files cannot be had ends nothing and becomes the next run', async () => {
  const first = await say('hello');
  fetchMedia = network;
  const late = await say('and this photo', first.runId);
  queue.onFinish(first.runId, { outcome: 'done', text: 'hi', step: 2, handledMessageIds: [first.messageId] });
  await settled();
  const next = store.runs.list(null, 1)[0];
  expect(next).toMatchObject({ key: `msg:1:${late.messageId}`, errorClass: 'network' });
  fetchMedia = async () => undefined;
  await clock.advance(10_000);
  expect(sent.at(-1)).toMatchObject({ type: 'run', run: { id: next?.id, messages: [{ text: 'and this photo' }] } });
});

test('the first pictures of an album that came while the run ended wait for the rest in the next run', async () => {
  const first = await say('hello');
  await say('which one?', first.runId, 'holiday');
  queue.onFinish(first.runId, { outcome: 'done', text: 'hi', step: 2, handledMessageIds: [first.messageId] });
  await settled();
  const [next] = store.runs.list('ready', 1);
  expect((next?.runAt ?? 0) - clock.now()).toBe(1_500);
});

test('an answer by a runner that never read the message does not count', async () => {
  const { runId, messageId } = await say('hello');
  queue.onFinish(runId, { outcome: 'done', text: 'hi', step: 2, handledMessageIds: [] });
  await settled();
  expect(stateOf(runId)).toMatchObject({ state: 'ready', attempt: 1, errorClass: 'unknown' });
  expect(store.messages.ofRun(runId).map((message) => message.id)).toEqual([messageId]);
  expect(store.outbox.list(5)).toEqual([]);
});

test('a message that comes while the run is handed over is steered in, once', async () => {
  let arrive: () => void = () => undefined;
  fetchMedia = () =>
    new Promise((resolve) => {
      arrive = resolve;
    });
  const { runId } = await say('one');
  const handOver = arrive;
  fetchMedia = async () => undefined;
  await say('two', runId);
  handOver();
  await settled();
  signals.emit('run:steered', runId);
  await settled();
  const texts = sent.map((line) => (line.type === 'steer' ? line.messages : []).map(({ text }) => text));
  expect(texts).toEqual([[], ['two']]);
});

test('files that cannot be removed after a run end nothing', async () => {
  dropMedia = async () => {
    throw new Error('EACCES');
  };
  const { runId, messageId } = await say('hello');
  queue.onFinish(runId, { outcome: 'done', text: 'hi', step: 2, handledMessageIds: [messageId] });
  await settled();
  expect(stateOf(runId)).toMatchObject({ state: 'done' });
});

test('a runner that reads no work loses its container, and the run is tried again', async () => {
  readsWork = false;
  const { runId } = await say('hello');
  expect(pool).toEqual(['acquired', 'killed', 'released']);
  expect(stateOf(runId)).toMatchObject({ state: 'ready', attempt: 1, errorClass: 'crash' });
});

test('a run far over its time is ended with its container', async () => {
  const { runId } = await say('hello');
  await clock.advance(900_000 + 60_000);
  expect(pool).toContain('killed');
  expect(stateOf(runId)).toMatchObject({ errorClass: 'crash' });
});

test('no lease lives for ever: a container, or a file, that never comes', async () => {
  container = new Promise(() => undefined);
  const { runId } = await say('hello');
  await clock.advance(30 * 60_000);
  expect(stateOf(runId)).toMatchObject({ state: 'ready', error: expect.stringContaining('was not there within 30') });
  container = Promise.resolve(newContainer());
  fetchMedia = () => new Promise(() => undefined);
  await clock.advance(60_000);
  expect(stateOf(runId)?.state).toBe('leased');
  await clock.advance(31 * 60_000);
  expect(stateOf(runId)?.attempt).toBeGreaterThan(2);
  expect(pool.slice(0, 3)).toEqual(['acquired', 'acquired', 'released']);
});

test('no lease lives for ever: whoever held it, the next process takes it back', async () => {
  const { runId } = await say('hello');
  await queue.stop();
  for (const holder of ['a', 'b']) {
    expect(store.runs.claim({ holder, now: clock.now(), excludeGroups: [] })?.id).toBe(runId);
    queue = start(`after ${holder}`);
    await queue.stop();
    expect(stateOf(runId)).toMatchObject({ state: 'ready', leaseOwner: null });
  }
});

test('/stop: a runner that obeys keeps its container, one that does not loses it', async () => {
  const stop = () => {
    const { running } = store.runs.cancel(ids.chatId, 's', clock.now());
    for (const id of running) signals.emit('run:stopped', id);
  };
  const obeys = await say('one');
  stop();
  queue.onFinish(obeys.runId, { outcome: 'cancelled', handledMessageIds: [] });
  await clock.advance(5_000);
  expect(pool).toEqual(['acquired', 'released']);
  const deaf = await say('two');
  stop();
  await clock.advance(2_000);
  expect(pool.slice(2)).toEqual(['acquired', 'killed', 'released']);
  for (const { runId } of [obeys, deaf]) expect(stateOf(runId)).toMatchObject({ state: 'cancelled' });
});

test('/stop of one that does not obey costs another run in its container no attempt', async () => {
  const deaf = await say('one');
  const chat = store.groups.seenChat({ channel: 'telegram', address: '2', kind: 'direct', title: 'Other', now: 1 });
  store.groups.assignChat(chat.id, ids.groupId);
  const now = clock.now();
  const where = { groupId: ids.groupId, chatId: chat.id, session: 'o' };
  const other = store.runs.enqueue({ kind: 'message', key: 'other', ...where, runAt: now, now }) ?? 0;
  signals.emit('run:ready');
  await settled();
  // The next one takes its time.
  container = new Promise(() => undefined);
  for (const id of store.runs.cancel(ids.chatId, 's', clock.now()).running) signals.emit('run:stopped', id);
  await clock.advance(2_000);
  expect(stateOf(deaf.runId)).toMatchObject({ state: 'cancelled' });
  expect(stateOf(other)).toMatchObject({ state: 'leased', attempt: 1, error: null });
});

test('stopping gives a run back uncounted, also while its container starts', async () => {
  container = new Promise(() => undefined);
  const { runId } = await say('hello');
  await queue.stop();
  expect(stateOf(runId)).toMatchObject({ state: 'ready', attempt: 0 });
});

test('a report for an attempt that is over changes nothing', async () => {
  const { runId } = await say('hello');
  end({ reason: 'exit code 137', exitCode: 137, outOfMemory: true });
  await settled();
  expect(stateOf(runId)).toMatchObject({ state: 'ready', error: 'the container ran out of memory' });
  expect(queue.onFinish(runId, { outcome: 'done', text: 'late', step: 2, handledMessageIds: [] })).toBe(false);
  expect(store.outbox.list(5)).toEqual([]);
});

/** The host dies while a runner has the run, and starts again; the runs' messages wait. */
async function dieAndRestart(times: number): Promise<void> {
  for (let restart = 1; restart <= times; restart++) {
    queue = start(`restart ${restart}`);
    await settled();
    // From the third time on it waits.
    while (store.runs.list('ready', 1).length > 0) await clock.advance(5_000);
  }
}

test('a run during which the host died a dozen times is dead, and what no runner was given goes on', async () => {
  // None of the hosts that died watches its run any more.
  wallClockMs = 10 ** 9;
  const poison = await say('poison');
  await dieAndRestart(11);
  // The last attempt: its messages were handed over, those below came later.
  const later = ['two', 'three'].map((text) => {
    const row = { chatId: ids.chatId, direction: 'in' as const, platformId: text, senderId: null, senderName: 'Ann' };
    return store.messages.add({ ...row, text, sentAt: 1, now: 1 }) ?? 0;
  });
  for (const id of later) store.runs.attachMessages(poison.runId, ids.chatId, id);
  ownerChat = 0;
  await dieAndRestart(1);
  expect(stateOf(poison.runId)).toMatchObject({ state: 'dead', cutOffs: 12 });
  expect(notices).toEqual([expect.stringContaining(`dead:${poison.runId}`)]);
  expect(store.outbox.list(9)).toMatchObject([{ chatId: ids.chatId, text: expect.stringContaining('gave up') }]);
  const [next] = store.runs.list('leased', 1);
  expect(sent.at(-1)).toMatchObject({ run: { id: next?.id, messages: [{ id: later[0] }, { id: later[1] }] } });
  expect(store.messages.ofRun(poison.runId).map(({ id }) => id)).toEqual([poison.messageId]);
});

test('a message that was steered in counts as handed over: it stays with its dead run', async () => {
  // None of the hosts that died watches its run any more.
  wallClockMs = 10 ** 9;
  const poison = await say('poison');
  const steered = await say('two', poison.runId);
  await dieAndRestart(12);
  expect(stateOf(poison.runId)).toMatchObject({ state: 'dead' });
  expect(store.messages.ofRun(poison.runId).map(({ id }) => id)).toEqual([poison.messageId, steered.messageId]);
});

test('a run that is dead after failures tells the chat as well when the owner is told elsewhere', async () => {
  ownerChat = 0;
  const { runId, messageId } = await say('hello');
  const failure = { outcome: 'failed' as const, errorClass: 'invalid_request' as const, message: 'no' };
  for (let attempt = 1; attempt <= 2; attempt++) {
    queue.onFinish(runId, { ...failure, handledMessageIds: [messageId] });
    await clock.advance(60_000);
  }
  expect(stateOf(runId)).toMatchObject({ state: 'dead' });
  expect(store.outbox.list(9)).toMatchObject([{ chatId: ids.chatId, text: expect.stringContaining('gave up') }]);
});

test('a run that is dead before any runner had it keeps its messages, for whoever tries it again', async () => {
  container = Promise.reject(new Error('no such image'));
  container.catch(() => undefined);
  const { runId, messageId } = await say('hello');
  for (let attempt = 1; attempt < 12; attempt++) await clock.advance(3_600_000);
  expect(stateOf(runId)).toMatchObject({ state: 'dead' });
  expect(store.messages.ofRun(runId).map(({ id }) => id)).toEqual([messageId]);
  expect(store.runs.list('ready', 5)).toEqual([]);
});

test('a message that was steered in but that the runner never read goes on when its run is dead', async () => {
  const { runId, messageId } = await say('poison');
  const failure = { outcome: 'failed' as const, errorClass: 'invalid_request' as const, message: 'no' };
  queue.onFinish(runId, { ...failure, handledMessageIds: [messageId] });
  await clock.advance(60_000);
  const late = await say('innocent', runId);
  queue.onFinish(runId, { ...failure, handledMessageIds: [messageId] });
  await settled();
  expect(stateOf(runId)).toMatchObject({ state: 'dead' });
  expect(sent.at(-1)).toMatchObject({ type: 'run', run: { messages: [{ id: late.messageId }] } });
});

test('killed in the middle of an emergency stop: the next start ends what was left', async () => {
  const { runId } = await say('hello');
  const now = clock.now();
  store.outbox.add({ key: `${runId}:a`, chatId: ids.chatId, runId, text: 'flood', now });
  store.outbox.add({ key: 'notice:x', chatId: ids.chatId, runId: null, text: 'of the host', now });
  isStopped = true;
  queue = start('restarted');
  await settled();
  expect(stateOf(runId)).toMatchObject({ state: 'cancelled' });
  expect(store.outbox.list(5).map(({ key, state }) => [key, state])).toEqual([
    ['notice:x', 'queued'],
    [`${runId}:a`, 'dead'],
  ]);
});

test('an emergency stop takes back what an ended run still sends', async () => {
  const { runId, messageId } = await say('hello');
  queue.onFinish(runId, { outcome: 'done', text: 'a long answer', step: 2, handledMessageIds: [messageId] });
  await settled();
  queue.cancelAll();
  expect(store.outbox.list(1)).toMatchObject([{ state: 'dead' }]);
});

test('a run that is ended as soon as it begins is said to have begun before that', async () => {
  const order: string[] = [];
  for (const name of ['run:started', 'run:ended'] as const) signals.on(name, () => void order.push(name));
  signals.once('run:ready', () => queue.cancelAll());
  await say('hello');
  await settled();
  expect(order).toEqual(['run:started', 'run:ended']);
});

describe('a budget that is used up', () => {
  const refusal = {
    ...{ limitMicroUsd: 500_000, spentMicroUsd: 450_000, worstCaseMicroUsd: 90_000 },
    text: 'That is used up; raise it so.',
  };
  const report = { outcome: 'failed' as const, errorClass: 'budget' as const, message: 'the container says it' };
  const HOUR = 3_600_000;

  test('of one run: the run ends with a word in the chat, and its group goes on', async () => {
    ownerChat = 0;
    const { runId, messageId } = await say('dig');
    store.events.add(runId, clock.now(), 'budget_refused', { cap: 'run', ...refusal });
    queue.onFinish(runId, { ...report, handledMessageIds: [messageId] });
    await settled();
    expect(stateOf(runId)).toMatchObject({ state: 'dead', errorClass: 'budget', error: refusal.text });
    expect(store.outbox.list(9)).toMatchObject([
      {
        chatId: ids.chatId,
        text: expect.stringMatching(
          /^I stopped run 1 in the middle. That is used up; raise it so.\s+Then `\/retry 1` goes on.*Say "go on"/,
        ),
      },
    ]);
    expect(notices).toHaveLength(1);
    expect(ended).toEqual([runId]);
    const next = await say('go on');
    expect(sent.at(-1)).toMatchObject({ type: 'run', run: { id: next.runId } });
    expect(store.groups.get(ids.groupId)).toMatchObject({ parkedClass: null });
  });

  test('of the day: the group waits until the day ends, and one text for the owner and the chat each says so', async () => {
    ownerChat = 0;
    const endsAt = clock.now() + 5 * HOUR;
    const refuse = (runId: number) =>
      store.events.add(runId, clock.now(), 'budget_refused', { cap: 'day', period: '2026-11-21', endsAt, ...refusal });
    const { runId } = await say('dig');
    refuse(runId);
    queue.onFinish(runId, { ...report, handledMessageIds: [] });
    await settled();
    expect(stateOf(runId)).toMatchObject({ state: 'ready', attempt: 0 });
    expect(store.groups.get(ids.groupId)).toMatchObject({ parkedClass: 'budget', parkedUntil: endsAt });
    // A restart tries again at once; the same refusal is no news.
    store.groups.retryParked(clock.now());
    signals.emit('run:ready');
    await settled();
    refuse(runId);
    queue.onFinish(runId, { ...report, handledMessageIds: [] });
    await settled();
    expect(new Set(notices)).toEqual(new Set(['budget:day::2026-11-21:500000']));
    expect(store.outbox.list(9)).toMatchObject([{ chatId: ids.chatId, text: expect.stringContaining(refusal.text) }]);
    const tries = sent.length;
    await clock.advance(5 * HOUR - 1);
    expect(sent).toHaveLength(tries);
    await clock.advance(1);
    expect(sent.at(-1)).toMatchObject({ type: 'run', run: { id: runId } });
  });

  test('that only a container or a back end speaks of parks the group for a while, as before', async () => {
    const { runId } = await say('dig');
    store.events.add(runId, clock.now() - 1, 'budget_refused', { cap: 'run', ...refusal });
    queue.onFinish(runId, { ...report, handledMessageIds: [] });
    await settled();
    expect(store.groups.get(ids.groupId)).toMatchObject({ parkedClass: 'budget', parkedUntil: clock.now() + 15_000 });
    expect(notices[0]).toContain('parked:');
  });
});

/** The id of a new one. */
function task(): number {
  const options = {
    context: 'fresh' as const,
    misfire: 'skip' as const,
    overlap: 'skip' as const,
    jitterMs: 0,
    after: [],
  };
  const made = { key: 't', ...ids, title: 't', prompt: 'p', options, secret: null, starts: { kind: 'hook' as const } };
  return store.tasks.add({ ...made, nextAt: null, now: 1 })?.id ?? 0;
}

test('what is written in a chat that is held waits, tasks there go on, and a release lets the chat go on', async () => {
  store.budgets.hold(ids.chatId, clock.now());
  const { runId } = await say('hello?');
  expect(sent).toEqual([]);
  expect(stateOf(runId)).toMatchObject({ state: 'ready', attempt: 0 });
  const taskId = task();
  const due = { runAt: clock.now(), now: clock.now() };
  store.runs.enqueue({ key: 'task', kind: 'hook', ...ids, session: 'task', taskId, ...due });
  signals.emit('run:ready');
  await settled();
  expect(sent).toMatchObject([{ type: 'run', run: { session: 'task' } }]);
  store.budgets.release(ids.chatId);
  signals.emit('run:ready');
  await settled();
  expect(sent.at(-1)).toMatchObject({ type: 'run', run: { id: runId } });
});

describe('a restart in the middle of work', () => {
  const texts = () => store.outbox.list(20).map(({ text }) => text);
  const GOES_ON = 'I was restarted and am going on with this.';
  /** Another process takes over from one that was killed, or that stopped. */
  async function restart(name: string, how: 'kill' | 'stop' = 'kill'): Promise<void> {
    if (how === 'stop') await queue.stop();
    else signals.removeAllListeners();
    await settled();
    queue = start(name);
    await settled();
  }
  const tick = (seconds: number) => clock.advance(seconds * 1_000);

  test.each(['kill', 'stop'] as const)('(%s) is told in its chat, when the answer is not there soon', async (how) => {
    await say('work');
    await tick(30);
    await restart('second', how);
    await tick(7);
    expect(texts()).toEqual([]);
    await tick(2);
    expect(texts()).toEqual([GOES_ON]);
    await tick(600);
    expect(texts()).toEqual([GOES_ON]);
  });

  test('is not told when the run is over soon', async () => {
    const { runId, messageId } = await say('work');
    await restart('second', 'stop');
    await tick(3);
    queue.onFinish(runId, { outcome: 'done', text: 'there', step: 1, handledMessageIds: [messageId] });
    await tick(60);
    expect(texts()).toEqual(['there']);
  });

  test('is told once when it is followed by others, and again when the next is much later', async () => {
    await say('work');
    await restart('second', 'stop');
    await tick(3);
    await restart('third', 'stop');
    await tick(10);
    await restart('fourth', 'stop');
    await tick(60);
    expect(texts()).toEqual([GOES_ON]);
    await tick(700);
    await restart('fifth', 'stop');
    await tick(60);
    expect(texts()).toEqual([GOES_ON, GOES_ON]);
  });

  test('is not told of a run that only waited, nor in a task, nor where the chat knows of an outage', async () => {
    const now = clock.now();
    const { runId } = await say('work');
    store.runs.outageTold(runId, now);
    store.runs.enqueue({ ...ids, key: 'task', kind: 'task', session: 't', runAt: now, now, taskId: task() });
    store.runs.enqueue({ ...ids, key: 'later', kind: 'message', session: 'l', runAt: now + 5_000, now });
    signals.emit('run:ready');
    await settled();
    await restart('second', 'stop');
    await tick(60);
    expect(texts()).toEqual([]);
  });

  test('is forgotten once the run went on and failed: a later try is none of it', async () => {
    const { runId } = await say('work');
    await restart('second', 'stop');
    await tick(1);
    queue.onFinish(runId, { outcome: 'failed', errorClass: 'overloaded', message: 'broken', handledMessageIds: [] });
    await tick(120);
    expect(stateOf(runId)).toMatchObject({ state: 'leased' });
    expect(texts()).toEqual([]);
  });

  test('a stopped run that is tried again later knows nothing of it', async () => {
    const { runId } = await say('work');
    await queue.stop();
    store.runs.cancel(ids.chatId, null, clock.now());
    store.runs.revive(runId, clock.now());
    queue = start('second');
    await tick(60);
    expect(texts()).toEqual([]);
  });
});

describe('an outage of the model', () => {
  const texts = () => store.outbox.list(20).map(({ text }) => text);

  test('is told once in the chat of each run that waits, also after a restart, and so is its end', async () => {
    const { runId } = await say('work');
    const tells = createOutageTells({ store, clock });
    for (const text of ['away', 'still away']) tells.tell(runId, text);
    createOutageTells({ store, clock }).tell(runId, 'away');
    expect(texts()).toEqual(['away']);
    for (const text of ['back', 'back']) createOutageTells({ store, clock }).over(text);
    expect(texts()).toEqual(['back', 'away']);
    await clock.advance(1_000);
    tells.tell(runId, 'away again');
    expect(texts()).toEqual(['away again', 'back', 'away']);
  });

  test('a run whose chat knows is tried again at once after a restart', async () => {
    const now = clock.now();
    const later = store.runs.enqueue({ ...ids, key: 'l', kind: 'message', session: 'l', runAt: now, now }) ?? 0;
    const lease = { id: later, holder: 'it', attempt: 1 };
    expect(store.runs.claim({ holder: 'it', now, excludeGroups: [] })?.id).toBe(later);
    const failed = { errorClass: 'network' as const, error: 'away' };
    store.runs.giveBack(lease, { ...failed, runAt: now + 900_000, counted: true });
    createOutageTells({ store, clock }).tell(later, 'away');
    await queue.stop();
    queue = start('second');
    await settled();
    expect(stateOf(later)?.state).toBe('leased');
  });

  test('nobody is told of a run that is over or stopped, or of a task; what waits for another try goes on at its end', async () => {
    const { runId } = await say('work');
    const tells = createOutageTells({ store, clock });
    const now = clock.now();
    const later = store.runs.enqueue({ ...ids, key: 'l', kind: 'message', session: 'l', runAt: now, now }) ?? 0;
    const lease = { id: later, holder: 'it', attempt: 1 };
    expect(store.runs.claim({ holder: 'it', now, excludeGroups: [] })?.id).toBe(later);
    const failed = { errorClass: 'network' as const, error: 'away' };
    store.runs.giveBack(lease, { ...failed, runAt: now + 900_000, counted: true });
    const unattended =
      store.runs.enqueue({
        ...ids,
        key: 'task',
        kind: 'task',
        session: 't',
        runAt: now + 900_000,
        now,
        taskId: task(),
      }) ?? 0;
    for (const id of [runId, later, unattended]) tells.tell(id, `away ${id}`);
    expect(texts()).toEqual([`away ${later}`, `away ${runId}`]);
    queue.onFinish(runId, { outcome: 'failed', errorClass: 'check', message: 'no', handledMessageIds: [] });
    await settled();
    store.runs.cancel(ids.chatId, 's', now);
    const before = texts().length;
    tells.over('back');
    expect(texts().slice(0, -before)).toEqual(['back']);
    await settled();
    expect(stateOf(later)?.state).toBe('leased');
    tells.tell(runId, 'away');
    expect(texts()).toHaveLength(before + 1);
  });
});

describe('a group that waits', () => {
  const fail = async (runId: number, errorClass: 'auth' | 'billing' | 'network' | 'invalid_request') => {
    queue.onFinish(runId, { outcome: 'failed', errorClass, message: errorClass, handledMessageIds: [] });
    await settled();
    return store.groups.get(ids.groupId)?.parkedClass;
  };

  test('waits for the present reason: another one takes its place, and the owner is told of each once', async () => {
    const { runId } = await say('work');
    expect(await fail(runId, 'auth')).toBe('auth');
    await clock.advance(20_000);
    expect(await fail(runId, 'auth')).toBe('auth');
    expect(notices).toHaveLength(1);
    await clock.advance(60_000);
    expect(await fail(runId, 'billing')).toBe('billing');
    expect(notices).toHaveLength(2);
    await clock.advance(70_000);
    expect(await fail(runId, 'network')).toBeNull();
  });

  test('has the chat that waits told, when that is not where the owner is', async () => {
    ownerChat = 99;
    const { runId } = await say('work');
    await fail(runId, 'auth');
    expect(store.outbox.list(9).map(({ text }) => text)).toEqual([expect.stringContaining('does not let me in')]);
  });
});

describe('a full disk', () => {
  test('while the machine has no room nothing is claimed; with room it goes on', async () => {
    isDiskLow = true;
    const { runId } = await say('hello');
    expect(stateOf(runId)).toMatchObject({ state: 'ready', attempt: 0 });
    isDiskLow = false;
    signals.emit('run:ready');
    await settled();
    expect(stateOf(runId)).toMatchObject({ state: 'leased', attempt: 1 });
  });

  test('the agents of a group are told once in their run', async () => {
    const { runId } = await say('hello');
    for (const groupId of [ids.groupId, ids.groupId, ids.groupId + 1]) queue.tellGroup(groupId, 'full');
    expect(sent.slice(1)).toMatchObject([{ type: 'steer', runId, messages: [{ role: 'host', text: 'full' }] }]);
  });

  test('a run that filled its folders is over for good with a word in its chat; the owner was told about the folders', async () => {
    const { runId } = await say('hello');
    notices.length = 0;
    queue.endGroup(ids.groupId, { outcome: 'failed', errorClass: 'disk', message: 'far too much' });
    await settled();
    expect(stateOf(runId)).toMatchObject({ state: 'dead', errorClass: 'disk', error: 'far too much' });
    expect(pool).toContain(`ended ${ids.groupId}: far too much`);
    expect(notices).toEqual([]);
    expect(store.outbox.list(5)).toMatchObject([
      { runId, text: expect.stringContaining('folders I work in are full') },
    ]);
  });

  test('a run that was ended because the machine has no room costs no attempt', async () => {
    const { runId } = await say('hello');
    queue.endGroup(ids.groupId, { outcome: 'failed', errorClass: 'sandbox', message: 'no room' });
    await settled();
    expect(stateOf(runId)).toMatchObject({ state: 'ready', attempt: 0 });
  });
});
