// Records how an attempt ended: done, cancelled, to be tried again, parked or dead. Every change is guarded by the lease.
import type { LoopGuard } from '../budgets/guard.js';
import { raiseButtons } from '../budgets/raise.js';
import type { Button } from '../channels/channel.js';
import type { LoopDeps } from '../core/deps.js';
import type { Group, Run } from '../core/types.js';
import type { BudgetRefusal } from '../groups/timeline.js';
import type { Fallback } from '../model/fallback.js';
import type { FinishReport } from '../wire.js';
import { queueAnswer } from './answers.js';
import { limitButtons, runButtons, runNotices } from './notices.js';
import { decideFailure } from './retry.js';
import { type LeaseRef, NEXT_PART_MS } from './rows.js';
import type { Store } from './store.js';

type Done = Extract<FinishReport, { outcome: 'done' }>;
/** `handledMessageIds`: what the runner had read, when it is a runner that says so. */
type Failed = Omit<Extract<FinishReport, { outcome: 'failed' }>, 'handledMessageIds'> &
  Partial<Pick<Done, 'handledMessageIds'>> & { isHopeless?: boolean };
/** How an attempt ended, wherever the news came from: a runner's report is one of these. Released: we stop, it does not count. */
export type AttemptEnd =
  | Done
  | Failed
  | { outcome: 'cancelled'; keeps?: boolean | undefined }
  | { outcome: 'released' };

export interface OutcomeDeps extends LoopDeps {
  store: Store;
  guard: Pick<LoopGuard, 'note'>;
  fallback: Pick<Fallback, 'afterFailure'>;
  leaseHolder: string;
}

interface Attempt {
  run: Run;
  group: Group;
  lease: LeaseRef;
  now: number;
}

/** The model was not asked, or nobody knows how far that got. */
const SAYS_NOTHING_OF_MODEL = /^(sandbox|crash|check|disk|unknown)$/;
const STOPPED = 'Pinch was stopped';

