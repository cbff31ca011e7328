// What becomes of a task's slots: which of those that are due are worked on, which were missed, and whether one may start now. Pure.
import type { TaskRunInput } from '../runs/run-input.js';
import type { Task } from './rows.js';
import { lastSlots, nextSlot, type Schedule } from './schedule.js';

/** A start-up or a busy second is no delay anybody would speak of. */
const ON_TIME_MS = 60_000;
const MIN_GRACE_MS = 5 * 60_000;
const MAX_GRACE_MS = 24 * 3_600_000;
/** A reminder is of use also days later. */
const ONCE_GRACE_MS = 7 * 24 * 3_600_000;
/** At most so many slots are made up for; the newest. */
export const MAX_CAUGHT_UP = 10;
/** Counting further would hold up everything else: a task of every minute gets there in 33 hours. */
const MAX_COUNTED = 2_000;

export type Misfire = 'latest' | 'skip' | 'all';

export interface Due {
  /** Slots to work on, oldest first. `missed`: how many before it were missed and are not made up for. */
  fire: { at: number; missed: number; late: boolean }[];
  /** Slots that passed without work: the last of them and how many. */
  missed: { at: number; count: number } | undefined;
  nextAt: number | undefined;
}

/** What to do about a task whose slot `nextAt` is due at `now`. Never throws. */
export function decideDue(task: { schedule: Schedule; misfire: Misfire; nextAt: number }, now: number): Due {
  const { schedule, misfire } = task;
  const { slots, count, nextAt } = dueSlots(schedule, task.nextAt, now);
  const last = slots.at(-1) ?? task.nextAt;
  const lateMs = now - last;
  const isOnTime = lateMs <= ON_TIME_MS;
  const isOfUse = isOnTime || (misfire === 'all' ? true : misfire === 'latest' && lateMs <= graceMs(schedule, last));
  const worked = isOfUse ? slots.slice(misfire === 'all' ? -MAX_CAUGHT_UP : -1) : [];
  const missed = count - worked.length;
  const lastMissed = worked.length === 0 ? last : slots.at(-worked.length - 1);
  return {
    fire: worked.map((at, index) => ({
      at,
      missed: index === 0 ? missed : 0,
      late: now - at > ON_TIME_MS || missed > 0,
    })),
    missed: missed === 0 ? undefined : { at: lastMissed ?? task.nextAt, count: missed },
    nextAt,
  };
}

/** The newest slots from `from` to `now`, oldest first, how many there are in all (of a cron pattern at most MAX_COUNTED), and the one after. */
function dueSlots(
  schedule: Schedule,
  from: number,
  now: number,
): { slots: number[]; count: number; nextAt?: number | undefined } {
  if (schedule.kind === 'once') return { slots: [from], count: 1 };
  const kept = MAX_CAUGHT_UP + 1;
  if (schedule.kind === 'every') {
    const count = Math.floor((now - from) / schedule.everyMs) + 1;
    const at = (index: number) => from + index * schedule.everyMs;
    const first = Math.max(0, count - kept);
    return { slots: Array.from({ length: count - first }, (_, n) => at(first + n)), count, nextAt: at(count) };
  }
  const slots = [from];
  let nextAt = nextSlot(schedule, from);
  for (; nextAt !== undefined && nextAt <= now; nextAt = nextSlot(schedule, nextAt)) {
    slots.push(nextAt);
    if (slots.length >= MAX_COUNTED)
      return { slots: lastSlots(schedule, now, kept), count: MAX_COUNTED, nextAt: nextSlot(schedule, now) };
  }
  return { slots: slots.slice(-kept), count: slots.length, nextAt };
}

/** How late a slot may be worked on: half of the time to the one after it, within bounds. */
function graceMs(schedule: Schedule, slot: number): number {
  if (schedule.kind === 'once') return ONCE_GRACE_MS;
  const period = (nextSlot(schedule, slot) ?? slot + 2 * MAX_GRACE_MS) - slot;
  return Math.min(Math.max(period / 2, MIN_GRACE_MS), MAX_GRACE_MS);
}

/** The input of a slot that is on time. */
export function inputOf(task: Task, slotAt: number): TaskRunInput {
  const { id: taskId, title, prompt, starts } = task;
  const { check, attempts, timeoutMs } = task.options;
  const timeZone = 'timeZone' in starts ? starts.timeZone : undefined;
  return { taskId, title, prompt, slotAt, late: false, missed: 0, timeZone, check, attempts, timeoutMs };
}

export interface Gate {
  overlap: 'skip' | 'queue';
  /** Earlier slots of the task that wait or run. */
  earlierOpen: number;
  /** The latest slot of each task this one comes after; undefined when it never had one. */
  predecessors: { id: number; title: string; state: string | undefined; isDue: boolean }[];
}

export type GateDecision = { kind: 'run' } | { kind: 'wait' } | { kind: 'skipped' | 'blocked'; why: string };

/** Whether a slot may start. Never throws. */
export function decideGate({ overlap, earlierOpen, predecessors }: Gate): GateDecision {
  if (earlierOpen > 0 && overlap === 'skip') return { kind: 'skipped', why: 'the one before was still running' };
  if (earlierOpen >= MAX_CAUGHT_UP) return { kind: 'skipped', why: `${earlierOpen} slots were waiting already` };
  const isOpen = (state: string | undefined) => state === 'waiting' || state === 'running';
  if (earlierOpen > 0 || predecessors.some(({ state, isDue }) => isDue || isOpen(state))) return { kind: 'wait' };
  const failed = predecessors.find(({ state }) => state !== 'done');
  if (!failed) return { kind: 'run' };
  const name = `task ${failed.id} (${failed.title})`;
  return {
    kind: 'blocked',
    why: failed.state === undefined ? `${name} has not run yet` : `${name} is ${failed.state}`,
  };
}
