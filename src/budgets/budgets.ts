// What the owner sees of the budgets and changes in them, from a chat, the API or a terminal.
import { dayName } from '../core/day.js';
import { PinchError } from '../core/errors.js';
import { timeText } from '../core/times.js';
import type { Group } from '../core/types.js';
import { type CapDeps, capText, dollars, limitOf, periodCaps, periodOf } from './caps.js';
import type { CapName } from './rows.js';

export interface CapChange {
  name: CapName;
  /** For the cap of a group. */
  group: Group;
  /** Null: as the settings say. */
  microUsd: number | null;
  /** For the local day that it is, or of a month for that one alone; undefined: for good. */
  once: 'today' | 'this month' | undefined;
}

export type Budgets = ReturnType<typeof createBudgetControl>;

export function createBudgetControl(deps: CapDeps) {
  const { store, clock, config } = deps;
  const today = () => dayName(clock.now(), config.timeZone);
  return {
    /** Each cap with what is spent: of all groups, of these groups, of one run. */
    list: (groups: Group[]) => listCaps(deps, groups),
    text: (groups: Group[]) => capsText(listCaps(deps, groups), config.timeZone),
    /** Changes a cap; groups that wait for a budget try again at once. Joins a transaction of the caller. Throws `bad_budget`. */
    set: (change: CapChange): void => store.transaction(() => setCap(deps, change, today())),
  };
}

function listCaps(deps: CapDeps, groups: Group[]) {
  const views = groups.flatMap((group, index) => periodCaps(deps, group).slice(index === 0 ? 0 : -1));
  const period = views.map(({ name, of, limit, spent, endsAt }) => ({
    ...{ name, ...(of !== undefined && { group: of }), limitMicroUsd: limit, spentMicroUsd: spent },
    ...{ leftMicroUsd: Math.max(0, limit - spent), endsAt },
  }));
  return { run: { limitMicroUsd: limitOf(deps, 'run', null) }, caps: period };
}

function capsText({ run, caps }: ReturnType<typeof listCaps>, timeZone: string): string {
  const lines = caps.map(({ name, group, limitMicroUsd, spentMicroUsd, leftMicroUsd, endsAt = 0 }) => {
    const amounts = `${dollars(spentMicroUsd)} of ${dollars(limitMicroUsd)} spent, ${dollars(leftMicroUsd)} left`;
    return `- ${capText({ name, of: group ?? '' })}: ${amounts}, until ${timeText(endsAt, timeZone)}`;
  });
  return [...lines, `- ${capText({ name: 'run' })}: ${dollars(run.limitMicroUsd)}`].join('\n');
}

function setCap({ store, clock }: CapDeps, { name, group, microUsd, once }: CapChange, today: string): void {
  const may = { day: 'today', group: 'today', month: 'this month', run: undefined }[name];
  if (once !== undefined && once !== may)
    throw new PinchError('bad_budget', `${capText({ name, of: group.folder })} cannot be changed for ${once} alone`, {
      hint: may ? `write \`${may}\`, or nothing, behind the amount` : 'leave it out',
    });
  const day = periodOf(name, today);
  const key = { name, groupId: name === 'group' ? group.id : null, day: once ? day : '' };
  if (microUsd === null) store.budgets.dropCap({ ...key, day });
  else {
    // What was said for today alone would hide what is said now.
    if (!once) store.budgets.dropCap({ ...key, day });
    store.budgets.setCap({ ...key, microUsd });
  }
  store.budgets.dropCapsBefore(today);
  store.groups.retryParked(clock.now());
  store.signal('run:ready');
}
