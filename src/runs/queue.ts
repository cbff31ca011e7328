// The queue: claims due runs and has each worked on in its group's container. Woken by `run:ready`; one timer for the next run
// that is not due yet. How an attempt ended is recorded in outcome.ts.
import { setImmediate } from 'node:timers/promises';
import { ChannelError } from '../channels/channel.js';
import type { RunningChannels } from '../channels/start.js';
import { type Begun, unwatched } from '../core/begun.js';
import { describeError, PinchError } from '../core/errors.js';
import type { Run } from '../core/types.js';
import type { DryFolders, FileChange } from '../sandbox/dry-folders.js';
import type { GroupContainer, Pool } from '../sandbox/pool.js';
import type { Supervisor } from '../sandbox/supervisor.js';
import { markMessages } from '../taint/taint.js';
import type { ErrorClass, FinishReport, RunSpec } from '../wire.js';
import { createDrySweep, recordDryEnd } from './dry-end.js';
import { isBackground } from './fair.js';
import { runNotices } from './notices.js';
import { type AttemptEnd, type OutcomeDeps, recordDead, recordOutcome } from './outcome.js';
import { reportRetried } from './retry-run.js';
import type { StopSwitch } from './stop-switch.js';
import { tellRestart } from './tells.js';
import { hostNote, puttingTogether, type WorkOrders } from './work-order.js';

export interface QueueDeps extends OutcomeDeps {
  pool: Pick<Pool, 'share' | 'canHostDry' | 'acquire' | 'release' | 'kill' | 'endGroup'>;
  /** What dry runs write into instead of their groups' folders. */
  dryFolders: Pick<DryFolders, 'changes' | 'sweep'>;
  /** Finds out when an engine that did not answer does again, and signals `run:ready`. */
  supervisor: Pick<Supervisor, 'engineDown' | 'reportDown'>;
  stopSwitch: Pick<StopSwitch, 'stopped'>;
  orders: Pick<WorkOrders, 'buildSpec' | 'promptMessages' | 'dropMedia'>;
  /** Knows at the next start which run was being handed over when Pinch ended. */
  begun?: Begun;
  /** The machine's disk has no room for more work. */
  diskIsLow(): boolean;
  /** Where "typing…" is shown while a run works. */
  channels: Pick<RunningChannels, 'get'>;
}

const TYPING_MS = 4_000;
/** After `/stop` the runner has this long to end by itself; then its container goes. */
const ABORT_GRACE_MS = 1_200;
/** A container and the files of ten messages take a few minutes, each with limits of its own. */
const PREPARE_MS = 30 * 60_000;
/** A runner ends its run in time by itself; one that hangs is killed so long after that. */
const OVERDUE_MS = 60_000;

interface ActiveRun {
  run: Run;
  /** The place in the pool. It is given back even when it comes after the run is over. */
  acquiring: Promise<GroupContainer> | undefined;
  /** Set once the runner has its run. */
  worker: GroupContainer | undefined;
  /** Message ids the runner was given. */
  given: Set<number>;
  settle(end: AttemptEnd): void;
}

/** What the queue knows while it runs, and a crash may lose: the runs that are being worked on, by id; when a group that waits may get a place. */
interface QueueState extends QueueDeps {
  active: Map<number, ActiveRun>;
  lookAgainAt: number | undefined;
  /** Removes the folders of dry runs that are over. */
  sweep(): Promise<void>;
}

export type Queue = ReturnType<typeof createQueue>;

