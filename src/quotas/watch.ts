// Looks at the disk while containers live: at the free room of the machine every second, which costs nothing, and at the folders of groups when
// that became less, or now and then. Past its quota a group is told, far past it its container is ended; below the floor of the machine nothing starts.
import { statfs } from 'node:fs/promises';
import type { Config } from '../core/config.js';
import { dayName } from '../core/day.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';
import type { Group } from '../core/types.js';
import type { Store } from '../runs/store.js';
import { isDue, mostOf, mustEnd, type Quota } from './decide.js';
import { foldersOf, measure } from './measure.js';
import type { Quotas } from './quotas.js';
import { diskTexts } from './text.js';

export interface DiskWatchDeps extends LoopDeps {
  store: Store;
  config: Pick<Config, 'groupsDir' | 'dataDir' | 'timeZone' | 'minFreeBytes'>;
  quotas: Quotas;
  /** Folders of groups whose container lives. */
  liveFolders(): string[];
  /** Tells the agents of the group that work. */
  tell(groupId: number, text: string): void;
  /** Ends the group's runs and its container: for good, or so that they are tried again. */
  end(groupId: number, why: string, forGood: boolean): void;
}

const LOOK_MS = 1_000;
/** Without a container only others fill the disk. */
const IDLE_LOOK_MS = 60_000;
/** The machine has room again with so much more than the floor. */
const ROOM_AGAIN = 1.1;

interface GroupState {
  /** When it was counted last, how long that took, and what the disk had free then. */
  at: number;
  tookMs: number;
  free: Quota;
  /** The share when its container came. */
  atStart: number | undefined;
}

type Watch = DiskWatchDeps & { known: Map<number, GroupState>; over: AbortSignal };

/** `look` is a look at the machine's free room alone. */
export function createDiskWatch(deps: DiskWatchDeps) {
  const over = new AbortController();
  const watch: Watch = { ...deps, known: new Map(), over: over.signal };
  const { clock, store, log } = deps;
  let wake = new AbortController();
  let counting: Promise<void> | undefined;

  async function loop(): Promise<void> {
    while (!over.signal.aborted) {
      const live = new Set(deps.liveFolders());
      wake = new AbortController();
      await clock.sleep(
        live.size > 0 || counting ? LOOK_MS : IDLE_LOOK_MS,
        AbortSignal.any([over.signal, wake.signal]),
      );
      if (over.signal.aborted) return;
      const free = await lookAtMachine(watch);
      if (!free) continue;
      counting ??= countDue(watch, free).finally(() => {
        counting = undefined;
      });
    }
  }
  const onStarted = () => wake.abort();
  return {
    look: () => lookAtMachine(watch),
    start(): void {
      store.signals.on('run:started', onStarted);
      loop().catch((error: unknown) => log.error({ err: error }, 'the watch over the disk ended'));
    },
    async stop(): Promise<void> {
      store.signals.off('run:started', onStarted);
      over.abort();
      await counting;
    },
  };
}

/** The least of the file systems that hold our folders. */
async function freeRoom({ groupsDir, dataDir }: DiskWatchDeps['config']): Promise<Quota> {
  const all = await Promise.all([groupsDir, dataDir].map((folder) => statfs(folder)));
  return {
    bytes: Math.min(...all.map(({ bavail, bsize }) => bavail * bsize)),
    files: Math.min(...all.map(({ ffree }) => ffree)),
  };
}

/** Undefined when nobody knows. */
async function lookAtMachine(watch: Watch): Promise<Quota | undefined> {
  const { config, quotas, store, clock, log, notifyOwner } = watch;
  try {
    const free = await freeRoom(config);
    const least = config.minFreeBytes;
    const isLow = free.bytes < least * (quotas.isLow() ? ROOM_AGAIN : 1);
    if (isLow !== quotas.isLow()) {
      quotas.setLow(isLow);
      log.warn(
        { freeBytes: free.bytes, isLow },
        isLow ? 'the disk is nearly full, runs wait' : 'the disk has room again',
      );
      if (isLow) notifyOwner(`disk-low:${dayName(clock.now(), config.timeZone)}`, diskTexts.low(free.bytes, least));
      for (const changed of ['daemon', 'run:ready'] as const) store.signal(changed);
    }
    // What works still writes, also where no name leads to it any more.
    if (free.bytes < least / 2) for (const { id } of liveGroups(watch)) watch.end(id, diskTexts.lowRefused, false);
    return free;
  } catch (error) {
    log.warn({ error: describeError(error) }, 'the free room of the disk is not known');
    return undefined;
  }
}

