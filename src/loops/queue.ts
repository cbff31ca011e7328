// The queue: claims due runs and has each worked on in its group's container. Woken by `runs`; one timer for the next run
// that is not due yet. How an attempt ended is recorded in outcome.ts.
import { ChannelError } from '../channels/channel.js';
import { describeError, PinchError } from '../errors.js';
import type { Pool, Worker } from '../sandbox/pool.js';
import type { Run } from '../types.js';
import type { Wake } from '../wake.js';
import type { ErrorClass, FinishReport, PromptMessage, RunSpec } from '../wire.js';
import { type AttemptEnd, type OutcomeDeps, recordOutcome } from './outcome.js';

export interface QueueDeps extends OutcomeDeps {
  pool: Pool;
  wake: Wake;
  /** True while no run may start (emergency stop, engine down). */
  paused(): boolean;
  /** The engine did not answer; the supervisor finds out when it does again and rings `runs`. */
  onSandboxDown(error: unknown): void;
  /** The run is over for good: what was fetched for it can go. */
  onRunDone(runId: number): Promise<void>;
  /** What the runner needs; media are fetched first. */
  buildSpec(run: Run): Promise<RunSpec>;
  promptMessages(runId: number): Promise<PromptMessage[]>;
  /** Shows "typing…" in the chat for some seconds. */
  typing(chatId: number): void;
}

const LEASE_MS = 120_000;
const RENEW_MS = 30_000;
const TYPING_MS = 4_000;
/** After `/stop` the runner has this long to end by itself; then its container goes. */
const ABORT_GRACE_MS = 1_200;
/** The runner keeps the run's wall clock; this is for one that hangs. */
const OVERDUE_MS = 60_000;

interface Active {
  run: Run;
  worker: Worker | undefined;
  /** Message ids the runner was given; empty until it has its run. */
  given: Set<number>;
  settle(end: AttemptEnd): void;
}

interface Floor {
  deps: QueueDeps;
  active: Map<number, Active>;
}

export type Queue = ReturnType<typeof startQueue>;

/** Starts the queue; leases of earlier processes are taken back first. */
export function startQueue(deps: QueueDeps) {
  const { wake } = deps;
  const floor: Floor = { deps, active: new Map() };
  const working = new Set<Promise<void>>();
  let timer: { cancel(): void } | undefined;
  let stopped = false;

  function pump(): void {
    timer?.cancel();
    if (stopped) return;
    for (const run of claimDue(deps)) {
      const work = workOn(floor, run).finally(() => working.delete(work));
      working.add(work);
    }
    timer = nextLook(floor, pump);
  }

  const listeners = {
    runs: pump,
    steer: (runId: number) => void steer(floor, runId),
    abort: (runId: number) => void abort(floor, runId),
  };
  releaseForeignLeases(deps);
  wake.on('runs', listeners.runs).on('steer', listeners.steer).on('abort', listeners.abort);
  pump();

  return {
    /** Takes a runner's report; false when nobody waits for it. */
    onFinish(runId: number, report: FinishReport): boolean {
      const entry = floor.active.get(runId);
      entry?.settle(report);
      return entry !== undefined;
    },
    /** Ends everything that works as cancelled, at once (emergency stop). The containers are the pool's to end. */
    cancelAll(): void {
      deps.store.runs.requestCancelAll();
      for (const entry of floor.active.values())
        entry.settle({ outcome: 'cancelled', text: '', handledMessageIds: [] });
    },
    /** Claims nothing more and gives running work back uncounted. The containers are the pool's to end. */
    async stop(): Promise<void> {
      stopped = true;
      timer?.cancel();
      wake.off('runs', listeners.runs).off('steer', listeners.steer).off('abort', listeners.abort);
      for (const entry of floor.active.values()) entry.settle({ outcome: 'released' });
      await Promise.all(working);
    },
  };
}

function releaseForeignLeases({ store, clock, leaseOwner, notifyOwner }: QueueDeps): void {
  const now = clock.now();
  for (const run of store.runs.releaseForeignLeases(leaseOwner, now)) {
    store.events.add(run.id, now, 'lease_released', { why: 'Pinch was restarted', state: run.state });
    if (run.state === 'dead') {
      notifyOwner(
        `dead:${run.id}:${now}`,
        `Run ${run.id} was cut off by restarts of Pinch too often; I gave up on it.`,
      );
    }
  }
}

function* claimDue({ store, clock, pool, leaseOwner, paused }: QueueDeps): Generator<Run> {
  const now = clock.now();
  store.runs.renewLeases(leaseOwner, now + LEASE_MS);
  while (!paused()) {
    const excludeGroups = store.runs.groupsWithDueRuns(now).filter((groupId) => !pool.canHost(groupId));
    const run = store.runs.claim({ owner: leaseOwner, now, leaseMs: LEASE_MS, excludeGroups });
    if (!run) return;
    yield run;
  }
}

