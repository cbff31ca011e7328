// Who is next: the order of claims on a real store, and with the real queue and pool that nobody is kept out for ever.
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { whenBusy } from '../../test/limits.js';
import type { Run } from '../core/types.js';
import type { Link } from '../gateway/server.js';
import { createPool } from '../sandbox/pool.js';
import type { SandboxExit } from '../sandbox/sandbox.js';
import { openStore, type Store } from '../store.js';
import { workLine } from '../wire.js';
import { isBackground } from './fair.js';
import { createQueue } from './queue.js';

const MINUTE = 60_000;
let store: Store;
let clock: FakeClock;
let start: number;
let keys: number;

beforeEach(() => {
  store = openStore(':memory:');
  clock = createFakeClock();
  [start, keys] = [clock.now(), 0];
});

/** A chat in a group of that name. */
function chatIn(folder: string): { groupId: number; chatId: number } {
  const groupId = store.groups.ensure(folder, folder === 'main', 1).id;
  const address = `${++keys}`;
  const chat = store.groups.seenChat({ channel: 'web', address, kind: 'direct', title: '', now: 1 });
  store.groups.assignChat(chat.id, groupId);
  return { groupId, chatId: chat.id };
}

type Where = ReturnType<typeof chatIn>;
const enqueue = (where: Where, kind: Run['kind'], runAt = clock.now(), session = `s${++keys}`): number =>
  store.runs.enqueue({ key: `k${++keys}`, kind, ...where, session, runAt, now: clock.now() }) ?? 0;
const claim = (more: { excludeGroups?: number[]; noBackground?: number[] } = {}) =>
  store.runs.claim({ holder: 'me', now: clock.now(), excludeGroups: [], ...more });
const claimed = () => claim()?.id;

describe('the order of claims', () => {
  test('the owner’s message does not wait behind a hundred slots of its group, nor a hook behind tasks', () => {
    const main = chatIn('main');
    const tasks = Array.from({ length: 100 }, (_, n) => enqueue(main, 'task', start - 1_000 + n));
    const hook = enqueue(main, 'hook', start);
    const replay = enqueue(main, 'replay', start);
    const message = enqueue(main, 'message', start - 1);
    expect([claimed(), claimed(), claimed(), claimed()]).toEqual([message, replay, hook, tasks[0]]);
  });

  test('a task that waited for two minutes, and a hook that waited for one, go before people who came after that', () => {
    const main = chatIn('main');
    const [task, hook] = [enqueue(main, 'task'), enqueue(chatIn('other'), 'hook')];
    const early = enqueue(main, 'message', start + MINUTE - 1);
    const between = enqueue(main, 'message', start + MINUTE + 1);
    const late = enqueue(main, 'message', start + 2 * MINUTE + 1);
    clock.set(start + 3 * MINUTE);
    expect([claimed(), claimed(), claimed(), claimed(), claimed()]).toEqual([early, hook, between, task, late]);
  });

  test('of each group that holds for one at a time: old tasks without end leave people the other places', () => {
    const main = chatIn('main');
    const tasks = [1, 2, 3].map((ms) => enqueue(main, 'task', start - 60 * MINUTE + ms));
    const messages = [1, 2].map((ms) => enqueue(main, 'message', start - ms));
    expect([claimed(), claimed(), claimed(), claimed()]).toEqual([tasks[0], messages[1], messages[0], tasks[1]]);
  });

  test('one that was tried again has its place by the time of that try', () => {
    const main = chatIn('main');
    const retried = enqueue(main, 'message', start - 1_000);
    const { attempt = 0 } = claim() ?? {};
    const why = { errorClass: 'network' as const, error: 'away', counted: true };
    store.runs.giveBack({ id: retried, holder: 'me', attempt }, { ...why, runAt: start + 5_000 });
    const [next, later] = [enqueue(main, 'message', start + 4_000), enqueue(main, 'message', start + 6_000)];
    clock.set(start + 10_000);
    expect([claimed(), claimed(), claimed()]).toEqual([next, retried, later]);
  });

  test('what has no place holds up nobody: full groups, groups for people alone, sessions at work, parked groups', () => {
    const [one, two, three] = [chatIn('one'), chatIn('two'), chatIn('three')];
    enqueue(one, 'message', start - 9);
    enqueue(two, 'task', start - 10 * MINUTE);
    enqueue(three, 'message', start - 8, 'busy');
    expect(claim({ excludeGroups: [one.groupId], noBackground: [two.groupId] })?.session).toBe('busy');
    enqueue(three, 'message', start - 7, 'busy');
    const open = { excludeGroups: [one.groupId], noBackground: [two.groupId] };
    expect(claim(open)).toBeUndefined();
    const person = enqueue(two, 'message', start);
    expect(claim(open)?.id).toBe(person);
    store.groups.park(one.groupId, 'auth', start + MINUTE);
    const waiting = { groupId: two.groupId, isBackground: true, turnAt: start - 8 * MINUTE };
    expect(store.runs.waiting({ now: start })).toEqual([waiting]);
  });
});

