// Records how an attempt ended: done, cancelled, to be tried again, parked or dead. Every change is guarded by the lease.
import { decideFailure } from '../decide/retry.js';
import type { LeaseRef } from '../store/runs.js';
import type { Group, Run } from '../types.js';
import type { ErrorClass } from '../wire.js';
import type { LoopDeps } from './deps.js';
import { runNotices } from './notices.js';

interface Done {
  outcome: 'done';
  text: string;
  handledMessageIds: number[];
}

interface Failed {
  outcome: 'failed';
  errorClass: ErrorClass;
  message: string;
  retryAfterMs?: number | undefined;
}

/** How an attempt ended, wherever the news came from: a runner's report is one of these. Released: we stop, it does not count. */
export type AttemptEnd = Done | Failed | { outcome: 'cancelled' } | { outcome: 'released' };

export interface OutcomeDeps extends LoopDeps {
  leaseOwner: string;
}

interface Attempt {
  run: Run;
  group: Group;
  lease: LeaseRef;
  now: number;
}

const STOPPED = 'Pinch was stopped';
/** What a task's run says when there is nothing to say (decide/task-text.ts tells it so). */
const SILENT = /^\s*\[silent\]\s*$/i;

/** One transaction. A worker that lost its lease changes nothing. */
export function recordOutcome(deps: OutcomeDeps, run: Run, end: AttemptEnd): void {
  const { store, leaseOwner: owner } = deps;
  store.transaction(() => {
    const current = store.runs.get(run.id);
    const group = store.groups.get(run.groupId);
    if (!group || current?.leaseOwner !== owner || current.attempt !== run.attempt) return;
    const now = deps.clock.now();
    const lease = { id: run.id, owner, attempt: run.attempt };
    const attempt = { run, group, lease, now };
    if (end.outcome === 'cancelled' || current.cancelRequested === 1) recordFinish(deps, attempt, 'cancelled');
    else if (end.outcome === 'failed') recordFailure(deps, attempt, end);
    else if (end.outcome === 'done') recordDone(deps, attempt, end);
    else {
      store.runs.giveBack(lease, { runAt: now, counted: false, errorClass: 'sandbox', error: STOPPED });
      store.events.add(run.id, now, 'lease_released', { why: STOPPED });
    }
  });
}

function recordFinish({ store, log }: OutcomeDeps, { run, group, lease, now }: Attempt, outcome: 'done' | 'cancelled') {
  store.runs.finish(lease, outcome, now);
  store.events.add(run.id, now, 'finished', { outcome });
  const durationMs = now - (run.startedAt ?? now);
  log.info({ runId: run.id, group: group.folder, attempt: run.attempt, outcome, durationMs }, 'run finished');
}

function recordDone(deps: OutcomeDeps, attempt: Attempt, { text, handledMessageIds }: Done): void {
  const { store, notifyOwner } = deps;
  const { run, group, now } = attempt;
  const unseen = store.messages.ofRun(run.id).filter((message) => !handledMessageIds.includes(message.id));
  const key = unseen[0] && `msg:${run.chatId}:${unseen[0].id}`;
  const input = store.runs.input(run.id);
  if (key === run.key || (input && !handledMessageIds.includes(-run.id))) {
    const message = 'the agent runner answered without having read the message';
    return recordFailure(deps, attempt, { outcome: 'failed', errorClass: 'unknown', message });
  }
  recordFinish(deps, attempt, 'done');
  if (store.groups.unpark(group.id)) notifyOwner(`unparked:${run.id}`, runNotices.unparked(group));
  const saysNothing = text.trim() === '' || SILENT.test(text);
  if (!saysNothing) store.outbox.add({ key: `${run.id}:final`, chatId: run.chatId, runId: run.id, text, now });
  const last = unseen.at(-1);
  if (run.kind !== 'message' || !key || !last) return;
  // Messages steered in too late for this run become the next one.
  for (const message of unseen) store.runs.detachMessage(run.id, message.id);
  const next = store.runs.enqueue({ ...run, key, runAt: now, now });
  if (next !== undefined) store.runs.attachMessages(next, run.chatId, last.id);
}

function recordFailure(deps: OutcomeDeps, { run, group, lease, now }: Attempt, failure: Failed): void {
  const { store } = deps;
  const { errorClass, message: error } = failure;
  const { attempt } = run;
  const maxAttempts = store.runs.input(run.id)?.attempts;
  const next = decideFailure({
    ...failure,
    attempt,
    maxAttempts,
    parkCount: group.parkCount,
    jitter: deps.clock.random(),
  });
  store.events.add(run.id, now, 'attempt_failed', { errorClass, message: error, next: next.kind });
  deps.log.warn(
    { runId: run.id, group: group.folder, attempt, errorClass, next: next.kind, error },
    'run attempt failed',
  );
  if (next.kind === 'bury') {
    store.runs.bury(lease, { now, errorClass, error });
    // Of a task, the scheduler tells what it means for the series.
    return run.taskId === null
      ? deps.notifyOwner(`dead:${run.id}:${now}`, runNotices.dead(run, group, error))
      : undefined;
  }
  // A parked run is due at once: its group waits, and goes on when any of its runs succeeds.
  const runAt = next.kind === 'park' ? now : now + next.delayMs;
  store.runs.giveBack(lease, { runAt, counted: next.kind === 'retry' && next.counted, errorClass, error });
  if (next.kind !== 'park') return;
  store.groups.park(group.id, errorClass, now + next.delayMs);
  if (group.parkedClass === null)
    deps.notifyOwner(`parked:${group.id}:${now}`, runNotices.parked(group, errorClass, error));
}
