// Warm containers: at most `maxContainers`, one per group and one for each dry run alone, started when a run needs one, kept `idleMs` after the last run,
// the longest-idle one stopped at once when another group waits; who gives way when none is idle is in turns.ts. A PoolEntry is what the pool keeps of a group; a GroupContainer is what it
// gives to whoever has work. Knows nothing about runs beyond their number.
import type { ServerResponse } from 'node:http';
import { atMost } from '../core/clock.js';
import type { BaseDeps } from '../core/deps.js';
import { PinchError } from '../core/errors.js';
import type { Group } from '../core/types.js';
import type { Gateway } from '../gateway/server.js';
import type { WorkLine } from '../wire.js';
import type { Sandbox, SandboxExit, SandboxInstance, SandboxSpec } from './sandbox.js';
import { decidePlace, shareOut, type Turn, type Waiting } from './turns.js';

/** A group's container that takes work. */
export interface GroupContainer {
  containerId: string;
  /** Resolves once, when the container is gone. */
  closed: Promise<SandboxExit>;
  /** False when the container is gone or does not read. */
  send(line: WorkLine): boolean;
}

export interface PoolDeps extends BaseDeps {
  sandbox: Sandbox;
  gateway: Pick<Gateway, 'connect'>;
  maxContainers: number;
  idleMs: number;
  /** `dryRun`: the run that the container is for alone. */
  specFor(group: Group, dryRun?: number): Promise<SandboxSpec>;
  /** Changes when containers of before do not have what new ones get. */
  specVersion(): string;
  /** Capacity became free. */
  onFree(): void;
}

interface PoolEntry extends Turn {
  group: Group;
  /** It works on this run alone, and its link says so. */
  dryRun: number | undefined;
  specVersion: string;
  idleSince: number;
  idleTimer: { cancel(): void } | undefined;
  starting: Promise<GroupContainer>;
  instance: SandboxInstance | undefined;
  /** Once no run works in it. */
  mustEnd: boolean;
  /** Aborted when it is to end before it has started. */
  cancel: AbortController;
}

const emptyPool = (deps: PoolDeps) => ({
  deps,
  /** By group id, or by the dry run that it is for alone. What is being stopped is no longer here: it takes no run. */
  entries: new Map<PoolKey, PoolEntry>(),
  /** When a group last lost its container, by its id. */
  leftAt: new Map<number, number>(),
  /** Taken out, but something of it may still be there. */
  ending: new Set<PoolEntry>(),
  stopping: new Set<Promise<void>>(),
  closing: false,
});
type PoolState = ReturnType<typeof emptyPool>;

