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
import { createBegun } from './begun.js';

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
function start(byItself = true) {
  const begun = createBegun({ dataDir, store, clock, onSetAside: (name) => told.push(name) });
  begun.start(byItself);
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
    void start().during('later', never);
    await start().during('later', async () => undefined);
    void start().during('later', never);
    expect([start().isSetAside('a'), start().isSetAside('later'), told]).toEqual([false, false, []]);
  });

  test('that was killed: what holds the process up needs three kills in a row, what goes on beside others none', () => {
    for (let kill = 1; kill <= 9; kill++) {
      const begun = start(false);
      expect(begun.isSetAside('now')).toBe(kill > 3);
      if (kill <= 3) dies(() => begun.during('now', die));
      void begun.during('later', never);
    }
    expect(start(false).isSetAside('later')).toBe(false);
  });

  test('is known after many thousands of others, and with long names', () => {
    const begun = start();
    void begun.during('long ago', never);
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
      const spoiled = {
        ...store,
        transaction,
        messages: {
          ...store.messages,
          add: (row: Parameters<Store['messages']['add']>[0]) =>
            row.text === 'poison' ? die() : store.messages.add(row),
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
          begun: start(),
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
