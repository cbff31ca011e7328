// What ended Pinch twice is recognised at the next start and set aside; what a kill cut off by chance is not.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createIntake } from '../chats/intake.js';
import { createPairing } from '../chats/pairing.js';
import { startDelivery } from '../delivery/delivery.js';
import { openStore, type Store } from '../store.js';
import { startScheduler } from '../tasks/scheduler.js';
import { createTasks } from '../tasks/tasks.js';
import { createBegun, type LastEnd } from './begun.js';
import { createSetAside } from './set-aside.js';

let dataDir: string;
let store: Store;
let told: string[];
const clock = createFakeClock();
const log = pino({ level: 'silent' });

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'pinch-begun-'));
  store = openStore(':memory:');
  told = [];
});

/** A process that finds what the one before left. */
function start(last: LastEnd = 'itself') {
  const begun = createBegun({ dataDir, store, clock, onSetAside: (name) => told.push(name) });
  begun.start(last);
  return begun;
}
class Poison extends Error {}
function die(): never {
  throw new Poison();
}
const dies = (work: () => unknown) => expect(work).toThrow(Poison);
const never = () => new Promise<void>(() => undefined);

describe('which work it was', () => {
  test('that ended Pinch by an error: twice, whatever came between, and nothing else', () => {
    for (let time = 1; time <= 2; time++) {
      const begun = start();
      begun.during('a', () => 1);
      expect(begun.isSetAside('poison')).toBe(false);
      dies(() => begun.during('poison', die));
    }
    const begun = start();
    expect([begun.isSetAside('poison'), begun.isSetAside('a'), told]).toEqual([true, false, ['poison']]);
  });

  test('that came to an end in between is acquitted', async () => {
    dies(() => start().during('a', die));
    start().during('a', () => 1);
    dies(() => start().during('a', die));
    void start().attempt('later', never);
    await start().attempt('later', async () => undefined);
    void start().attempt('later', never);
    expect([start().isSetAside('a'), start().isSetAside('later'), told]).toEqual([false, false, []]);
  });

  test('that was killed twice: what held the process up, or had just begun; what had been going on for a while, six times', async () => {
    for (let kill = 1; kill <= 6; kill++) {
      void start('killed').attempt('slow', never);
      await clock.advance(0);
      await clock.advance(1_000);
    }
    expect(told).toEqual([]);
    for (let kill = 1; kill <= 2; kill++) {
      void start('killed').attempt('fresh', never);
      await clock.advance(0);
    }
    expect(start('killed').isSetAside('fresh')).toBe(true);
    for (let kill = 1; kill <= 2; kill++) {
      const begun = start('killed');
      void begun.attempt('beside it', never);
      dies(() => begun.during('around', () => begun.during('within', die)));
    }
    start('killed');
    // What held the process up is what ended it, and nothing else; the slow one had its sixth kill with the first start after those.
    expect(told).toEqual(['slow', 'fresh', 'within']);
  });

  test('is nothing when Pinch was stopped, or when somebody caught what it threw', () => {
    for (let time = 1; time <= 3; time++) {
      const begun = start('stopped');
      dies(() => begun.during('stopped', die));
    }
    for (let time = 1; time <= 3; time++) dies(() => start(time === 1 ? 'stopped' : 'itself').guarded('caught', die));
    start();
    expect(told).toEqual([]);
  });

  test('is not acquitted by being put off', async () => {
    for (let time = 1; time <= 2; time++) {
      const begun = start('killed');
      await begun.attempt(
        'a',
        async () => 'put off',
        (how) => how === 'done',
      );
      await begun.attempt('a', () => Promise.reject(new Poison())).catch(() => undefined);
      void begun.attempt('a', never);
      await clock.advance(0);
    }
    start('killed');
    expect(told).toEqual(['a']);
  });

  test('is known after many thousands of others, and with long names', () => {
    const begun = start();
    void begun.attempt('long ago', never);
    for (let n = 0; n < 5_000; n++) begun.during(`message web owner ${n}`, () => n);
    expect(start().isSuspect('long ago')).toBe(true);
  });
});