const WORK_TIMEOUT_MS = 20_000;
const STOP_GRACE_MS = 2_000;
/** For a start that was given up; service managers and our own end do not wait longer. */
const CANCEL_WAIT_MS = 5_000;
/** Work that a runner was sent and did not read, beyond which it is ended. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024;

export type Pool = ReturnType<typeof createPool>;

export function createPool(deps: PoolDeps) {
  const pool = emptyPool(deps);
  const { entries } = pool;
  const entryOf = (container: GroupContainer) =>
    [...entries.values()].find(({ instance }) => instance?.id === container.containerId);
  return {
    /** Whether one more container can be had: a dry run shares none. */
    canHostDry: (): boolean => canHostDry(pool),
    /** Whether a run of the group finds a place now; `isBackground`: nobody waits for it. */
    canHost: (groupId: number, isBackground: boolean) => canHost(pool, groupId, isBackground),
    /**
     * Has groups that have a container give it up for those of `waiting` that have none. Returns which of them find no place now, and when to look
     * again, if anybody waits.
     */
    share: (waiting: Waiting[]) => share(pool, waiting),
    /**
     * Counts a run in at once (before the first await, so that `canHost` is true to the limit) and starts the container when there
     * is none. Throws PinchError of the sandbox. Pair with `release`.
     */
    acquire(group: Group, isBackground: boolean, dryRun?: number): Promise<GroupContainer> {
      const warm = entries.get(keyOf(group.id, dryRun));
      const entry = warm && (warm.runs > 0 || !isOutdated(pool, warm)) ? warm : openEntry(pool, group, dryRun);
      entry.runs += 1;
      entry.background += Number(isBackground);
      entry.idleTimer?.cancel();
      return entry.starting;
    },
    /**
     * Counts a run out; the container stays warm. `mustEnd`: a person stopped the run, and something that it started may be left: the last
     * run takes the container along.
     */
    release(container: GroupContainer, isBackground: boolean, mustEnd = false): void {
      const entry = entryOf(container);
      if (!entry) return;
      entry.runs -= 1;
      entry.background -= Number(isBackground);
      entry.idleSince = deps.clock.now();
      entry.mustEnd ||= mustEnd || entry.dryRun !== undefined;
      if (entry.runs === 0 && entry.mustEnd)
        void stopEntry(pool, entry, entry.dryRun === undefined ? 'its run was stopped' : 'its dry run is over', 0);
      else if (entry.runs === 0)
        entry.idleTimer = deps.clock.at(entry.idleSince + deps.idleMs, () => void stopEntry(pool, entry, 'idle'));
      deps.onFree();
    },
    /** Ends a container at once; its runs see `closed`, the next run of its group gets a new one. */
    async kill(container: GroupContainer): Promise<void> {
      const entry = entryOf(container);
      if (entry) await stopEntry(pool, entry, 'killed', 0);
    },
    /** The same for the container of a group, if it has one. */
    async endGroup(groupId: number, why: string): Promise<void> {
      const entry = entries.get(groupId);
      if (entry) await stopEntry(pool, entry, why, 0);
    },
    /** Ends every container and starts no new one until `reopen`. */
    async stopAll(why: string, graceMs?: number): Promise<void> {
      pool.closing = true;
      for (const entry of entries.values()) void stopEntry(pool, entry, why, graceMs);
      await Promise.all(pool.stopping);
    },
    reopen: (): void => {
      pool.closing = false;
    },
    /** Also those that are being removed, or that the engine cannot remove. */
    containers: () => [
      ...[...entries.values()].map((entry) => describe(entry, entry.instance ? 'running' : 'starting')),
      ...[...pool.ending].map((entry) => describe(entry, 'ending')),
    ],
  };
}

type PoolKey = number | `dry ${number}`;
const keyOf = (groupId: number, dryRun?: number): PoolKey => (dryRun === undefined ? groupId : `dry ${dryRun}`);

function canHost(pool: PoolState, groupId: number, isBackground: boolean): boolean {
  if (pool.closing) return false;
  const { entries, deps } = pool;
  const entry = entries.get(groupId);
  const mayTake = decidePlace({ entry, entries: [...entries.values()], most: deps.maxContainers, isBackground });
  // An outdated one gets no more runs: it is replaced once it has none.
  return mayTake && !(entry && entry.runs > 0 && isOutdated(pool, entry));
}

function share(pool: PoolState, waiting: Waiting[]): { blocked: Waiting[]; lookAgainAt: number | undefined } {
  const { entries, leftAt, deps } = pool;
  // Who had one until a moment ago is behind those who had none, however long its work has been due.
  const inTurn = waiting.map((one) => ({ ...one, turnAt: Math.max(one.turnAt, leftAt.get(one.groupId) ?? 0) }));
  const outside = inTurn.filter(({ groupId }) => !entries.get(groupId)?.runs);
  const lookAgainAt = shareOut(entries, outside, { now: deps.clock.now(), most: deps.maxContainers });
  const isNew = ({ groupId }: Waiting) => !entries.has(groupId);
  const mayHave = inTurn.filter((one) => canHost(pool, one.groupId, one.isBackground));
  const [next] = mayHave.filter(isNew).sort((one, other) => one.turnAt - other.turnAt);
  const hasPlace = new Set(mayHave.filter((one) => one === next || !isNew(one)));
  return { blocked: inTurn.filter((one) => !hasPlace.has(one)), lookAgainAt };
}

/** It stands in no group's turn: it takes what they leave, and ends with its run. */
const canHostDry = (pool: PoolState): boolean =>
  !pool.closing && (pool.entries.size < pool.deps.maxContainers || longestIdle(pool) !== undefined);

type ContainerState = 'starting' | 'running' | 'ending';

function describe({ group, dryRun, instance, runs }: PoolEntry, state: ContainerState) {
  return { group: group.folder, id: instance?.id ?? null, runs, state, ...(dryRun !== undefined && { dryRun }) };
}

