// Warm containers: who gets one, how long it stays, and that none is left over. The sandbox is played by the test.
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import type { Group } from '../core/types.js';
import type { Link } from '../gateway/server.js';
import { createPool, type Pool } from './pool.js';
import type { SandboxExit } from './sandbox.js';

interface Container {
  id: string;
  folder: string;
  stops: number[];
  /** Ends it; `stop` waits for that. */
  end(reason: string): void;
}

let clock: FakeClock;
let pool: Pool;
let containers: Container[];
let asksForWork: boolean;
let freed: number;
let version: string;
let startHangs: { hears: boolean } | undefined;
let links: Map<string, Link>;
/** What the engine takes to remove a container that has ended. */
let removal: Promise<void>;

const group = (id: number): Group => ({
  ...{ id, folder: `g${id}`, isMain: false, model: null, parkedClass: null, parkedUntil: null, parkCount: 0 },
});

beforeEach(() => {
  clock = createFakeClock();
  [containers, asksForWork, freed, removal, version] = [[], true, 0, Promise.resolve(), '1'];
  links = new Map();
  startHangs = undefined;
  pool = createPool({
    ...{ clock, log: pino({ enabled: false }), maxContainers: 2, idleMs: 60_000 },
    gateway: { connect: (link) => void links.set(`g${link.groupId}`, link) },
    specFor: async ({ folder }) => ({ folder, mounts: [] }),
    specVersion: () => version,
    onFree: () => {
      freed += 1;
    },
    sandbox: {
      ping: async () => undefined,
      reap: async () => 0,
      async start({ folder }, onConnection, cancelled) {
        const { hears } = startHangs ?? {};
        if (hears !== undefined)
          await new Promise((_, giveUp) => {
            if (hears) cancelled?.addEventListener('abort', () => giveUp(new Error('given up')));
          });
        let end: (exit: SandboxExit) => void = () => undefined;
        const closed = new Promise<SandboxExit>((resolve) => {
          end = resolve;
        });
        const container: Container = {
          ...{ id: `c${containers.length + 1}`, folder, stops: [] },
          end: (reason) => end({ reason, exitCode: undefined, outOfMemory: false }),
        };
        containers.push(container);
        onConnection(new Socket());
        if (asksForWork) links.get(folder)?.onWork(new ServerResponse(new IncomingMessage(new Socket())));
        const stop = async (graceMs: number) => {
          container.stops.push(graceMs);
          await closed;
        };
        const gone = closed.then(() => removal);
        return { id: container.id, closed, gone, stop };
      },
    },
  });
});

const settled = () => clock.advance(0);

test('three runs share the container of their group, a fourth waits; the place of each comes back once', async () => {
  const workers = await Promise.all([1, 2, 3].map(() => pool.acquire(group(1), false)));
  expect(containers).toHaveLength(1);
  expect(pool.canHost(1, false)).toBe(false);
  for (const worker of workers) pool.release(worker, false);
  expect([pool.canHost(1, false), freed, pool.containers()]).toEqual([
    true,
    3,
    [{ group: 'g1', id: 'c1', runs: 0, state: 'running' }],
  ]);
});

test('a container without work goes after its time, not before; new work keeps it', async () => {
  pool.release(await pool.acquire(group(1), false), false);
  await clock.advance(59_000);
  pool.release(await pool.acquire(group(1), false), false);
  await clock.advance(59_999);
  expect(containers[0]?.stops).toEqual([]);
  await clock.advance(1);
  expect(containers[0]?.stops).toEqual([2_000]);
});

test('the one without work for longest makes room, and the new one starts when it is gone', async () => {
  const first = await pool.acquire(group(1), false);
  const second = await pool.acquire(group(2), false);
  expect(pool.canHost(3, false)).toBe(false);
  pool.release(first, false);
  await clock.advance(10);
  pool.release(second, false);
  const third = pool.acquire(group(3), false);
  await settled();
  expect(containers.map(({ stops }) => stops.length)).toEqual([1, 0]);
  containers[0]?.end('it was stopped');
  expect((await third).containerId).toBe('c3');
});

test('after a kill the next run of the group gets a new container, not the dying one', async () => {
  const worker = await pool.acquire(group(1), false);
  const killed = pool.kill(worker);
  expect((await pool.acquire(group(1), false)).containerId).toBe('c2');
  containers[0]?.end('it was stopped');
  await killed;
  // Counted out of a container that is gone: the new one keeps its run.
  pool.release(worker, false);
  expect(pool.containers()).toEqual([{ group: 'g1', id: 'c2', runs: 1, state: 'running' }]);
  await pool.kill(worker);
  expect(containers[1]?.stops).toEqual([]);
});

test('what a person stopped takes its container along, unless another run works in it', async () => {
  const [stopped, other] = [await pool.acquire(group(1), false), await pool.acquire(group(1), false)];
  pool.release(stopped, false, true);
  expect(containers[0]?.stops).toEqual([]);
  // Though this one ends by itself: what the stopped one left may still be there.
  pool.release(other, false);
  expect(containers[0]?.stops).toEqual([0]);
});