/** Groups of a real queue and a real pool whose runs take as long as the test says. */
function createWorld(maxContainers: number) {
  const log = pino({ enabled: false });
  const links: Link[] = [];
  const working = new Map<number, Where>();
  let most = 0;
  /** By run id: how long it takes, ms. */
  const lengths = new Map<number, number>();
  const startedAt = new Map<number, number>();
  const endedAt = new Map<number, number>();

  function work(runId: number): void {
    const run = store.runs.get(runId);
    if (!run) return;
    startedAt.set(runId, clock.now());
    working.set(runId, run);
    const ofGroup = [...working.keys()]
      .flatMap((id) => store.runs.get(id) ?? [])
      .filter(({ groupId }) => groupId === run.groupId);
    expect(ofGroup.length).toBeLessThanOrEqual(3);
    expect(ofGroup.filter(isBackground).length).toBeLessThanOrEqual(2);
    most = Math.max(most, new Set([...working.values()].map(({ groupId }) => groupId)).size);
    clock.at(clock.now() + (lengths.get(runId) ?? 1_000), () => {
      working.delete(runId);
      endedAt.set(runId, clock.now());
      queue.onFinish(runId, { outcome: 'done', text: '', step: 1, handledMessageIds: [] });
    });
  }
  const pool = createPool({
    ...{ clock, log, maxContainers, idleMs: 600_000, specVersion: () => '' },
    gateway: { connect: (link) => void links.push(link) },
    specFor: async ({ folder }) => ({ folder, mounts: [] }),
    onFree: () => store.signals.emit('run:ready'),
    sandbox: {
      ping: async () => undefined,
      reap: async () => 0,
      async start({ folder }, onConnection) {
        let end: (exit: SandboxExit) => void = () => undefined;
        const closed = new Promise<SandboxExit>((resolve) => {
          end = resolve;
        });
        onConnection(new Socket());
        const response = new ServerResponse(new IncomingMessage(new Socket()));
        response.write = (text: unknown) => {
          const line = workLine.parse(JSON.parse(String(text)));
          if (line.type === 'run') work(line.run.id);
          return true;
        };
        links.at(-1)?.onWork(response);
        const stop = async () => end({ reason: 'stopped', exitCode: 0, outOfMemory: false });
        return { id: `${folder} ${links.length}`, closed, gone: closed.then(() => undefined), stop };
      },
    },
  });
  const limits = { maxTokens: 1, maxModelCalls: 1, wallClockMs: 10 ** 9 };
  const names = { assistantName: 'Pinch', model: 'm', timeZone: 'UTC' };
  const where = { group: { folder: 'main', isMain: true }, chat: { title: 'Web' } };
  const queue = createQueue({
    ...{ store, clock, log, pool, leaseHolder: 'me', channels: { get: () => undefined } },
    guard: { note: () => undefined },
    fallback: { afterFailure: (_, errorClass) => ({ errorClass }) },
    supervisor: { engineDown: () => false, reportDown: () => undefined },
    stopSwitch: { stopped: () => false },
    diskIsLow: () => false,
    dryFolders: { changes: async () => [], sweep: async () => undefined },
    orders: {
      dropMedia: async () => undefined,
      promptMessages: async () => [],
      buildSpec: async ({ id, attempt, session }) => ({
        ...{ id, attempt, session, ...where, ...names, messages: [], limits, ownSkills: [] },
      }),
    },
    notifyOwner: () => undefined,
  });
  queue.start();
  return {
    /** A run that is due now. */
    add(place: Where, kind: Run['kind'], lengthMs: number, session?: string): number {
      const id = enqueue(place, kind, clock.now(), session);
      lengths.set(id, lengthMs);
      store.signals.emit('run:ready');
      return id;
    },
    /** How long the run waited, ms; undefined while it does. */
    waited: (id: number) => (startedAt.get(id) ?? Number.NaN) - (store.runs.get(id)?.createdAt ?? 0),
    /** Groups that worked at a time. */
    most: () => most,
    started: (id: number) => startedAt.has(id),
  };
}

