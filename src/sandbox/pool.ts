// Warm containers: at most `maxContainers`, one per group, started when a run needs one, kept `idleMs` after the last run,
// the longest-idle one stopped at once when another group waits. Knows nothing about runs beyond their number.
import type { ServerResponse } from 'node:http';
import { atMost, type Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Group } from '../core/types.js';
import type { Gateway } from '../gateway/server.js';
import type { WorkLine } from '../wire.js';
import type { Sandbox, SandboxExit, SandboxInstance, SandboxSpec } from './sandbox.js';

/** A group's container that takes work. */
export interface Worker {
  containerId: string;
  /** Resolves once, when the container is gone. */
  closed: Promise<SandboxExit>;
  /** False when the container is gone or does not read. */
  send(line: WorkLine): boolean;
}

export interface PoolDeps {
  sandbox: Sandbox;
  gateway: Pick<Gateway, 'connect'>;
  clock: Clock;
  log: Logger;
  maxContainers: number;
  idleMs: number;
  specFor(group: Group): SandboxSpec;
  /** Capacity became free. */
  onFree(): void;
}

/** A group's place in the pool, with its container. */
interface Place {
  group: Group;
  runs: number;
  idleSince: number;
  idleTimer: { cancel(): void } | undefined;
  starting: Promise<Worker>;
  instance: SandboxInstance | undefined;
}

interface PoolState {
  deps: PoolDeps;
  /** By group id. What is being stopped is no longer here: it takes no run. */
  places: Map<number, Place>;
  /** Taken out, but something of it may still be there. */
  ending: Set<Place>;
  stopping: Set<Promise<void>>;
  closing: boolean;
}

/** Runs of different sessions of one group at the same time. */
const MAX_RUNS_PER_GROUP = 3;
const WORK_TIMEOUT_MS = 20_000;
const STOP_GRACE_MS = 2_000;
/** Work that a runner was sent and did not read, beyond which it is ended. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024;

export type Pool = ReturnType<typeof createPool>;

export function createPool(deps: PoolDeps) {
  const pool: PoolState = { deps, places: new Map(), ending: new Set(), stopping: new Set(), closing: false };
  const { places } = pool;
  const placeOf = (worker: Worker) => [...places.values()].find(({ instance }) => instance?.id === worker.containerId);
  return {
    canHost(groupId: number): boolean {
      if (pool.closing) return false;
      const place = places.get(groupId);
      if (place) return place.runs < MAX_RUNS_PER_GROUP;
      return places.size < deps.maxContainers || longestIdle(pool) !== undefined;
    },
    /**
     * Counts a run in at once (before the first await, so that `canHost` is true to the limit) and starts the container when there
     * is none. Throws PinchError of the sandbox. Pair with `release`.
     */
    acquire(group: Group): Promise<Worker> {
      const place = places.get(group.id) ?? openPlace(pool, group);
      place.runs += 1;
      place.idleTimer?.cancel();
      return place.starting;
    },
    /** Counts a run out; the container stays warm. */
    release(worker: Worker): void {
      const place = placeOf(worker);
      if (!place) return;
      place.runs -= 1;
      place.idleSince = deps.clock.now();
      if (place.runs === 0)
        place.idleTimer = deps.clock.at(place.idleSince + deps.idleMs, () => void stopPlace(pool, place, 'idle'));
      deps.onFree();
    },
    /** Ends the container of a worker at once; its runs see `closed`, the next run of its group gets a new one. */
    async kill(worker: Worker): Promise<void> {
      const place = placeOf(worker);
      if (place) await stopPlace(pool, place, 'killed', 0);
    },
    /** Ends every container and starts no new one until `reopen`. */
    async stopAll(why: string): Promise<void> {
      pool.closing = true;
      for (const place of places.values()) void stopPlace(pool, place, why);
      await Promise.all(pool.stopping);
    },
    reopen: (): void => {
      pool.closing = false;
    },
    /** Also those that are being removed, or that the engine cannot remove. */
    containers: () => [
      ...[...places.values()].map((place) => describe(place, place.instance ? 'running' : 'starting')),
      ...[...pool.ending].map((place) => describe(place, 'ending')),
    ],
  };
}