describe('what is done with it', () => {
  function home() {
    const main = store.groups.ensure('main', true, 1);
    const seen = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: 1 });
    store.groups.assignChat(seen.id, main.id);
    return { ...seen, groupId: main.id };
  }

  test('a message: left out, and those behind it are taken in', () => {
    const chat = { address: '1', kind: 'direct' as const, title: 'Olga' };
    const rest = { sentAt: 1, addressesAssistant: false, forwarded: false, edited: false, media: [] };
    const message = (text: string, platformId: string) => ({
      chat,
      sender: { address: '1', name: 'O' },
      text,
      platformId,
      ...rest,
    });
    const takeIn = () => {
      const transaction: Store['transaction'] = (work) => store.transaction(() => work());
      const begun = start();
      // Nothing is written any more once the process is gone.
      const end = () => {
        begun.close();
        return die();
      };
      const spoiled = {
        ...store,
        transaction,
        messages: {
          ...store.messages,
          add: (row: Parameters<Store['messages']['add']>[0]) =>
            row.text === 'poison' ? end() : store.messages.add(row),
        },
      };
      const intake = createIntake({
        ...{
          store: spoiled,
          clock,
          log,
          pairing: createPairing(store),
          assistantName: 'Pinch',
          commands: [],
          takeIn: createSetAside({ store, clock, log, begun, notifyOwner: () => undefined }).takeIn,
        },
        ...{ askToRegister: { forCall: () => undefined }, owner: { channel: 'telegram', address: '1' } },
      });
      return (text: string, id: string) => intake.receive('telegram', message(text, id));
    };
    for (let life = 1; life <= 2; life++) dies(() => takeIn()('poison', '7'));
    const receive = takeIn();
    expect(receive('poison', '7')).toEqual({});
    expect(receive('hello', '8').messageId).toBeDefined();
    expect(told).toEqual(['message telegram 1 7']);
  });

  test('a text to be sent: dead and told, alone of those that were on their way', async () => {
    const chat = home();
    const texts: string[] = [];
    const notices: string[] = [];
    for (const text of ['poison', 'behind'])
      store.outbox.add({ key: text, chatId: chat.id, runId: null, text, now: 1 });
    const other = store.groups.seenChat({ channel: 'web', address: 'b', kind: 'direct', title: 'B', now: 1 });
    store.outbox.add({ key: 'slow', chatId: other.id, runId: null, text: 'slow', now: 1 });
    const live = async (isDying: boolean) => {
      const channel = {
        ...{
          start: () => undefined,
          typing: () => undefined,
          stop: async () => undefined,
          fetchMedia: async () => Buffer.alloc(0),
        },
        split: async (text: string) => [text],
        send: async ({ text }: { text: string }) => {
          texts.push(text);
          if (isDying) await never();
          return { platformId: text };
        },
      };
      const outboxFiles = { drop: async () => undefined, pathOf: () => '' };
      startDelivery({
        ...{ store, clock, log, config: { assistantName: 'Pinch' }, begun: start(), channel: () => channel },
        outboxFiles: { ...outboxFiles, keep: async () => die(), sweep: async () => undefined },
        notifyOwner: (key) => void notices.push(key),
        states: () => [],
        isBlocked: () => false,
        ownerChat: () => {
          throw new Error('no notice waits');
        },
      });
      await clock.advance(0);
      await clock.advance(0);
    };
    await live(true);
    expect(texts.splice(0).sort()).toEqual(['poison', 'slow']);
    await live(true);
    // One at a time now.
    expect(texts.splice(0)).toHaveLength(1);
    await live(false);
    expect(texts.sort()).toEqual(['behind', 'slow']);
    expect(notices).toEqual(['outbox:1']);
  });

  test('a task: paused, and the others go on', async () => {
    const chat = home();
    const tasks = createTasks({ store, clock, config: { timeZone: 'UTC' } });
    const [bad, good] = ['bad', 'good'].map((prompt) => tasks.add({ prompt, every: '5m' }, chat).id);
    await clock.advance(5 * 60_000);
    const notices: string[] = [];
    const live = () => {
      const enqueue: Store['runs']['enqueue'] = (row) => (row.taskId === bad ? die() : store.runs.enqueue(row));
      const deps = {
        store: { ...store, runs: { ...store.runs, enqueue } },
        clock,
        log,
        timeZone: 'UTC',
        begun: start(),
      };
      startScheduler({ ...deps, stopSwitch: { stopped: () => false }, notifyOwner: (key) => void notices.push(key) });
    };
    dies(live);
    dies(live);
    live();
    expect(store.tasks.get(bad ?? 0)?.state).toBe('paused');
    expect(store.tasks.slotsOf(good ?? 0, 9)).toHaveLength(1);
    expect(notices).toEqual([expect.stringContaining(`task-ended-us:${bad}`)]);
  });
});