test('a start that takes its time is given up at the end, heard or not', async () => {
  for (const hears of [true, false]) {
    startHangs = { hears };
    const refused = expect(Promise.race([pool.acquire(group(1), false), ended()])).rejects.toThrow('given up');
    await settled();
    const stopping = pool.stopAll('Pinch is stopping');
    await clock.advance(hears ? 0 : 5_000);
    await stopping;
    await refused;
    pool.reopen();
  }
});
const ended = async () => {
  await clock.sleep(5_000);
  throw new Error('given up');
};

test('when what containers get has changed, a group gets a new one as soon as nothing works in the old one', async () => {
  const worker = await pool.acquire(group(1), false);
  version = '2';
  // The run that works goes on, no other one joins it.
  expect(pool.canHost(1, false)).toBe(false);
  pool.release(worker, false);
  expect(pool.canHost(1, false)).toBe(true);
  const next = pool.acquire(group(1), false);
  await settled();
  // The old one is gone before the new one starts: both write in the same folder.
  expect(containers.map(({ stops }) => stops)).toEqual([[2_000]]);
  containers[0]?.end('it was stopped');
  expect((await next).containerId).toBe('c2');
  pool.release(await next, false);
  expect((await pool.acquire(group(1), false)).containerId).toBe('c2');
});

test('stopping waits for those that were being stopped already', async () => {
  pool.release(await pool.acquire(group(1), false), false);
  await clock.advance(60_000);
  let stopped = false;
  const stopping = pool.stopAll('Pinch is stopping').then(() => {
    stopped = true;
  });
  await settled();
  expect([stopped, pool.canHost(1, false)]).toEqual([false, false]);
  containers[0]?.end('it was stopped');
  await stopping;
  pool.reopen();
  expect(pool.canHost(1, false)).toBe(true);
});

test('a runner that does not ask for work is ended, and its place is free', async () => {
  asksForWork = false;
  const refused = expect(pool.acquire(group(1), false)).rejects.toMatchObject({ code: 'container_start_failed' });
  await settled();
  await clock.advance(20_000);
  expect(containers[0]?.stops).toEqual([0]);
  containers[0]?.end('it was stopped');
  await refused;
  expect(pool.containers()).toEqual([]);
});

test('a container that waits for its runner is stopped at once', async () => {
  asksForWork = false;
  const refused = expect(pool.acquire(group(1), false)).rejects.toMatchObject({
    message: expect.stringContaining('stopped'),
  });
  await settled();
  const stopping = pool.stopAll('emergency stop');
  expect(containers[0]?.stops).toEqual([2_000]);
  containers[0]?.end('it was stopped');
  await Promise.all([stopping, refused]);
});

test('a container that the engine cannot remove stays in sight, and its group gets another', async () => {
  let removed: () => void = () => undefined;
  removal = new Promise((resolve) => {
    removed = resolve;
  });
  const killed = pool.kill(await pool.acquire(group(1), false));
  containers[0]?.end('it was stopped');
  await killed;
  await pool.acquire(group(1), false);
  expect(pool.containers()).toMatchObject([
    { id: 'c2', state: 'running' },
    { id: 'c1', state: 'ending' },
  ]);
  removed();
  await settled();
  expect(pool.containers()).toMatchObject([{ id: 'c2' }]);
});

test('a runner that does not read its work is ended before it fills this process', async () => {
  const worker = await pool.acquire(group(1), false);
  const line = { type: 'abort' as const, runId: 1, reason: 'x'.repeat(1024 * 1024) };
  let sent = 0;
  while (sent < 100 && worker.send(line)) sent += 1;
  expect(sent).toBeLessThan(12);
  expect(containers[0]?.stops).toEqual([0]);
});

test('a runner that asks for work a second time gets that connection closed, and goes on with the first', async () => {
  const worker = await pool.acquire(group(1), false);
  const second = new ServerResponse(new IncomingMessage(new Socket()));
  links.get('g1')?.onWork(second);
  expect(second.destroyed).toBe(true);
  expect(worker.send({ type: 'stop' })).toBe(true);
});

test('a dry run has a container of its own, whose link says so, and which goes with it', async () => {
  const own = await pool.acquire(group(1), false);
  expect(links.get('g1')).not.toHaveProperty('dryRun');
  const dry = await pool.acquire(group(1), false, 7);
  expect(dry.containerId).not.toBe(own.containerId);
  expect(links.get('g1')).toMatchObject({ groupId: 1, dryRun: 7 });
  // There is room for two, and neither is idle; the group's own one takes more runs.
  expect([pool.canHostDry(), pool.canHost(1, false), pool.canHost(2, false)]).toEqual([false, true, false]);
  pool.release(dry, false);
  expect(pool.containers().map(({ state }) => state)).toEqual(['running', 'ending']);
  expect(pool.canHostDry()).toBe(true);
});