export function createQueue(deps: QueueDeps) {
  const queue: QueueState = { ...deps, active: new Map(), lookAgainAt: undefined, sweep: createDrySweep(deps) };
  const { store, clock, active } = queue;
  const working = new Set<Promise<void>>();
  let timer: { cancel(): void } | undefined;
  let closing = false;

  function pump(): void {
    timer?.cancel();
    if (closing) return;
    for (const run of claimDue(queue)) {
      const work = workOn(queue, run).finally(() => working.delete(work));
      working.add(work);
    }
    const due = Math.min(store.runs.nextDueAt(clock.now()) ?? Infinity, queue.lookAgainAt ?? Infinity);
    timer = due === Infinity ? undefined : clock.at(due, pump);
  }

  return {
    mayStartRuns: (): boolean => mayStartRuns(queue),
    /** Takes back the leases of earlier processes, then claims what is due. */
    start(): void {
      // The process before this one may have been killed in the middle of an emergency stop: finish that stop now.
      if (queue.stopSwitch.stopped()) endEverything(queue);
      releaseForeignLeases(queue);
      void queue.sweep();
      store.signals.on('run:ready', pump);
      // A dry run that waited for another attempt was stopped, maybe.
      store.signals.on('task', () => void queue.sweep());
      store.signals.on('run:steered', (runId) => void steer(queue, runId));
      store.signals.on('run:stopped', (runId) => void abort(queue, runId));
      pump();
    },
    /** Takes a runner's report; false when nobody waits for it. */
    onFinish(runId: number, report: FinishReport): boolean {
      active.get(runId)?.settle(report);
      return active.has(runId);
    },
    /** Tells the agents of a group that work something about the machine; an agent is told one such thing in its run. */
    tellGroup(groupId: number, text: string): void {
      for (const { run, worker, given } of active.values()) {
        const messages = run.groupId === groupId ? hostNote(run, text).filter(({ id }) => !given.has(id)) : [];
        if (messages.length === 0 || !worker?.send({ type: 'steer', runId: run.id, messages })) continue;
        for (const { id } of messages) given.add(id);
      }
    },
    /** Ends the runs of a group and its container at once. */
    endGroup(groupId: number, end: Extract<AttemptEnd, { outcome: 'failed' }>): void {
      for (const entry of active.values()) if (entry.run.groupId === groupId) entry.settle(end);
      void queue.pool.endGroup(groupId, end.message);
    },
    /** Ends everything that works as cancelled, at once (emergency stop). The containers are the pool's to end. */
    cancelAll(): void {
      endEverything(queue);
      for (const entry of active.values()) entry.settle({ outcome: 'cancelled' });
    },
    /** Claims nothing more and gives running work back uncounted. The containers are the pool's to end. */
    async stop(): Promise<void> {
      closing = true;
      timer?.cancel();
      for (const entry of active.values()) entry.settle({ outcome: 'released' });
      await Promise.all(working);
    },
  };
}

/** No run that works is tried again, and nothing that runs have queued is sent any more. */
function endEverything({ store }: QueueState): void {
  store.transaction(() => {
    store.runs.requestCancelAll();
    store.outbox.endOfRuns({ runId: null, chatId: null, error: 'emergency stop' });
  });
}

function releaseForeignLeases(queue: QueueState): void {
  const { store, clock, leaseHolder } = queue;
  const now = clock.now();
  store.transaction(() => {
    store.runs.retryOutages(now);
    for (const run of store.runs.releaseForeignLeases(leaseHolder, now)) {
      store.events.add(run.id, now, 'lease_released', { why: 'Pinch was restarted', state: run.state });
      if (run.state === 'dead') recordDead(queue, run, { why: runNotices.cutOff(run) });
      if (run.dry) recordDryEnd(queue, run, []);
      reportRetried(queue, run);
    }
  });
}

const mayStartRuns = ({ stopSwitch, supervisor, diskIsLow }: QueueState) =>
  !stopSwitch.stopped() && !supervisor.engineDown() && !diskIsLow();

function* claimDue(queue: QueueState): Generator<Run> {
  const { store, clock, pool, leaseHolder } = queue;
  const now = clock.now();
  queue.lookAgainAt = undefined;
  while (mayStartRuns(queue)) {
    const waiting = store.runs.waiting({ now });
    if (waiting.length === 0 && !store.runs.dryWaits({ now })) return;
    const { blocked, lookAgainAt } = pool.share(waiting);
    queue.lookAgainAt = lookAgainAt;
    const of = (background: boolean) =>
      blocked.filter(({ isBackground }) => isBackground === background).map(({ groupId }) => groupId);
    const [excludeGroups, noBackground] = [of(false), of(true)];
    const claim = { holder: leaseHolder, now };
    // Every reply waits for it, so it does not wait for the disk: a power cut that undoes a claim has ended its runner too, and whatever a run
    // does outside (a model call is reserved first) is committed after it, and so together with it.
    const run = store.unhurried(() => {
      const next = store.runs.claim({ ...claim, excludeGroups, noBackground });
      const claimed = next ?? (pool.canHostDry() ? store.runs.claimDry(claim) : undefined);
      if (claimed) store.events.add(claimed.id, now, 'claimed', { attempt: claimed.attempt });
      return claimed;
    });
    if (!run) return;
    yield run;
  }
}

