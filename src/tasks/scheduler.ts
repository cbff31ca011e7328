// The scheduler: what is due becomes a slot, and a slot becomes a run, each step in one transaction with what moves on. One timer for the
// next due task. How the runs end is the queue's; what that means for a task is settled here.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Begun, unwatched } from '../core/begun.js';
import { dayName } from '../core/day.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';
import { sessionName } from '../core/types.js';
import type { BudgetRefusal } from '../groups/timeline.js';
import { limitButtons } from '../runs/notices.js';
import type { TaskRunInput } from '../runs/run-input.js';
import type { StopSwitch } from '../runs/stop-switch.js';
import { taskName } from '../runs/unattended.js';
import { type Due, decideDue, decideGate, type GateDecision, inputOf } from './due.js';
import { taskButtons } from './press.js';
import { isTimed, type Slot, type Task } from './rows.js';
import { nextSlot } from './schedule.js';
import type { Store } from './store.js';
import { haltTask } from './tasks.js';
import { taskNotices } from './text.js';

type Passed = Extract<GateDecision, { why: string }>;

export interface SchedulerDeps extends LoopDeps {
  store: Store;
  timeZone: string;
  /** Knows at the next start which task was being started when Pinch ended. */
  begun?: Begun | undefined;
  /** What becomes due during an emergency stop counts as missed. */
  stopSwitch: Pick<StopSwitch, 'stopped'>;
}

/** Tasks per transaction: ten thousand at once must not hold up a message. */
const BATCH = 200;
/** Tasks whose times are computed in one turn of the event loop. */
const STEP = 20;
/** How often the clock is looked at: only so a clock that was set back is noticed when nothing else happens. */
const WATCH_MS = 5 * 60_000;
const SET_BACK_MS = 60_000;
const MAX_FAILURES = 5;
const ENDED_US = 'Pinch ended twice while it was being started';
const BUDGET_USED_UP = 'its budget of the day is used up';
/** Slots kept per task. */
const KEPT_SLOTS = 500;

export function startScheduler(deps: SchedulerDeps): { stop(): void } {
  const { store, clock, stopSwitch } = deps;
  const over = new AbortController();
  let timer: { cancel(): void } | undefined;
  let lastSeen = store.tasks.lastRecordedAt() ?? 0;

  function pump(): void {
    timer?.cancel();
    if (over.signal.aborted || stopSwitch.stopped()) return;
    const now = clock.now();
    if (now < lastSeen - SET_BACK_MS) void planAnew(deps, over.signal).then(pump);
    lastSeen = now;
    const due = store.tasks.due(now, BATCH);
    if (due.length > 0) {
      store.transaction(() => {
        for (const task of due) begin(deps, task, now);
        releaseWaiting(deps);
      });
      store.signal('run:ready');
    }
    const next = store.tasks.nextDueAt(now);
    if (due.length === BATCH) setImmediate(pump);
    else timer = typeof next === 'number' ? clock.at(next, pump) : undefined;
  }

  async function watchClock(): Promise<void> {
    while (!over.signal.aborted) {
      await clock.sleep(WATCH_MS, over.signal);
      pump();
    }
  }

  const onEnded = (runId: number) => settle(deps, runId);
  settle(deps, null);
  store.signals.on('task', () => {
    settle(deps, null);
    pump();
  });
  store.signals.on('run:ended', onEnded);
  pump();
  void watchClock();
  return {
    stop(): void {
      over.abort();
      timer?.cancel();
    },
  };
}

/** A task that ended Pinch twice is paused: the others go on. */
function begin(deps: SchedulerDeps, task: Task, now: number): void {
  const { begun = unwatched, store } = deps;
  const name = `task ${task.id}`;
  if (!begun.isSetAside(name)) return begun.during(name, () => fireDue(deps, task, now));
  begun.forget(name);
  haltTask(store, task.id, 'paused', now);
  const buttons = taskButtons.paused(task.id);
  deps.notifyOwner(`task-ended-us:${task.id}:${now}`, taskNotices.paused(task, 2, ENDED_US), undefined, buttons);
}

