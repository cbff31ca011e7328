// How much the agents of a group may plan, so that no container occupies the host with tasks. What the owner makes by a command, a script
// or a yes is not counted.
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import type { TaskChange } from '../wire.js';
import { isTimed, type Starts, type Task } from './rows.js';
import { nextSlots } from './schedule.js';
import type { Store } from './store.js';

const HOUR_MS = 3_600_000;
/** Enough for a calendar that is read in, too little to fill the machine. */
const MAX_OPEN = 200;
/** New tasks, new times, resumed ones and slots by hand. */
const MAX_PLANNED_AN_HOUR = 60;
/** Two a second, of all its tasks together. */
const MAX_SLOTS_AN_HOUR = 7_200;
/** What starts no more often than every five minutes is never too much: that many tasks there may be. */
const SELDOM = 12;
/** Times that are computed to know how dense a calendar is. */
const LOOKED_AT = 60;

/** What the agents of a group have planned. */
export interface Planned {
  /** Open tasks. */
  open: number;
  /** Slots that those have in an hour. */
  perHour: number;
  /** How often they planned something within the last hour. */
  lately: number;
}

/** Slots in an hour, where they are densest. */
export function slotsPerHour(starts: Starts, now: number): number {
  if (!isTimed(starts) || starts.kind === 'once') return 0;
  if (starts.kind === 'every') return HOUR_MS / starts.everyMs;
  const slots = nextSlots(starts, now, LOOKED_AT);
  const [first = 0, last = 0] = [slots[0], slots.at(-1)];
  const within = slots.filter((at) => at < first + HOUR_MS).length;
  return within < LOOKED_AT ? within : (LOOKED_AT - 1) * (HOUR_MS / (last - first));
}

/** Why a group's agent may not plan this as well; undefined when it may. The hint says what to do. */
export function decideQuota(has: Planned, wants: { isNew: boolean; perHour: number }): PinchError | undefined {
  const refuse = (what: string, hint: string) => new PinchError('too_many_tasks', what, { hint });
  if (wants.isNew && has.open >= MAX_OPEN)
    return refuse(
      `the agents of this group may have ${MAX_OPEN} tasks, and there are as many`,
      'cancel those that are no longer needed, or make one task of several; the owner can make more with `pinch tasks`',
    );
  if (wants.perHour > SELDOM && has.perHour + wants.perHour > MAX_SLOTS_AN_HOUR)
    return refuse(
      `the tasks that the agents of this group made may start ${MAX_SLOTS_AN_HOUR} times an hour together; these would start ${Math.round(has.perHour + wants.perHour)} times`,
      'give a longer time between two starts, such as every "5m", or cancel a task that starts often; do not try again with the same',
    );
  if (has.lately >= MAX_PLANNED_AN_HOUR)
    return refuse(
      `the agents of this group may make, change the times of, resume or start ${MAX_PLANNED_AN_HOUR} tasks an hour`,
      'wait until the hour is over, or put several things into one task; do not try again before',
    );
  return undefined;
}

export type Plans = ReturnType<typeof createPlans>;

/** Counts for each group what its agents planned within the last hour. In memory: a restart forgives. */
export function createPlans(now: () => number) {
  const times = new Map<number, number[]>();
  const lately = (groupId: number) =>
    (times.get(groupId) ?? []).filter((at) => at > now() - HOUR_MS && at <= now()).slice(-MAX_PLANNED_AN_HOUR);
  return {
    lately: (groupId: number): number => lately(groupId).length,
    note: (groupId: number): void => void times.set(groupId, [...lately(groupId), now()]),
  };
}

/** What an agent does that makes work for later: `action` of its change, and whether the task has new times. */
interface Plan {
  action: TaskChange['action'] | 'add';
  isNewTime: boolean;
}

interface PlanDeps {
  store: Store;
  clock: Pick<Clock, 'now'>;
  plans: Plans;
}

/** Counts what an agent planned; in the transaction of that. Throws `too_many_tasks`, which takes the whole transaction back, when that is more than its group may. */
export function countPlan(
  { store, clock, plans }: PlanDeps,
  groupId: number,
  task: Task,
  { action, isNewTime }: Plan,
): void {
  if (!isNewTime && action !== 'run' && action !== 'resume') return;
  const has = store.tasks.plannedBy(groupId, task.id) ?? { open: 0, perHour: 0 };
  const perHour = action === 'run' ? 0 : slotsPerHour(task.starts, clock.now());
  const refusal = decideQuota({ ...has, lately: plans.lately(groupId) }, { isNew: action === 'add', perHour });
  if (refusal) throw refusal;
  if (isNewTime) store.tasks.setPlanned(task.id, groupId, perHour);
  store.afterCommit(() => plans.note(groupId));
}