async function workOn(queue: QueueState, run: Run): Promise<void> {
  const { store, log, pool, active } = queue;
  const over = new AbortController();
  const entry: ActiveRun = { run, acquiring: undefined, worker: undefined, given: new Set(), settle: () => undefined };
  const ended = new Promise<AttemptEnd>((resolve) => {
    entry.settle = resolve;
  });
  active.set(run.id, entry);
  void tellRestart(queue, run, over.signal);
  // Takes the place in the pool before the first await, so that the next claim counts with it.
  void attend(queue, { run, entry, over: over.signal });
  // Not later: one that ends at once must not be said to begin after its end.
  store.signal('run:started', run.id);
  // After the work is on its way: these cost time, too.
  void setImmediate().then(() => {
    log.info({ runId: run.id, attempt: run.attempt }, 'run started');
    if (!run.dry) void keepTyping(queue, run.chatId, over.signal);
  });
  const end = await ended;
  const changes = run.dry ? await changesOf(queue, run, entry) : [];
  store.transaction(() => {
    recordOutcome(queue, run, end);
    if (run.dry) recordDryEnd(queue, run, changes);
    reportRetried(queue, run);
  });
  over.abort();
  active.delete(run.id);
  const state = store.runs.get(run.id)?.state;
  const mustEnd = state === 'cancelled' && !(end.outcome === 'cancelled' && end.keeps);
  const release = (container: GroupContainer) => pool.release(container, isBackground(run), mustEnd);
  void entry.acquiring?.then(release, () => undefined);
  // What follows from it is done before its answer goes out: should that fail and end the process, the answer would go out twice.
  store.signal('run:ended', run.id);
  await setImmediate();
  store.signal('run:ready');
  if (run.dry && state !== 'ready') await queue.sweep();
  if (state !== 'done') return;
  // What was fetched for it can go.
  await queue.orders.dropMedia(run.id).catch((error: unknown) => {
    log.warn({ runId: run.id, error: describeError(error) }, 'fetched files could not be removed');
  });
}

/** Ends the container of a dry run, so that nothing changes any more, and says what it has written. Never rejects. */
async function changesOf(
  { pool, dryFolders, log }: QueueState,
  { id }: Run,
  { worker }: ActiveRun,
): Promise<FileChange[]> {
  if (!worker) return [];
  await pool.kill(worker);
  return dryFolders.changes(id).catch((error: unknown) => {
    log.warn({ runId: id, error: describeError(error) }, 'what a dry run has written is not known');
    return [];
  });
}

/** Takes the run to its group's container and watches it there. Never rejects: what goes wrong settles the attempt. */
async function attend(
  queue: QueueState,
  { run, entry, over }: { run: Run; entry: ActiveRun; over: AbortSignal },
): Promise<void> {
  const { store, pool, clock, log, begun = unwatched } = queue;
  const name = handingOver(run.id);
  try {
    if ([name, puttingTogether(run.id)].some(begun.isSetAside)) return giveUp(queue, run, entry);
    const group = store.groups.get(run.groupId);
    if (!group) throw new Error(`run ${run.id} has no group`);
    entry.acquiring = pool.acquire(group, isBackground(run), run.dry ? run.id : undefined);
    const ready = Promise.all([entry.acquiring, queue.orders.buildSpec(run, group)]);
    const [worker, spec] = await Promise.race([ready, tooLate(queue, over)]);
    if (over.aborted) return;
    entry.worker = worker;
    entry.given = new Set(spec.messages.map((message) => message.id));
    void worker.closed.then(({ outOfMemory, reason }) => {
      const message = outOfMemory ? 'the container ran out of memory' : `the container ended: ${reason}`;
      entry.settle({ outcome: 'failed', errorClass: 'crash', message });
    });
    // A runner that does not read its work cannot do it.
    if (!begun.guarded(name, () => handOver(queue, { run, spec, worker }))) return await pool.kill(worker);
    void steer(queue, run.id);
    await clock.sleep(spec.limits.wallClockMs + OVERDUE_MS, over);
    if (over.aborted) return;
    log.error({ runId: run.id }, 'run is overdue, its container is killed');
    await pool.kill(worker);
  } catch (error) {
    const errorClass = classify(error);
    if (errorClass === 'sandbox') queue.supervisor.reportDown(error);
    entry.settle({ outcome: 'failed', errorClass, message: describeError(error) });
  }
}

