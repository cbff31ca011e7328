// Warm containers: at most `maxContainers`, one per group, started when a run needs one, kept `idleMs` after the last run,
// the longest-idle one stopped at once when another group waits. Knows nothing about runs beyond their number.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Group } from '../core/types.js';
import type { Gateway } from '../gateway/server.js';
import type { WorkLine } from '../wire.js';
import { settled } from './instance.js';
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

interface Slot {
  group: Group;
  runs: number;
  idleSince: number;
  idleTimer: { cancel(): void } | undefined;
  starting: Promise<Worker>;
  instance: SandboxInstance | undefined;
}

interface State {
  deps: PoolDeps;
  /** By group id. What is being stopped is no longer here: it takes no run. */
  slots: Map<number, Slot>;
  /** Taken out, but something of it may still be there. */
  ending: Set<Slot>;
  stopping: Set<Promise<void>>;
  closing: boolean;
}

/** Runs of different sessions of one group at the same time (design §4). */
const MAX_RUNS_PER_GROUP = 3;
const WORK_TIMEOUT_MS = 20_000;
const STOP_GRACE_MS = 2_000;
/** Work that a runner was sent and did not read, beyond which it is ended. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024;

export type Pool = ReturnType<typeof createPool>;

export function createPool(deps: PoolDeps) {
  const pool: State = { deps, slots: new Map(), ending: new Set(), stopping: new Set(), closing: false };
  const { slots } = pool;
  const slotOf = (worker: Worker) => [...slots.values()].find(({ instance }) => instance?.id === worker.containerId);
  return {
    canHost(groupId: number): boolean {
      if (pool.closing) return false;
      const slot = slots.get(groupId);
      if (slot) return slot.runs < MAX_RUNS_PER_GROUP;
      return slots.size < deps.maxContainers || longestIdle(pool) !== undefined;
    },
    /**
     * Counts a run in at once (before the first await, so that `canHost` is true to the limit) and starts the container when there
     * is none. Throws PinchError of the sandbox. Pair with `release`.
     */
    acquire(group: Group): Promise<Worker> {
      const slot = slots.get(group.id) ?? openSlot(pool, group);
      slot.runs += 1;
      slot.idleTimer?.cancel();
      return slot.starting;
    },
    /** Counts a run out; the container stays warm. */
    release(worker: Worker): void {
      const slot = slotOf(worker);
      if (!slot) return;
      slot.runs -= 1;
      slot.idleSince = deps.clock.now();
      if (slot.runs === 0)
        slot.idleTimer = deps.clock.at(slot.idleSince + deps.idleMs, () => void stopSlot(pool, slot, 'idle'));
      deps.onFree();
    },
    /** Ends the container of a worker at once; its runs see `closed`, the next run of its group gets a new one. */
    async kill(worker: Worker): Promise<void> {
      const slot = slotOf(worker);
      if (slot) await stopSlot(pool, slot, 'killed', 0);
    },
    /** Ends every container and starts no new one until `reopen`. */
    async stopAll(why: string): Promise<void> {
      pool.closing = true;
      for (const slot of slots.values()) void stopSlot(pool, slot, why);
      await Promise.all(pool.stopping);
    },
    reopen: (): void => {
      pool.closing = false;
    },
    /** Also those that are being removed, or that the engine cannot remove. */
    containers: () => [
      ...[...slots.values()].map((slot) => describe(slot, slot.instance ? 'running' : 'starting')),
      ...[...pool.ending].map((slot) => describe(slot, 'ending')),
    ],
  };
}

type ContainerState = 'starting' | 'running' | 'ending';

function describe({ group, instance, runs }: Slot, state: ContainerState) {
  return { group: group.folder, id: instance?.id ?? null, runs, state };
}

function longestIdle({ slots }: State): Slot | undefined {
  return [...slots.values()].filter((slot) => slot.runs === 0).sort((a, b) => a.idleSince - b.idleSince)[0];
}

function openSlot(pool: State, group: Group): Slot {
  const { deps, slots } = pool;
  const evicted = slots.size >= deps.maxContainers ? longestIdle(pool) : undefined;
  const room = evicted ? stopSlot(pool, evicted, 'another group waits') : Promise.resolve();
  const slot: Slot = {
    group,
    runs: 0,
    idleSince: deps.clock.now(),
    idleTimer: undefined,
    starting: room.then(() => startWorker(pool, slot)),
    instance: undefined,
  };
  slot.starting.catch(() => drop(pool, slot));
  slots.set(group.id, slot);
  return slot;
}

async function startWorker(pool: State, slot: Slot): Promise<Worker> {
  const { sandbox, gateway, clock, specFor } = pool.deps;
  let onWork: (response: ServerResponse) => void = () => undefined;
  const asked = new Promise<ServerResponse>((resolve) => {
    onWork = (response) => {
      resolve(response);
      // One is all that a runner asks for: a second would be held open for nothing.
      onWork = (another) => void another.destroy();
    };
  });
  const link = { groupId: slot.group.id, onWork: (response: ServerResponse) => onWork(response) };
  const instance = await sandbox.start(specFor(slot.group), (connection) => gateway.connect(link, connection));
  slot.instance = instance;
  void instance.closed.then(() => drop(pool, slot));
  const ended = instance.closed.then(({ reason }) => `ended before it asked for work: ${reason}`);
  const first = (await settled(Promise.race([asked, ended]), clock, WORK_TIMEOUT_MS)) ?? 'did not ask for work in time';
  if (typeof first === 'string') {
    await instance.stop(0);
    throw new PinchError('container_start_failed', `the agent runner ${first}`);
  }
  first.writeHead(200, { 'content-type': 'application/x-ndjson' });
  first.flushHeaders();
  const send = (line: WorkLine): boolean => {
    if (first.destroyed || first.writableEnded) return false;
    if (first.writableLength > MAX_UNREAD_BYTES) {
      void stopSlot(pool, slot, 'it does not read its work', 0);
      return false;
    }
    first.write(`${JSON.stringify(line)}\n`);
    return true;
  };
  return { containerId: instance.id, closed: instance.closed, send };
}

/** Takes the slot out: it gets no run any more. Harmless twice. */
function forget({ slots, ending }: State, slot: Slot): void {
  slot.idleTimer?.cancel();
  if (slots.get(slot.group.id) !== slot) return;
  slots.delete(slot.group.id);
  ending.add(slot);
  const started = slot.starting.catch(() => undefined);
  void started.then(() => slot.instance?.gone).then(() => ending.delete(slot));
}

function drop(pool: State, slot: Slot): void {
  forget(pool, slot);
  pool.deps.onFree();
}

/** Resolves when the container is gone, also one that is still starting. Never rejects. */
function stopSlot(pool: State, slot: Slot, why: string, graceMs = STOP_GRACE_MS): Promise<void> {
  forget(pool, slot);
  pool.deps.log.info({ group: slot.group.folder, why }, 'container stopping');
  const stopped = stopInstance(slot, graceMs).finally(() => pool.stopping.delete(stopped));
  pool.stopping.add(stopped);
  return stopped;
}

async function stopInstance(slot: Slot, graceMs: number): Promise<void> {
  // One that waits for its runner can be ended at once; before that there is nothing to end yet.
  if (!slot.instance) await slot.starting.catch(() => undefined);
  await slot.instance?.stop(graceMs);
}
