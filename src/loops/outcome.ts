// Records how an attempt ended: done, cancelled, to be tried again, parked or dead. Every change is guarded by the lease.
import type { Clock } from '../clock.js';
import { decideFailure } from '../decide/retry.js';
import type { Logger } from '../log.js';
import type { Store } from '../store/index.js';
import type { LeaseRef } from '../store/runs.js';
import type { Group, Run } from '../types.js';
import type { ErrorClass, FinishReport } from '../wire.js';
import { runNotices } from './notices.js';

/** How an attempt ended, wherever the news came from. */
export type AttemptEnd =
  | FinishReport
  | { outcome: 'lost'; reason: string; outOfMemory: boolean }
  /** We are stopping: the attempt does not count. */
  | { outcome: 'released' };

export interface OutcomeDeps {
  store: Store;
  clock: Clock;
  log: Logger;
  leaseOwner: string;
  /** Queues a message to the owner once per key. */
  notifyOwner(key: string, text: string): void;
}

interface Failure {
  errorClass: ErrorClass;
  message: string;
  retryAfterMs: number | undefined;
}

interface Attempt {
  run: Run;
  group: Group;
  lease: LeaseRef;
}

/** One transaction. A worker that lost its lease changes nothing. */
export function recordOutcome(deps: OutcomeDeps, run: Run, end: AttemptEnd): void {
  const { store } = deps;
  store.transaction(() => {
    const group = store.groups.get(run.groupId);
    if (!group) throw new Error(`run ${run.id} has no group`);
    const attempt: Attempt = { run, group, lease: { id: run.id, owner: deps.leaseOwner, attempt: run.attempt } };
    if (end.outcome === 'cancelled' || store.runs.get(run.id)?.cancelRequested === 1)
      return recordCancelled(deps, attempt);
    if (end.outcome === 'done') return recordDone(deps, attempt, end);
    if (end.outcome === 'failed') return recordFailure(deps, attempt, { ...end, retryAfterMs: end.retryAfterMs });
    if (end.outcome === 'released') return recordReleased(deps, attempt);
    const message = end.outOfMemory ? 'the container ran out of memory' : `the container ended: ${end.reason}`;
    recordFailure(deps, attempt, { errorClass: 'crash', message, retryAfterMs: undefined });
  });
}

function recordDone(
  deps: OutcomeDeps,
  { run, group, lease }: Attempt,
  end: { text: string; handledMessageIds: number[] },
): void {
  const { store, log } = deps;
  const now = deps.clock.now();
  if (!store.runs.finish(lease, 'done', now)) return;
  if (store.groups.unpark(group.id)) deps.notifyOwner(`unparked:${run.id}`, runNotices.unparked(group));
  if (end.text.trim() !== '')
    store.outbox.add({ key: `${run.id}:final`, chatId: run.chatId, runId: run.id, text: end.text, now });
  store.events.add(run.id, now, 'finished', { outcome: 'done' });
  log.info(
    { runId: run.id, group: group.folder, attempt: run.attempt, durationMs: now - (run.startedAt ?? now) },
    'run finished',
  );
  requeueUnseen(deps, run, new Set(end.handledMessageIds));
}

/** Messages steered in too late for this run become the next one. */
function requeueUnseen({ store, clock }: OutcomeDeps, run: Run, handled: Set<number>): void {
  const unseen = store.messages.ofRun(run.id).filter((message) => !handled.has(message.id));
  const [first, last] = [unseen[0], unseen.at(-1)];
  if (run.kind !== 'message' || !first || !last) return;
  const now = clock.now();
  const { groupId, chatId, session } = run;
  for (const message of unseen) store.runs.detachMessage(run.id, message.id);
  const next = store.runs.enqueue({
    key: `msg:${chatId}:${first.id}`,
    kind: 'message',
    groupId,
    chatId,
    session,
    runAt: now,
    now,
  });
  if (next !== undefined) store.runs.attachMessages(next, chatId, last.id);
}

function recordCancelled({ store, clock, log }: OutcomeDeps, { run, lease }: Attempt): void {
  if (!store.runs.finish(lease, 'cancelled', clock.now())) return;
  store.events.add(run.id, clock.now(), 'finished', { outcome: 'cancelled' });
  log.info({ runId: run.id, attempt: run.attempt }, 'run cancelled');
}

function recordReleased({ store, clock }: OutcomeDeps, { run, lease }: Attempt): void {
  const now = clock.now();
  const released = store.runs.giveBack(lease, {
    runAt: now,
    counted: false,
    errorClass: 'sandbox',
    error: 'Pinch was stopped',
  });
  if (released) store.events.add(run.id, now, 'lease_released', { why: 'Pinch was stopped' });
}

function recordFailure(deps: OutcomeDeps, { run, group, lease }: Attempt, failure: Failure): void {
  const { store } = deps;
  const now = deps.clock.now();
  const { errorClass, message: error } = failure;
  const decision = decideFailure({
    ...failure,
    attempt: run.attempt,
    parkCount: group.parkCount,
    jitter: deps.clock.random(),
  });
  store.events.add(run.id, now, 'attempt_failed', { errorClass, message: error, next: decision.kind });
  deps.log.warn(
    { runId: run.id, group: group.folder, attempt: run.attempt, errorClass, next: decision.kind, error },
    'run attempt failed',
  );
  if (decision.kind === 'bury') {
    if (store.runs.bury(lease, { now, errorClass, error }))
      deps.notifyOwner(`dead:${run.id}:${now}`, runNotices.dead(run, group, error));
    return;
  }
  const counted = decision.kind === 'retry' && decision.counted;
  const runAt = decision.kind === 'park' ? now : now + decision.delayMs;
  if (!store.runs.giveBack(lease, { runAt, counted, errorClass, error }) || decision.kind !== 'park') return;
  store.groups.park(group.id, errorClass, now + decision.delayMs);
  if (group.parkedClass === null)
    deps.notifyOwner(`parked:${group.id}:${now}`, runNotices.parked(group, errorClass, error));
}