/** What a start knows it by that comes after an end in the middle of it. */
const handingOver = (runId: number): string => `run ${runId}`;

/** False when the runner does not take it. */
function handOver(
  { store, clock }: QueueState,
  { run, spec, worker }: { run: Run; spec: RunSpec; worker: GroupContainer },
): boolean {
  // Before it knows them: a host that dies in between has marked too much, never too little.
  store.transaction(() => markMessages(store, run, spec.messages, clock.now()));
  if (!worker.send({ type: 'run', run: spec })) return false;
  const ids = spec.messages.map(({ id }) => id);
  store.unhurried(() => {
    store.runs.handOver(run.id, ids);
    store.events.add(run.id, clock.now(), 'handed_over', { container: worker.containerId.slice(0, 12) });
  });
  return true;
}

function giveUp({ begun = unwatched }: QueueState, { id }: Run, entry: ActiveRun): void {
  // Should the owner try it again, it counts anew.
  for (const name of [handingOver(id), puttingTogether(id)]) begun.forget(name);
  const message = 'Pinch ended twice while it was being handed over';
  entry.settle({ outcome: 'failed', errorClass: 'crash', message, isHopeless: true });
}

/** Rejects when what a run needs has not come for so long: whatever hangs, no lease lives for ever. */
async function tooLate({ clock }: QueueState, over: AbortSignal): Promise<never> {
  await clock.sleep(PREPARE_MS, over);
  throw new Error(`what it needs was not there within ${PREPARE_MS / 60_000} minutes`);
}

function classify(error: unknown): ErrorClass {
  if (error instanceof PinchError && /^(sandbox_unavailable|no_oci_runtime)$/.test(error.code)) return 'sandbox';
  return error instanceof ChannelError ? 'network' : 'crash';
}

/** Gives a working run the messages it has not seen. What does not get through becomes the next run. */
async function steer({ active, store, clock, log, orders }: QueueState, runId: number): Promise<void> {
  const entry = active.get(runId);
  if (!entry?.worker) return;
  try {
    const unseen = (await orders.promptMessages(runId)).filter((message) => !entry.given.has(message.id));
    if (unseen.length === 0 || active.get(runId) !== entry) return;
    const run = store.runs.get(runId);
    if (run) store.transaction(() => markMessages(store, run, unseen, clock.now()));
    if (!entry.worker.send({ type: 'steer', runId, messages: unseen })) return;
    for (const message of unseen) entry.given.add(message.id);
    store.transaction(() => {
      store.runs.handOver(runId, [...entry.given]);
      store.events.add(runId, clock.now(), 'steered', { messages: unseen.length });
    });
  } catch (error) {
    log.warn({ runId, error: describeError(error) }, 'messages could not be steered in');
  }
}

/** Asks the runner to end the run; ends the run's container when it does not within the grace time. */
async function abort({ active, clock, pool }: QueueState, runId: number): Promise<void> {
  const entry = active.get(runId);
  if (!entry) return;
  const { worker } = entry;
  if (worker?.send({ type: 'abort', runId, reason: 'the user stopped it' })) await clock.sleep(ABORT_GRACE_MS);
  if (active.get(runId) !== entry) return;
  entry.settle({ outcome: 'cancelled' });
  if (!worker) return;
  const killed = pool.kill(worker);
  // Nobody stopped those that work beside it: they go on in another container, and it costs them no attempt.
  for (const other of active.values())
    if (other.worker === worker && other !== entry) other.settle({ outcome: 'released' });
  await killed;
}

async function keepTyping({ store, channels, clock }: QueueState, chatId: number, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const chat = store.groups.chat(chatId);
    if (chat) channels.get(chat.channel)?.typing(chat.address);
    await clock.sleep(TYPING_MS, over);
  }
}
