// Warm containers: at most `maxContainers`, one per group, started when a run needs one, kept `idleMs` after the last run,
// the longest-idle one stopped at once when another group waits. Knows nothing about runs beyond their number.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../clock.js';
import { describeError, PinchError } from '../errors.js';
import type { Gateway } from '../gateway/server.js';
import type { Logger } from '../log.js';
import type { Group } from '../types.js';
import type { WorkLine } from '../wire.js';
import type { Sandbox, SandboxExit, SandboxInstance, SandboxSpec } from './sandbox.js';

/** A group's container that takes work. */
export interface Worker {
  groupId: number;
  containerId: string;
  /** Resolves once, when the container is gone. */
  closed: Promise<SandboxExit>;
  /** False when the container is gone or does not read. */
  send(line: WorkLine): boolean;
}

export interface PoolDeps {
  sandbox: Sandbox;
  gateway: Gateway;
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
  worker: Promise<Worker>;
  instance: SandboxInstance | undefined;
  idleTimer: { cancel(): void } | undefined;
}

/** Runs of different sessions of one group at the same time (design §4). */
const MAX_RUNS_PER_GROUP = 3;
const WORK_TIMEOUT_MS = 20_000;
const STOP_GRACE_MS = 2_000;

export type Pool = ReturnType<typeof createPool>;

export function createPool(deps: PoolDeps) {
  const slots = new Map<number, Slot>();
  let closing = false;

  function canHost(groupId: number): boolean {
    if (closing) return false;
    const slot = slots.get(groupId);
    if (slot) return slot.runs < MAX_RUNS_PER_GROUP;
    return slots.size < deps.maxContainers || longestIdle(slots) !== undefined;
  }

  /**
   * Counts a run in at once (before the first await, so that `canHost` is true to the limit) and starts the container when there
   * is none. Throws PinchError of the sandbox. Pair with `release`.
   */
  async function acquire(group: Group): Promise<Worker> {
    const slot = slots.get(group.id) ?? openSlot(group);
    slot.runs += 1;
    slot.idleTimer?.cancel();
    try {
      return await slot.worker;
    } catch (error) {
      drop(slot);
      throw error;
    }
  }

  function openSlot(group: Group): Slot {
    const evicted = slots.size >= deps.maxContainers ? longestIdle(slots) : undefined;
    const slot: Slot = {
      group,
      runs: 0,
      idleSince: deps.clock.now(),
      instance: undefined,
      idleTimer: undefined,
      worker: (evicted ? stopSlot(evicted, 'another group waits') : Promise.resolve()).then(() => startWorker(slot)),
    };
    // The rejection is acquire's to handle; this branch only keeps Node from calling it unhandled.
    slot.worker.catch(() => undefined);
    slots.set(group.id, slot);
    return slot;
  }

  async function startWorker(slot: Slot): Promise<Worker> {
    let onWork: (response: ServerResponse) => void = () => undefined;
    const work = new Promise<ServerResponse>((resolve) => {
      onWork = resolve;
    });
    const { id: groupId, folder, isMain } = slot.group;
    const link = { groupId, folder, isMain, onWork: (response: ServerResponse) => onWork(response) };
    const instance = await deps.sandbox.start(deps.specFor(slot.group), (connection) =>
      deps.gateway.connect(link, connection),
    );
    slot.instance = instance;
    void instance.closed.then(() => drop(slot));
    const response = await firstOf(work, instance, deps.clock);
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.flushHeaders();
    return { groupId, containerId: instance.id, closed: instance.closed, send: (line) => writeLine(response, line) };
  }

  function drop(slot: Slot): void {
    slot.idleTimer?.cancel();
    if (slots.get(slot.group.id) === slot) slots.delete(slot.group.id);
    deps.onFree();
  }

  /** Counts a run out; the container stays warm. */
  function release(worker: Worker): void {
    const slot = slots.get(worker.groupId);
    if (!slot || slot.instance?.id !== worker.containerId) return;
    slot.runs -= 1;
    if (slot.runs === 0) {
      slot.idleSince = deps.clock.now();
      slot.idleTimer = deps.clock.at(slot.idleSince + deps.idleMs, () => void stopSlot(slot, 'idle'));
    }
    deps.onFree();
  }

  async function stopSlot(slot: Slot, why: string): Promise<void> {
    if (slots.get(slot.group.id) === slot) slots.delete(slot.group.id);
    slot.idleTimer?.cancel();
    deps.log.info({ group: slot.group.folder, why }, 'container stopping');
    try {
      await slot.worker;
      await slot.instance?.stop(STOP_GRACE_MS);
    } catch (error) {
      deps.log.warn({ group: slot.group.folder, error: describeError(error) }, 'container did not stop cleanly');
    }
  }

  return {
    canHost,
    acquire,
    release,
    /** Ends the container of a worker at once; its runs see `closed`. */
    kill: async (worker: Worker): Promise<void> => {
      const slot = slots.get(worker.groupId);
      if (slot?.instance?.id === worker.containerId) await slot.instance.stop(0);
    },
    /** Ends every container and starts no new one until `reopen`. */
    async stopAll(why: string): Promise<void> {
      closing = true;
      await Promise.all([...slots.values()].map((slot) => stopSlot(slot, why)));
    },
    reopen: (): void => {
      closing = false;
    },
    containers: () =>
      [...slots.values()].map((slot) => ({ group: slot.group.folder, id: slot.instance?.id ?? null, runs: slot.runs })),
  };
}

function longestIdle(slots: Map<number, Slot>): Slot | undefined {
  return [...slots.values()].filter((slot) => slot.runs === 0).sort((a, b) => a.idleSince - b.idleSince)[0];
}

async function firstOf(
  work: Promise<ServerResponse>,
  instance: SandboxInstance,
  clock: Clock,
): Promise<ServerResponse> {
  const timeout = new AbortController();
  const gone = instance.closed.then((exit) => {
    throw new PinchError('container_start_failed', `the agent runner ended before it asked for work: ${exit.reason}`, {
      retryable: true,
    });
  });
  const late = clock.sleep(WORK_TIMEOUT_MS, timeout.signal).then(() => {
    throw new PinchError('container_start_failed', 'the agent runner did not ask for work in time', {
      retryable: true,
    });
  });
  gone.catch(() => undefined);
  late.catch(() => undefined);
  try {
    return await Promise.race([work, gone, late]);
  } catch (error) {
    await instance.stop(0);
    throw error;
  } finally {
    timeout.abort();
  }
}

function writeLine(response: ServerResponse, line: WorkLine): boolean {
  if (response.destroyed || response.writableEnded) return false;
  response.write(`${JSON.stringify(line)}\n`);
  return true;
}