type ContainerState = 'starting' | 'running' | 'ending';

function describe({ group, instance, runs }: Place, state: ContainerState) {
  return { group: group.folder, id: instance?.id ?? null, runs, state };
}

function longestIdle({ places }: PoolState): Place | undefined {
  return [...places.values()].filter((place) => place.runs === 0).sort((a, b) => a.idleSince - b.idleSince)[0];
}

function openPlace(pool: PoolState, group: Group): Place {
  const { deps, places } = pool;
  const evicted = places.size >= deps.maxContainers ? longestIdle(pool) : undefined;
  const room = evicted ? stopPlace(pool, evicted, 'another group waits') : Promise.resolve();
  const place: Place = {
    group,
    runs: 0,
    idleSince: deps.clock.now(),
    idleTimer: undefined,
    starting: room.then(() => startWorker(pool, place)),
    instance: undefined,
  };
  place.starting.catch(() => drop(pool, place));
  places.set(group.id, place);
  return place;
}

async function startWorker(pool: PoolState, place: Place): Promise<Worker> {
  const { sandbox, gateway, clock, specFor } = pool.deps;
  let onWork: (response: ServerResponse) => void = () => undefined;
  const asked = new Promise<ServerResponse>((resolve) => {
    onWork = (response) => {
      resolve(response);
      // A runner asks for work once: a second request would be held open for nothing.
      onWork = (another) => void another.destroy();
    };
  });
  const link = { groupId: place.group.id, onWork: (response: ServerResponse) => onWork(response) };
  const instance = await sandbox.start(specFor(place.group), (connection) => gateway.connect(link, connection));
  place.instance = instance;
  void instance.closed.then(() => drop(pool, place));
  const ended = instance.closed.then(({ reason }) => `ended before it asked for work: ${reason}`);
  const first = (await atMost(clock, WORK_TIMEOUT_MS, Promise.race([asked, ended]))) ?? 'did not ask for work in time';
  if (typeof first === 'string') {
    await instance.stop(0);
    throw new PinchError('container_start_failed', `the agent runner ${first}`);
  }
  first.writeHead(200, { 'content-type': 'application/x-ndjson' });
  first.flushHeaders();
  const send = (line: WorkLine): boolean => {
    if (first.destroyed || first.writableEnded) return false;
    if (first.writableLength > MAX_UNREAD_BYTES) {
      void stopPlace(pool, place, 'it does not read its work', 0);
      return false;
    }
    first.write(`${JSON.stringify(line)}\n`);
    return true;
  };
  return { containerId: instance.id, closed: instance.closed, send };
}

/** Takes the place out of the pool: it gets no more runs. Harmless twice. */
function forget({ places, ending }: PoolState, place: Place): void {
  place.idleTimer?.cancel();
  if (places.get(place.group.id) !== place) return;
  places.delete(place.group.id);
  ending.add(place);
  const started = place.starting.catch(() => undefined);
  void started.then(() => place.instance?.gone).then(() => ending.delete(place));
}

function drop(pool: PoolState, place: Place): void {
  forget(pool, place);
  pool.deps.onFree();
}

/** Resolves when the container is gone, also one that is still starting. Never rejects. */
function stopPlace(pool: PoolState, place: Place, why: string, graceMs = STOP_GRACE_MS): Promise<void> {
  forget(pool, place);
  pool.deps.log.info({ group: place.group.folder, why }, 'container stopping');
  const stopped = stopInstance(place, graceMs).finally(() => pool.stopping.delete(stopped));
  pool.stopping.add(stopped);
  return stopped;
}

async function stopInstance(place: Place, graceMs: number): Promise<void> {
  // While the container is being started there is nothing to end yet.
  if (!place.instance) await place.starting.catch(() => undefined);
  await place.instance?.stop(graceMs);
}