function nextLook({ deps, active }: Floor, pump: () => void): { cancel(): void } | undefined {
  const now = deps.clock.now();
  const due = deps.store.runs.nextDueAt(now) ?? Number.POSITIVE_INFINITY;
  const renewal = active.size > 0 ? now + RENEW_MS : Number.POSITIVE_INFINITY;
  const at = Math.min(due, renewal);
  return Number.isFinite(at) ? deps.clock.at(at, pump) : undefined;
}

async function workOn(floor: Floor, run: Run): Promise<void> {
  const { deps, active } = floor;
  const { store, clock, wake } = deps;
  const entry: Active = { run, worker: undefined, given: new Set(), settle: () => undefined };
  const ended = new Promise<AttemptEnd>((resolve) => {
    entry.settle = resolve;
  });
  active.set(run.id, entry);
  store.events.add(run.id, clock.now(), 'claimed', { attempt: run.attempt });
  deps.log.info({ runId: run.id, attempt: run.attempt }, 'run started');
  wake.emit('changed');
  const over = new AbortController();
  void keepTyping(deps, run.chatId, over.signal);
  // Called before the first await: the claim and the place in the pool belong together.
  const handedOver = handOver(floor, entry, over.signal);
  try {
    recordOutcome(deps, run, await ended);
    if (store.runs.get(run.id)?.state === 'done') await deps.onRunDone(run.id);
  } finally {
    over.abort();
    active.delete(run.id);
    // A run that ended while its container was still starting gives its place back once that is done.
    void handedOver.then(() => entry.worker && deps.pool.release(entry.worker));
    wake.emit('outbox');
    wake.emit('changed');
    wake.emit('runs');
  }
}

/** Gets the run into the group's container. Never rejects: what goes wrong settles the attempt. */
async function handOver(floor: Floor, entry: Active, over: AbortSignal): Promise<void> {
  const { store, pool, clock } = floor.deps;
  const { run } = entry;
  try {
    const group = store.groups.get(run.groupId);
    if (!group) throw new Error(`run ${run.id} has no group`);
    const acquiring = pool.acquire(group).then((worker) => {
      entry.worker = worker;
      return worker;
    });
    const [worker, spec] = await Promise.all([acquiring, floor.deps.buildSpec(run)]);
    if (over.aborted) return;
    store.events.add(run.id, clock.now(), 'container_ready', { container: worker.containerId.slice(0, 12) });
    for (const message of spec.messages) entry.given.add(message.id);
    void worker.closed.then((exit) => entry.settle({ outcome: 'lost', ...exit }));
    if (!worker.send({ type: 'run', run: spec })) return;
    void steer(floor, run.id);
    void killOverdue(floor, entry, spec.limits.wallClockMs + OVERDUE_MS, over);
  } catch (error) {
    const errorClass = classify(error);
    if (errorClass === 'sandbox') floor.deps.onSandboxDown(error);
    entry.settle({ outcome: 'failed', errorClass, message: describeError(error), handledMessageIds: [] });
  }
}

function classify(error: unknown): ErrorClass {
  if (error instanceof PinchError && error.code === 'sandbox_unavailable') return 'sandbox';
  return error instanceof ChannelError ? 'network' : 'crash';
}

async function killOverdue({ deps }: Floor, entry: Active, afterMs: number, over: AbortSignal): Promise<void> {
  await deps.clock.sleep(afterMs, over);
  if (over.aborted || !entry.worker) return;
  deps.log.error({ runId: entry.run.id }, 'run is overdue, its container is killed');
  await deps.pool.kill(entry.worker);
}

/** Gives a working run the messages it has not seen. */
async function steer({ deps, active }: Floor, runId: number): Promise<void> {
  const entry = active.get(runId);
  if (!entry?.worker || entry.given.size === 0) return;
  const unseen = (await deps.promptMessages(runId)).filter((message) => !entry.given.has(message.id));
  if (unseen.length === 0) return;
  for (const message of unseen) entry.given.add(message.id);
  entry.worker.send({ type: 'steer', runId, messages: unseen });
  deps.store.events.add(runId, deps.clock.now(), 'steered', { messages: unseen.length });
}

/** Asks the runner to end the run; ends the run's container when it does not within the grace time. */
async function abort({ deps, active }: Floor, runId: number): Promise<void> {
  const entry = active.get(runId);
  if (!entry) return;
  const { worker } = entry;
  if (worker?.send({ type: 'abort', runId, reason: 'the user stopped it' })) await deps.clock.sleep(ABORT_GRACE_MS);
  if (active.get(runId) !== entry) return;
  entry.settle({ outcome: 'cancelled', text: '', handledMessageIds: [] });
  if (worker) await deps.pool.kill(worker);
}

async function keepTyping(deps: QueueDeps, chatId: number, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    deps.typing(chatId);
    await deps.clock.sleep(TYPING_MS, over);
  }
}