describe('with the queue and its containers', () => {
  const SECOND = 1_000;
  /** Keeps the group busy with two conversations that overlap and never rest. */
  function keepBusy(
    world: ReturnType<typeof createWorld>,
    place: Where,
    { kind, lengthMs }: { kind: Run['kind']; lengthMs: number },
  ) {
    const sessions = [`a${place.chatId}`, `b${place.chatId}`];
    for (const [index, session] of sessions.entries())
      clock.at(clock.now() + (index * lengthMs) / 2, () => {
        for (let n = 0; n < 60; n++) world.add(place, kind, lengthMs, kind === 'message' ? session : undefined);
      });
  }

  test.each([1, 2, 5])('%i busy groups in as many containers do not keep another one out', async (places) => {
    const world = createWorld(places);
    for (let n = 0; n < places; n++) keepBusy(world, chatIn(`busy${n}`), { kind: 'message', lengthMs: 20 * SECOND });
    await clock.advance(60 * SECOND);
    const [one, two] = [chatIn('sixth'), chatIn('seventh')];
    const [message, task] = [world.add(one, 'message', SECOND), world.add(two, 'task', SECOND)];
    await clock.advance(10 * MINUTE);
    expect(world.waited(message)).toBeLessThanOrEqual(60 * SECOND);
    expect(world.waited(task)).toBeLessThanOrEqual(2 * MINUTE + 90 * SECOND);
    expect(world.most()).toBe(places);
  });

  test('groups that never rest take turns: twelve in three containers', async () => {
    const world = createWorld(3);
    const all = Array.from({ length: 12 }, (_, n) => chatIn(`g${n}`));
    for (const place of all) keepBusy(world, place, { kind: 'message', lengthMs: 10 * SECOND });
    await clock.advance(10 * MINUTE);
    const done = all.map(
      ({ groupId }) => store.runs.list('done', 5_000).filter((run) => run.groupId === groupId).length,
    );
    expect(Math.min(...done)).toBeGreaterThan(Math.max(...done) / 4);
  });

  test('tasks of half an hour: a person of the same group begins at once, also the second after the first', async () => {
    const world = createWorld(5);
    const main = chatIn('main');
    const tasks = Array.from({ length: 100 }, () => world.add(main, 'task', 30 * MINUTE));
    await clock.advance(SECOND);
    expect(tasks.filter(world.started)).toHaveLength(2);
    const [first, second] = [world.add(main, 'message', 5 * SECOND), world.add(main, 'message', 5 * SECOND)];
    await clock.advance(0);
    await clock.advance(MINUTE);
    expect([world.waited(first), world.waited(second)]).toEqual([0, 5 * SECOND]);
  });

  test('tasks of half an hour in every other group leave a container to people', async () => {
    const world = createWorld(3);
    for (let n = 0; n < 6; n++) world.add(chatIn(`g${n}`), 'task', 30 * MINUTE);
    await clock.advance(20 * MINUTE);
    const message = world.add(chatIn('main'), 'message', 5 * SECOND);
    await clock.advance(0);
    expect(world.waited(message)).toBe(0);
  });

  test('a group that gives way answers its people as long as its own task keeps the container anyway', async () => {
    const world = createWorld(1);
    const [main, other] = [chatIn('main'), chatIn('other')];
    world.add(main, 'task', 30 * MINUTE);
    await clock.advance(0);
    const outside = world.add(other, 'message', SECOND);
    await clock.advance(5 * MINUTE);
    const [task, message] = [world.add(main, 'task', SECOND), world.add(main, 'message', SECOND)];
    await clock.advance(0);
    expect([world.waited(message), world.started(task), world.started(outside)]).toEqual([0, false, false]);
    await clock.advance(26 * MINUTE);
    expect(world.waited(outside)).toBe(30 * MINUTE);
  });

  test('people who never rest do not keep their own group’s tasks out', async () => {
    const world = createWorld(2);
    const main = chatIn('main');
    for (let n = 0; n < 2; n++)
      keepBusy(world, { ...main, chatId: chatIn('main').chatId }, { kind: 'message', lengthMs: 10 * SECOND });
    const [hook, task] = [world.add(main, 'hook', SECOND), world.add(main, 'task', SECOND)];
    await clock.advance(10 * MINUTE);
    expect(world.waited(hook)).toBeLessThanOrEqual(MINUTE + 10 * SECOND);
    expect(world.waited(task)).toBeLessThanOrEqual(2 * MINUTE + 10 * SECOND);
  });
});

test('a claim takes as long whatever waits and was: 20,000 runs, 10,000 slots due in one of 50 groups', () => {
  const groups = Array.from({ length: 50 }, (_, n) => chatIn(`g${n}`));
  const [busy] = groups;
  if (!busy) throw new Error('no group');
  store.transaction(() => {
    for (let n = 0; n < 20_000; n++) enqueue(busy, 'task', start, `h${n}`);
    store.runs.cancel(busy.chatId, null, start);
    for (let n = 0; n < 10_000; n++) enqueue(busy, 'task', start, `t${n}`);
    for (const group of groups) enqueue(group, 'message');
  });
  const times = Array.from({ length: 60 }, () => {
    const began = performance.now();
    store.runs.waiting({ now: start });
    claim();
    return performance.now() - began;
  }).sort((one, other) => one - other);
  const median = times[30] ?? Number.NaN;
  console.info(`a claim among 10,000 slots: ${median.toFixed(2)} ms, at most ${times.at(-1)?.toFixed(2)}`);
  expect(median).toBeLessThan(whenBusy(5));
});
