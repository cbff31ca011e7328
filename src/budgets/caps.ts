// Which caps hold for a call, how much of each is spent, and whether the call fits into all of them.
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { dayName, endOfDay, endOfMonth } from '../core/day.js';
import { timeText } from '../core/times.js';
import type { BudgetRefusal } from '../groups/timeline.js';
import type { CapName } from './rows.js';
import type { Store } from './store.js';

export interface CapDeps {
  store: Store;
  clock: Clock;
  config: Pick<Config, 'budgets' | 'timeZone'>;
}

/** One limit, in micro USD. */
export interface Cap {
  name: CapName | 'task';
  /** The folder of the group, the number of the task or run. */
  of?: string | undefined;
  limit: number;
  /** With the worst cases of calls that are under way or were cut off. */
  spent: number;
  /** Part of `spent` that calls under way may give back. */
  held: number;
  /** The local date or month it counts for; a run has none. */
  period?: string;
  /** Epoch ms of the first instant at which it begins anew. */
  endsAt?: number;
}

type Decision =
  | { kind: 'fits' }
  /** It would fit if the calls under way cost nothing: worth another try. */
  | { kind: 'busy'; cap: Cap }
  | { kind: 'full'; cap: Cap };

/**
 * Whether a call may start: its worst case has to fit into every cap, so that parallel calls together never exceed one. A call that can cost
 * nothing always may. Of several caps that are full the first is named. Pure.
 */
export function decideBudget(worstCase: number, caps: Cap[]): Decision {
  const isOver = (left: number) => worstCase > Math.max(0, left);
  const full = caps.find(({ limit, spent, held }) => isOver(limit - spent + held));
  if (full) return { kind: 'full', cap: full };
  const busy = caps.find(({ limit, spent }) => isOver(limit - spent));
  return busy ? { kind: 'busy', cap: busy } : { kind: 'fits' };
}

/** What a cap that is changed for once counts for: the month, or the day. Pure. */
export const periodOf = (name: CapName, day: string): string => (name === 'month' ? day.slice(0, 7) : day);

/** The limit of a cap now: what the owner set for today or this month, else for good, else the setting. */
export function limitOf({ store, clock, config }: CapDeps, name: CapName, groupId: number | null): number {
  const day = periodOf(name, dayName(clock.now(), config.timeZone));
  return store.budgets.cap({ name, groupId, day }) ?? config.budgets[name];
}

/** The caps of all groups together and of one group, those that last longest first. */
export function periodCaps(deps: CapDeps, group: { id: number; folder: string }): Cap[] {
  const { store, clock, config } = deps;
  const now = clock.now();
  const day = dayName(now, config.timeZone);
  const month = day.slice(0, 7);
  const [dayEnds, monthEnds] = [endOfDay(now, config.timeZone), endOfMonth(now, config.timeZone)];
  const spent = (from: string, groupId: number | null) => store.usage.spent(from, day, groupId);
  const cap = (name: CapName, groupId: number | null = null) => ({
    name,
    limit: limitOf(deps, name, groupId),
    held: 0,
  });
  return [
    { ...cap('month'), spent: spent(`${month}-01`, null), period: month, endsAt: monthEnds },
    { ...cap('day'), spent: spent(day, null), period: day, endsAt: dayEnds },
    { ...cap('group', group.id), of: group.folder, spent: spent(day, group.id), period: day, endsAt: dayEnds },
  ];
}

export const dollars = (microUsd: number): string => `$${(microUsd / 1e6).toFixed(2)}`;

/** `the budget of group family for today`; never ends with a full stop. */
export function capText({ name, of }: Pick<Cap, 'name' | 'of'>): string {
  const texts = {
    month: 'the budget of this month',
    day: 'the budget of today for all groups',
    group: `the budget of today for group \`${of}\``,
    task: `the budget of today for task ${of}`,
    run: 'the limit for one piece of work',
  };
  return texts[name];
}

/** What the owner writes to raise a cap. */
export function raiseText({ name, of }: Pick<Cap, 'name' | 'of'>): string {
  if (name === 'task') return `\`/task ${of} budget <amount>\``;
  const what = name === 'group' ? of : name;
  const once = name === 'month' ? 'this month' : 'today';
  return `\`/budget ${what} <amount>\`${name === 'run' ? '' : ` (behind it \`${once}\`: for ${once} only)`}`;
}

/** Which cap, how much, until when, and how it is raised, as sentences. */
export function refusalText(refusal: Omit<BudgetRefusal, 'text'>, timeZone: string): string {
  const { cap, of, limitMicroUsd: limit, spentMicroUsd: spent, worstCaseMicroUsd: worstCase, endsAt } = refusal;
  const which = capText({ name: cap, of });
  const never = worstCase > limit ? ' A call of this size does not fit even when nothing is spent.' : '';
  const until = endsAt === undefined ? '' : ` It begins anew at ${timeText(endsAt, timeZone)} (${timeZone}).`;
  return (
    `${which[0]?.toUpperCase()}${which.slice(1)} is used up: ${dollars(spent)} of ${dollars(limit)} spent, and the next call could cost ` +
    `${dollars(worstCase)}.${never}${until} The owner raises it with ${raiseText({ name: cap, of })}.`
  );
}