/** Every slot of the task that is due, and the time of its next one. In the caller's transaction. */
function fireDue(deps: SchedulerDeps, task: Task, now: number): void {
  const { store, log } = deps;
  const { starts, options, nextAt } = task;
  if (nextAt === null || !isTimed(starts)) return;
  let due: Due;
  try {
    due = decideDue({ schedule: starts, misfire: options.misfire, nextAt }, now);
  } catch (error) {
    // Its time zone may no longer exist. Paused, the task neither blocks the other due tasks nor fails again at once.
    log.error({ taskId: task.id, err: error }, 'the times of a task cannot be computed');
    haltTask(store, task.id, 'paused', now);
    const text = taskNotices.paused(task, 1, describeError(error));
    return void deps.notifyOwner(`task-broken:${task.id}:${now}`, text, undefined, taskButtons.paused(task.id));
  }
  store.tasks.setNext(task.id, due.nextAt ?? null);
  if (due.missed) {
    const { at: slotAt, count } = due.missed;
    store.tasks.addSlot({ taskId: task.id, slotAt, state: 'missed', count, detail: 'nothing ran at the time', now });
    log.warn({ taskId: task.id, count }, 'task slots missed');
    if (starts.kind === 'once') tellMissed(deps, task, `missed:${task.id}:${slotAt}`, taskNotices.missed(task));
  }
  for (const { at, late, missed } of due.fire) openSlot(deps, task, { ...inputOf(task, at), late, missed });
  if (due.nextAt === undefined) endWhenOver(deps, { ...task, nextAt: null });
}

/** A slot that is there already stays as it is. */
function openSlot(deps: SchedulerDeps, task: Task, input: TaskRunInput): void {
  const { store, clock } = deps;
  const { slotAt } = input;
  if (store.tasks.hasSlot(task.id, slotAt)) return;
  const slot = { taskId: task.id, slotAt, now: clock.now() };
  const gate = gateOf(deps, task, slotAt);
  if (gate.kind === 'wait') store.tasks.addSlot({ ...slot, state: 'waiting', input });
  else if (gate.kind === 'run') {
    const runId = enqueue(deps, task, input);
    if (runId !== undefined) store.tasks.addSlot({ ...slot, state: 'running', runId });
  } else {
    store.tasks.addSlot({ ...slot, state: gate.kind, detail: gate.why });
    passedBy(deps, task, slotAt, gate);
  }
}

/** Looks at the slots that wait until none of them may go on: what becomes of one decides about the others. */
function releaseWaiting(deps: SchedulerDeps): void {
  const { store } = deps;
  const isChanged = (slot: Slot) => {
    const task = store.tasks.get(slot.taskId);
    return task !== undefined && releaseOnce(deps, task, slot);
  };
  while (store.tasks.waiting().filter(isChanged).length > 0);
}

/** One that ended Pinch twice has failed: the task and the others go on. */
function releaseOnce(deps: SchedulerDeps, task: Task, slot: Slot): boolean {
  const { begun = unwatched, store, clock } = deps;
  const { slotAt } = slot;
  const name = `slot ${task.id} ${slotAt}`;
  if (!begun.isSetAside(name)) return begun.during(name, () => release(deps, task, slot));
  begun.forget(name);
  store.tasks.endSlot({ taskId: task.id, slotAt, state: 'failed', detail: ENDED_US, now: clock.now() });
  tellMissed(deps, task, `slot-ended-us:${task.id}:${slotAt}`, taskNotices.failed(task, ENDED_US));
  return true;
}

