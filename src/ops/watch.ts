// Notices when the daemon does not get on: an event loop that something holds up, a due run that nobody claims. It logs what was
// being worked on, and signals the queue again in case a signal was lost. Idle it costs one look in half a minute.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { LoopDeps } from '../core/deps.js';
import type { Run } from '../core/types.js';
import { isBackground } from '../runs/fair.js';
import type { Store } from '../tasks/store.js';

export interface WatchDeps extends Pick<LoopDeps, 'clock' | 'log'> {
  store: Store;
  /** True while no run may start. */
  paused(): boolean;
  /** Whether the group's container could take one more run. */
  canHost(groupId: number, isBackground: boolean): boolean;
}

const LOOK_MS = 30_000;
const LOOP_STALL_MS = 1_000;
const QUEUE_STALL_MS = 5 * 60_000;
/** How far off the length of a stall may be. */
const PRECISION_MS = 100;
const MANY = 1_000;

export function startWatch(deps: WatchDeps): { stop(): void } {
  const { clock } = deps;
  const { signals } = deps.store;
  const over = new AbortController();
  const loop = watchLoop();
  const reportUnclaimed = watchQueue(deps);
  let working = 0;
  const count = (change: number) => () => {
    working += change;
    loop.measure(working > 0);
  };
  const [onStarted, onEnded] = [count(1), count(-1)];
  const watch = async () => {
    for (let lookedAt = clock.now(); ; lookedAt = clock.now()) {
      await clock.sleep(LOOK_MS, over.signal);
      if (over.signal.aborted) return;
      reportLoop(deps, loop.look());
      // After a machine's sleep everything is overdue: the queue may look first.
      if (clock.now() - lookedAt < 2 * LOOK_MS) reportUnclaimed();
    }
  };
  signals.on('run:started', onStarted);
  signals.on('run:ended', onEnded);
  void watch();
  return {
    stop(): void {
      over.abort();
      signals.off('run:started', onStarted);
      signals.off('run:ended', onEnded);
      loop.measure(false);
    },
  };
}

/** Measures each delay while work goes on; otherwise it knows how long the loop was busy in all, which takes no timer. */
function watchLoop() {
  const delay = monitorEventLoopDelay({ resolution: PRECISION_MS });
  let measuring = false;
  let before = performance.eventLoopUtilization();
  let longest = 0;
  const read = () => {
    longest = Math.max(longest, delay.max / 1e6);
    delay.reset();
  };
  return {
    measure(on: boolean): void {
      if (on === measuring) return;
      if (measuring) read();
      measuring = on;
      if (on) delay.enable();
      else delay.disable();
    },
    /** The longest stall and the whole busy time since the last look, ms. */
    look(): { stallMs: number; busyMs: number } {
      if (measuring) read();
      const busyMs = Math.round(performance.eventLoopUtilization(before).active);
      before = performance.eventLoopUtilization();
      // A loop that waits is not stalled: the delay was the machine's sleep.
      const stallMs = Math.min(Math.round(longest), busyMs);
      longest = 0;
      return { stallMs, busyMs };
    },
  };
}

function reportLoop({ store, log }: WatchDeps, { stallMs, busyMs }: { stallMs: number; busyMs: number }): void {
  const working = idsOf(store.runs.list('leased', MANY));
  if (stallMs >= LOOP_STALL_MS) log.warn({ stallMs, busyMs, working }, 'event loop stalled');
  else if (busyMs >= LOOP_STALL_MS && working.length === 0) log.info({ busyMs }, 'event loop busy without a run');
}

/** Each run that waits is told once. */
function watchQueue({ store, clock, log, paused, canHost }: WatchDeps): () => void {
  let told = new Set<number>();
  return () => {
    const before = clock.now() - QUEUE_STALL_MS;
    if (paused() || store.runs.groupsWithDueRuns(before).length === 0) return told.clear();
    const working = store.runs.list('leased', MANY);
    const sessions = new Set(working.map(({ session }) => session));
    const parked = (groupId: number) => store.groups.get(groupId)?.parkedClass !== null;
    const held = new Set(store.budgets.heldChats().map(({ chatId }) => chatId));
    const due = store.runs.list('ready', MANY).filter((run) => run.runAt <= before);
    const stalled = due.filter(
      (run) => !sessions.has(run.session) && !parked(run.groupId) && !(run.taskId === null && held.has(run.chatId)),
    );
    const fresh = stalled.filter((run) => !told.has(run.id));
    told = new Set(idsOf(stalled));
    if (fresh.length > 0) {
      const room = fresh.some((run) => canHost(run.groupId, isBackground(run)));
      log.error({ runs: idsOf(fresh), working: idsOf(working), room }, 'due runs are not claimed');
    }
    if (stalled.length > 0) store.signal('run:ready');
  };
}

const idsOf = (runs: Run[]): number[] => runs.map((run) => run.id);