/** One transaction. A worker that lost its lease changes nothing. */
export function recordOutcome(deps: OutcomeDeps, run: Run, end: AttemptEnd): void {
  const { store, leaseHolder: holder } = deps;
  store.transaction(() => {
    const current = store.runs.get(run.id);
    const group = store.groups.get(run.groupId);
    if (!group || current?.leaseOwner !== holder || current.attempt !== run.attempt) return;
    const now = deps.clock.now();
    const lease = { id: run.id, holder, attempt: run.attempt };
    const attempt = { run, group, lease, now };
    if (end.outcome === 'cancelled' || current.cancelRequested === 1) recordFinish(deps, attempt, 'cancelled');
    else if (end.outcome === 'failed') recordFailure(deps, attempt, end);
    else if (end.outcome === 'done') recordDone(deps, attempt, end);
    else {
      store.runs.giveBack(lease, {
        ...{ runAt: now, counted: false, interrupted: true },
        errorClass: 'sandbox',
        error: STOPPED,
      });
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

function recordDone(deps: OutcomeDeps, attempt: Attempt, { handledMessageIds, ...end }: Done): void {
  const { store, notifyOwner } = deps;
  const { run, group, now } = attempt;
  const ids = store.messages.ofRun(run.id).map((message) => message.id);
  const unseen = ids.filter((id) => !handledMessageIds.includes(id));
  const input = store.runs.input(run.id);
  if (runKey(run, unseen) === run.key || (input && !handledMessageIds.includes(-run.id))) {
    const message = 'the agent runner answered without having read the message';
    return recordFailure(deps, attempt, { outcome: 'failed', errorClass: 'unknown', message });
  }
  recordFinish(deps, attempt, 'done');
  if (store.groups.unpark(group.id)) notifyOwner(`unparked:${run.id}`, runNotices.unparked(group), group.id);
  queueAnswer(store, run, end, now);
  if (!run.dry) deps.guard.note(run);
  // Messages steered in too late for this run become the next one.
  splitOff(store, run, unseen, now);
}

/** The key of a message run that begins with the first of these messages. */
const runKey = (run: Run, messageIds: number[]) => `msg:${run.chatId}:${messageIds[0]}`;

/** Has the next run carry these messages of a message run that is over. */
function splitOff(store: Store, run: Run, messageIds: number[], now: number): void {
  if (run.kind !== 'message' || messageIds.length === 0) return;
  // The rest of an album that began while the run ended is on its way.
  const isAlbum = store.messages.ofRun(run.id).some(({ id, album }) => album !== null && messageIds.includes(id));
  const runAt = now + (isAlbum ? NEXT_PART_MS : 0);
  const next = store.runs.enqueue({ ...run, key: runKey(run, messageIds), runAt, now });
  if (next !== undefined) store.runs.moveMessages(run.id, next, messageIds);
}

/**
 * What follows when a run is dead: messages that its runner never read go on in a run of their own, and the owner and the chat are told.
 * For a run of a task the scheduler tells them, because it knows what that means for the series. In the caller's transaction.
 */
export function recordDead(
  { store, notifyOwner, clock, guard }: Pick<OutcomeDeps, 'store' | 'notifyOwner' | 'clock' | 'guard'>,
  run: Run,
  {
    why,
    forChat = runNotices.deadForChat,
    handled,
    buttons = runButtons(run.id),
  }: { why?: string; forChat?: string; handled?: number[] | undefined; buttons?: Button[] },
): void {
  // Nobody waits for it but who reads how it went.
  if (run.dry) return;
  const now = clock.now();
  guard.note(run);
  const ids = store.messages.ofRun(run.id).map(({ id }) => id);
  const left = handled ? ids.filter((id) => !handled.includes(id)) : store.runs.messagesNotHanded(run.id);
  // When no runner had any of them, a new run would end as this one did: they stay with it, for a retry.
  if (left.length < ids.length) splitOff(store, run, left, now);
  if (run.taskId !== null) return;
  const ownerChat = why !== undefined && notifyOwner(`dead:${run.id}:${now}`, why, run.groupId, buttons);
  // That says it all.
  if (ownerChat === run.reportChat) store.runs.reportTo(run.id, null);
  const apology = { key: `dead:${run.id}:${now}`, chatId: run.chatId, runId: run.id, text: forChat, now };
  if (ownerChat !== run.chatId) store.outbox.add(apology);
}

function recordFailure(deps: OutcomeDeps, { run, group, lease, now }: Attempt, failure: Failed): void {
  const { store } = deps;
  // By our own word, not the container's.
  const isMoney = failure.errorClass === 'billing' || failure.errorClass === 'budget';
  const refusal = isMoney ? store.events.budgetRefusal(run.id, run.startedAt ?? now) : undefined;
  const { message: error } = failure;
  const known = deps.fallback.afterFailure(run.id, failure.errorClass);
  const errorClass = refusal ? 'budget' : known.errorClass;
  const attempt = run.attempt - run.attemptsLost;
  const maxAttempts = failure.isHopeless ? 1 : store.runs.input(run.id)?.attempts;
  const isOwn = refusal?.cap === 'run' || refusal?.cap === 'task';
  const refused = refusal && { isOwn, waitMs: (refusal.endsAt ?? now) - now };
  const chance = { parkCount: group.parkCount, jitter: deps.clock.random() };
  const next = decideFailure({ ...failure, ...chance, ...known, errorClass, attempt, maxAttempts, refused });
  store.events.add(run.id, now, 'attempt_failed', { errorClass, message: error, next: next.kind });
  const about = { runId: run.id, group: group.folder, attempt, errorClass, next: next.kind, error };
  deps.log.warn(about, 'run attempt failed');
  // What made the group wait is not what is wrong now.
  if (next.kind !== 'park' && !SAYS_NOTHING_OF_MODEL.test(errorClass)) store.groups.unpark(group.id);
  if (next.kind === 'dead') {
    store.runs.dead(lease, { now, errorClass, error: refusal?.text ?? error });
    const { handledMessageIds: handled } = failure;
    // The owner was told about the folders, once for all runs.
    if (errorClass === 'disk') return recordDead(deps, run, { forChat: runNotices.fullForChat, handled });
    if (!refusal) return recordDead(deps, run, { why: runNotices.dead(run, group, errorClass, error), handled });
    const why = runNotices.overLimit(run, refusal);
    return recordDead(deps, run, { why, forChat: why, handled, buttons: limitButtons(run.id, refusal) });
  }
  // A parked run is due at once: its group waits, and goes on when any of its runs succeeds.
  const runAt = next.kind === 'park' ? now : now + next.delayMs;
  store.runs.giveBack(lease, { runAt, counted: next.kind === 'retry' && next.counted, errorClass, error });
  if (next.kind !== 'park') return;
  store.groups.park(group.id, errorClass, now + next.delayMs);
  if (refusal) return tellOverBudget(deps, run, refusal);
  if (group.parkedClass === errorClass) return;
  const ownerChat = deps.notifyOwner(
    `parked:${group.id}:${now}`,
    runNotices.parked(group, errorClass, error),
    group.id,
    [{ label: 'Try again', value: `model:retry:${group.id}` }],
  );
  if (ownerChat === run.chatId || run.taskId !== null || run.dry) return;
  const text = runNotices.parkedForChat;
  store.outbox.add({ key: `parked:${run.id}:${now}`, chatId: run.chatId, runId: null, text, now });
}

/** The owner is told once for each cap, period and limit; the chat that waits as well, unless that is where the owner is told. */
function tellOverBudget({ store, notifyOwner, clock }: OutcomeDeps, run: Run, refusal: BudgetRefusal): void {
  const { cap, of, period, limitMicroUsd } = refusal;
  const text = runNotices.overBudget(refusal);
  const key = `budget:${cap}:${of ?? ''}:${period}:${limitMicroUsd}`;
  const buttons = raiseButtons(
    { name: cap, limit: limitMicroUsd, spent: refusal.spentMicroUsd, ...(period && { period }) },
    ...[refusal.worstCaseMicroUsd, run.groupId],
  );
  if (notifyOwner(key, text, undefined, buttons) === run.chatId || run.taskId !== null || run.dry) return;
  store.outbox.add({ key: `${key}:${run.chatId}`, chatId: run.chatId, runId: null, text, now: clock.now() });
}