/** Starts the run of a slot that waited, if it may start now. Returns whether it no longer waits. */
function release(deps: SchedulerDeps, task: Task, { slotAt, input }: Slot): boolean {
  const { store, clock } = deps;
  const gate = gateOf(deps, task, slotAt);
  if (gate.kind === 'wait' || !input) return false;
  const slot = { taskId: task.id, slotAt, now: clock.now() };
  if (gate.kind === 'run') {
    const runId = enqueue(deps, task, input);
    if (runId !== undefined) return store.tasks.startSlot(task.id, slotAt, runId);
    return store.tasks.endSlot({ ...slot, state: 'skipped', detail: 'the same work was done before' });
  }
  store.tasks.endSlot({ ...slot, state: gate.kind, detail: gate.why });
  passedBy(deps, task, slotAt, gate);
  endWhenOver(deps, task);
  return true;
}

/** Slots of one fate in a row become one row; of the first that is blocked the owner is told. */
function passedBy(deps: SchedulerDeps, task: Task, slotAt: number, { kind, why }: Passed): void {
  const { tasks } = deps.store;
  if (tasks.mergeSlot(task.id, slotAt, kind)) tasks.dropSlotBefore(task.id, slotAt);
  else if (kind === 'blocked') tellMissed(deps, task, `blocked:${task.id}:${slotAt}`, taskNotices.blocked(task, why));
}

/** It did not run. */
const tellMissed = ({ notifyOwner }: SchedulerDeps, { id, groupId }: Task, key: string, text: string) =>
  notifyOwner(key, text, groupId, taskButtons.failed(id));

function gateOf({ store, clock, timeZone }: SchedulerDeps, task: Task, slotAt: number): GateDecision {
  const { overlap, after, budgetMicroUsd } = task.options;
  if (store.groups.chat(task.chatId)?.groupId !== task.groupId)
    return { kind: 'skipped', why: 'its chat belongs to another group now' };
  const isSpent = (limit: number) => store.usage.spentByTask(task.id, dayName(clock.now(), timeZone)) >= limit;
  if (budgetMicroUsd !== undefined && isSpent(budgetMicroUsd)) return { kind: 'skipped', why: BUDGET_USED_UP };
  const predecessors = after.flatMap((id) => {
    const before = store.tasks.get(id);
    if (!before) return [];
    const isDue = before.state === 'active' && before.nextAt !== null && before.nextAt <= slotAt;
    return [{ id, title: before.title, state: store.tasks.lastState(id, slotAt), isDue }];
  });
  // Every delivery of a hook counts: none is dropped because of the one before.
  const earlierOpen = isTimed(task.starts) ? store.tasks.otherOpen(task.id, slotAt) : 0;
  return decideGate({ overlap, earlierOpen, predecessors });
}

/** Undefined when a run of this key is there. */
function enqueue({ store, clock }: SchedulerDeps, task: Task, input: TaskRunInput): number | undefined {
  const now = clock.now();
  const { id, groupId, chatId, options } = task;
  const { slotAt } = input;
  const inChat = options.context === 'chat' ? store.groups.chat(chatId) : undefined;
  return store.runs.enqueue({
    key: input.key ?? `task:${id}:${slotAt}`,
    kind: isTimed(task.starts) ? 'task' : 'hook',
    groupId,
    chatId,
    session: inChat ? sessionName(inChat) : `task${id}-${slotAt}`,
    runAt: now + Math.floor(clock.random() * options.jitterMs),
    now,
    taskId: id,
    input,
  });
}

