// The button of a notice that a budget is used up, or nearly: raises the cap of a day or a month for that one alone.
import type { Button } from '../channels/channel.js';
import { dayName } from '../core/day.js';
import type { Group } from '../core/types.js';
import type { NoticeActions } from '../delivery/notice-press.js';
import type { Budgets } from './budgets.js';
import { type Cap, type CapDeps, dollars, limitOf, periodOf } from './caps.js';
import { capName } from './rows.js';

/** Twice the limit, and enough for the call that did not fit, in whole dollars. Pure. */
export function raisedTo({ limit, spent, worstCase }: { limit: number; spent: number; worstCase: number }): number {
  return Math.max(1, Math.ceil(Math.max(2 * limit, spent + 2 * worstCase) / 1e6));
}

/** None for those of a run or a task: whoever knows these has their own. */
export function raiseButtons(
  cap: Pick<Cap, 'name' | 'limit' | 'spent' | 'period'>,
  worstCase: number,
  groupId: number,
): Button[] {
  if (cap.name === 'run' || cap.name === 'task') return [];
  const usd = raisedTo({ ...cap, worstCase });
  const when = cap.name === 'month' ? 'this month' : 'today';
  return [
    { label: `Raise to $${usd} ${when}`, value: `cap:${cap.name}:${usd}:${cap.period ?? ''}:${groupId}` },
    { label: 'Show', value: `cap:show` },
  ];
}

export function budgetActions(deps: CapDeps & { budgets: Budgets }): NoticeActions {
  const { store, clock, config, budgets } = deps;
  return {
    cap({ words: [what = '', usd = '', period = '', groupId = ''], isUsed }) {
      const shown = (groups: Group[]) => budgets.text(groups);
      if (what === 'show') return { text: shown(store.groups.all()), again: true };
      const name = capName.safeParse(what).data;
      const group = store.groups.get(Number(groupId));
      if (!name || !group) return undefined;
      const when = name === 'month' ? 'this month' : 'today';
      if (period !== periodOf(name, dayName(clock.now(), config.timeZone)))
        return { text: `That was for ${period}, which is over: the budget of ${when} began anew.`, again: false };
      const microUsd = Number(usd) * 1e6;
      const now = limitOf(deps, name, name === 'group' ? group.id : null);
      if (isUsed || now >= microUsd)
        return { text: `Nothing changed: it is ${dollars(now)} ${when}.\n${shown([group])}`, again: false };
      budgets.set({ name, group, microUsd, once: when });
      return {
        text: `Raised to ${dollars(microUsd)} for ${when}; what waited goes on.\n${shown([group])}`,
        again: false,
      };
    },
  };
}