function longestIdle({ entries }: PoolState): PoolEntry | undefined {
  return [...entries.values()].filter((entry) => entry.runs === 0).sort((a, b) => a.idleSince - b.idleSince)[0];
}

const isOutdated = ({ deps }: PoolState, { specVersion }: PoolEntry): boolean => specVersion !== deps.specVersion();

/** In the place of the group's own one, or of the longest idle one where there is no room. */
function openEntry(pool: PoolState, group: Group, dryRun: number | undefined): PoolEntry {
  const { deps, entries } = pool;
  const key = keyOf(group.id, dryRun);
  const evicted = entries.get(key) ?? (entries.size >= deps.maxContainers ? longestIdle(pool) : undefined);
  const room = evicted ? stopEntry(pool, evicted, 'another one takes its place') : Promise.resolve();
  const entry: PoolEntry = {
    group,
    dryRun,
    specVersion: deps.specVersion(),
    ...{ runs: 0, background: 0, since: deps.clock.now(), givesWay: false },
    idleSince: deps.clock.now(),
    idleTimer: undefined,
    starting: room.then(() => startContainer(pool, entry)),
    instance: undefined,
    mustEnd: false,
    cancel: new AbortController(),
  };
  entry.starting.catch(() => drop(pool, entry));
  entries.set(key, entry);
  return entry;
}

async function startContainer(pool: PoolState, entry: PoolEntry): Promise<GroupContainer> {
  const { sandbox, gateway, clock, specFor } = pool.deps;
  let onWork: (response: ServerResponse) => void = () => undefined;
  const asked = new Promise<ServerResponse>((resolve) => {
    onWork = (response) => {
      resolve(response);
      // A runner asks for work once: a second request would be held open for nothing.
      onWork = (another) => void another.destroy();
    };
  });
  const startedAt = clock.now();
  const { group, dryRun } = entry;
  const link = {
    ...{ groupId: group.id, ...(dryRun !== undefined && { dryRun }) },
    ...{ startedAt, onWork: (response: ServerResponse) => onWork(response) },
  };
  const spec = await specFor(group, dryRun);
  entry.cancel.signal.throwIfAborted();
  const instance = await sandbox.start(spec, (io) => gateway.connect(link, io), entry.cancel.signal);
  entry.instance = instance;
  void instance.closed.then(() => drop(pool, entry));
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
      void stopEntry(pool, entry, 'it does not read its work', 0);
      return false;
    }
    first.write(`${JSON.stringify(line)}\n`);
    return true;
  };
  return { containerId: instance.id, closed: instance.closed, send };
}

/** Takes the entry out of the pool: it gets no more runs. Harmless twice. */
function forget({ entries, ending, leftAt, deps }: PoolState, entry: PoolEntry): void {
  entry.idleTimer?.cancel();
  const key = keyOf(entry.group.id, entry.dryRun);
  if (entries.get(key) !== entry) return;
  entries.delete(key);
  if (entry.dryRun === undefined) leftAt.set(entry.group.id, deps.clock.now());
  ending.add(entry);
  const started = entry.starting.catch(() => undefined);
  void started.then(() => entry.instance?.gone).then(() => ending.delete(entry));
}

function drop(pool: PoolState, entry: PoolEntry): void {
  forget(pool, entry);
  pool.deps.onFree();
}

/** Resolves when the container is gone, also one that is still starting. Never rejects. */
function stopEntry(pool: PoolState, entry: PoolEntry, why: string, graceMs = STOP_GRACE_MS): Promise<void> {
  forget(pool, entry);
  pool.deps.log.info({ group: entry.group.folder, why }, 'container stopping');
  const stopped = stopInstance(pool.deps, entry, graceMs).finally(() => pool.stopping.delete(stopped));
  pool.stopping.add(stopped);
  return stopped;
}

async function stopInstance({ clock }: PoolDeps, entry: PoolEntry, graceMs: number): Promise<void> {
  if (!entry.instance) {
    // Not waited for to its end: it is given up, and gone soon, unless the engine is sick.
    entry.cancel.abort();
    await atMost(clock, CANCEL_WAIT_MS, Promise.allSettled([entry.starting]));
  }
  await entry.instance?.stop(graceMs);
}