/** Records how runs ended for their tasks (of one run or of all), then looks at the slots that waited for them. */
function settle(deps: SchedulerDeps, runId: number | null): void {
  const { store, clock } = deps;
  const started = store.transaction(() => {
    const ended = store.tasks.endedSlots(runId);
    for (const { taskId, slotAt, runState, error, ...run } of ended) {
      const refusal = run.errorClass === 'budget' ? store.events.budgetRefusal(run.runId, 0) : undefined;
      if (runState === 'dead' && refusal?.cap === 'task') {
        overBudget(deps, { taskId, slotAt, runId: run.runId }, refusal);
        continue;
      }
      const state = runState === 'dead' ? 'failed' : runState === 'done' ? 'done' : 'cancelled';
      store.tasks.endSlot({ taskId, slotAt, state, detail: state === 'failed' ? (error ?? '') : '', now: clock.now() });
      const task = store.tasks.get(taskId);
      if (!task) continue;
      store.tasks.pruneSlots(taskId, KEPT_SLOTS);
      const why = state === 'failed' ? (error ?? 'unknown error') : undefined;
      countFailures(deps, { task, runId: run.runId, refusal }, why);
      endWhenOver(deps, task);
    }
    const mayStart = ended.length > 0 || runId === null;
    if (mayStart) releaseWaiting(deps);
    return mayStart;
  });
  if (started) store.signal('run:ready');
}

/** The task's own limit for a day cut its run off: no failure, the next day it goes on. The owner is told once a day. */
function overBudget(
  deps: SchedulerDeps,
  { taskId, slotAt, runId }: Pick<Slot, 'taskId' | 'slotAt'> & { runId: number },
  refusal: BudgetRefusal,
): void {
  const { store, notifyOwner, clock } = deps;
  store.tasks.endSlot({ taskId, slotAt, state: 'skipped', detail: BUDGET_USED_UP, now: clock.now() });
  const task = store.tasks.get(taskId);
  if (!task) return;
  const { period, text } = refusal;
  const buttons = taskButtons.overBudget(taskId, runId, refusal);
  notifyOwner(
    `task-budget:${taskId}:${period}`,
    `${taskName(task)} stopped in the middle. ${text}`,
    undefined,
    buttons,
  );
  endWhenOver(deps, task);
}

/** One failing slot never stops the series; five in a row do, until a person looks at it. */
function countFailures(
  { store, notifyOwner, clock }: SchedulerDeps,
  { task, runId, refusal }: { task: Task; runId: number; refusal: BudgetRefusal | undefined },
  error: string | undefined,
): void {
  const failed = refusal?.cap === 'run' ? limitButtons(runId, refusal) : taskButtons.failed(task.id, runId);
  const failures = error === undefined ? 0 : task.failures + 1;
  if (failures !== task.failures) store.tasks.setFailures(task.id, failures);
  if (error === undefined || task.state !== 'active') return;
  if (failures === 1)
    notifyOwner(`task-failed:${task.id}:${clock.now()}`, taskNotices.failed(task, error), task.groupId, failed);
  if (failures < MAX_FAILURES || task.starts.kind === 'once') return;
  haltTask(store, task.id, 'paused', clock.now());
  notifyOwner(
    `task-paused:${task.id}:${clock.now()}`,
    taskNotices.paused(task, failures, error),
    task.groupId,
    taskButtons.paused(task.id, runId),
  );
}

/** A task without further times is over once its last slot is. */
function endWhenOver({ store }: SchedulerDeps, task: Task): void {
  if (!isTimed(task.starts) || task.state !== 'active' || task.nextAt !== null) return;
  if (store.tasks.otherOpen(task.id, Number.MAX_SAFE_INTEGER) === 0) store.tasks.setState(task.id, 'done', null);
}

/** Times computed from a clock that was ahead would come far too late: computed anew. Slots that were worked on stay so. */
async function planAnew({ store, clock, log }: SchedulerDeps, over: AbortSignal): Promise<void> {
  log.warn({ now: clock.now() }, 'the clock was set back; next times of tasks are computed anew');
  for (let after = 0; !over.aborted; ) {
    const page = store.tasks.open(null, after, STEP);
    if (page.length === 0) return;
    const now = clock.now();
    store.transaction(() => {
      for (const { id, state, starts, nextAt } of page) {
        const next = state === 'active' && nextAt !== null && isTimed(starts) && nextSlot(starts, now);
        if (next && nextAt !== null && next < nextAt) store.tasks.setNext(id, next);
        after = id;
      }
    });
    // Ten thousand of them take a second: others go on meanwhile.
    await nextTurn();
  }
}