function liveGroups({ store, liveFolders }: Watch): Group[] {
  const live = new Set(liveFolders());
  return store.groups.all().filter(({ folder }) => live.has(folder));
}

/** One group after the other. Never rejects. */
async function countDue(watch: Watch, free: Quota): Promise<void> {
  const { store, known, quotas, clock } = watch;
  const { quota } = quotas;
  if (!Number.isFinite(Math.min(quota.bytes, quota.files))) return;
  const live = new Set(watch.liveFolders());
  for (const group of store.groups.all()) {
    const state = known.get(group.id);
    const isLive = live.has(group.folder);
    if (state) state.atStart = isLive ? (state.atStart ?? quotas.of(group.id)?.share) : undefined;
    const level = quotas.of(group.id)?.level ?? 'ok';
    const gone = state && { bytes: state.free.bytes - free.bytes, files: state.free.files - free.files };
    const sinceMs = clock.now() - (state?.at ?? 0);
    // A clock that was set back must not put it off.
    if (state && gone && sinceMs >= 0 && !isDue({ level, sinceMs, tookMs: state.tookMs, gone, isLive }, quota))
      continue;
    await countGroup(watch, group, { free, isLive });
    if (watch.over.aborted) return;
  }
}

async function countGroup(
  watch: Watch,
  group: Group,
  { free, isLive }: { free: Quota; isLive: boolean },
): Promise<void> {
  const { quotas, known, clock, log, config, over } = watch;
  const before = quotas.of(group.id);
  const began = performance.now();
  try {
    const use = await measure(foldersOf(config, group), mostOf(quotas.quota, before?.share ?? 0), over);
    const wasLevel = quotas.count(group.id, use);
    const share = quotas.of(group.id)?.share ?? 0;
    const atStart = known.get(group.id)?.atStart ?? (isLive ? share : undefined);
    const isOver = isLive && mustEnd(share, atStart ?? 0);
    // The next container of the group may clean up.
    known.set(group.id, {
      at: clock.now(),
      tookMs: performance.now() - began,
      free,
      atStart: isOver ? share : atStart,
    });
    react(watch, group, { wasFull: wasLevel !== 'ok', mustEnd: isOver });
  } catch (error) {
    if (over.aborted) return;
    known.set(group.id, { at: clock.now(), tookMs: performance.now() - began, free, atStart: before?.share });
    log.warn({ group: group.folder, error: describeError(error) }, 'the folders of a group could not be counted');
  }
}

function react(
  watch: Watch,
  { id, folder }: Group,
  { wasFull, mustEnd }: { wasFull: boolean; mustEnd: boolean },
): void {
  const { quotas, log, clock, config, notifyOwner } = watch;
  const { use, level } = quotas.of(id) ?? {};
  if (!use || level === undefined) return;
  const isFull = level !== 'ok';
  if (!isFull && !wasFull) return;
  if (isFull !== wasFull) {
    log.warn({ group: folder, bytes: use.bytes, files: use.files, isFull }, 'the quota of a group');
    note(watch, id, isFull ? 'full' : 'freed');
  }
  if (!isFull) return;
  notifyOwner(`disk:${id}:${dayName(clock.now(), config.timeZone)}`, diskTexts.full(folder, use, quotas.quota), id);
  if (mustEnd) {
    note(watch, id, 'ended');
    watch.end(id, diskTexts.ended(use, quotas.quota), true);
  } else if (!wasFull) watch.tell(id, diskTexts.forAgent(use, quotas.quota));
}

/** The timelines of the group's runs say it. */
function note({ store, quotas, clock }: Watch, groupId: number, state: 'full' | 'freed' | 'ended'): void {
  const { bytes = 0, files = 0, largest = [] } = quotas.of(groupId)?.use ?? {};
  const detail = { state, bytes, files, largest: largest.map(({ path }) => path.slice(0, 100)).join(', ') };
  store.transaction(() => {
    for (const runId of store.runs.leasedOf(groupId))
      if (store.events.hasRoom(runId)) store.events.add(runId, clock.now(), 'disk', detail);
  });
}
