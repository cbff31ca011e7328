// The money: what was spent today (rows), what running calls may still cost (memory: they die with the process), the caps.
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import { type BudgetDecision, decideBudget } from '../decide/budget.js';
import { startOfDay } from '../decide/day.js';
import type { Store } from '../store/index.js';
import type { ModelLedger } from './model.js';

export function createLedger(deps: { store: Store; clock: Clock; config: Config }): ModelLedger {
  const { store, clock, config } = deps;
  const reserved = new Map<number, number>();
  const hold = (groupId: number, microUsd: number) => reserved.set(groupId, (reserved.get(groupId) ?? 0) + microUsd);
  return {
    reserve(groupId, microUsd) {
      const since = startOfDay(clock.now(), config.timeZone);
      const decision = decideBudget({
        spentDay: store.usage.spent(since, null),
        reservedDay: [...reserved.values()].reduce((sum, value) => sum + value, 0),
        spentGroup: store.usage.spent(since, groupId),
        reservedGroup: reserved.get(groupId) ?? 0,
        worstCase: microUsd,
        limitDay: config.budgetDayMicroUsd,
        limitGroup: config.budgetGroupDayMicroUsd,
      });
      if (decision.kind === 'refuse') return { refusal: refusal(decision) };
      hold(groupId, microUsd);
      return {
        settle(actual) {
          hold(groupId, -microUsd);
          store.usage.record(actual);
        },
      };
    },
  };
}

function refusal({ limit, limitMicroUsd, leftMicroUsd }: Extract<BudgetDecision, { kind: 'refuse' }>): string {
  const whose = limit === 'day' ? '(PINCH_BUDGET_USD_DAY)' : 'of this group (PINCH_BUDGET_USD_GROUP_DAY)';
  return `the daily budget ${whose} of $${dollars(limitMicroUsd)} has $${dollars(leftMicroUsd)} left, this call could cost more`;
}

const dollars = (microUsd: number) => (microUsd / 1e6).toFixed(2);
