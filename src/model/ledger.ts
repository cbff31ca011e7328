// The budgets: what was spent today and what running calls may still cost (both are rows), against the limits. A call that a crash cut off
// keeps its worst case as its cost.
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { startOfDay } from '../core/day.js';
import { type BudgetDecision, decideBudget } from './budget.js';
import type { ModelLedger } from './model.js';
import type { Store } from './store.js';

export function createLedger(deps: { store: Store; clock: Clock; config: Config }): ModelLedger {
  const { store, clock, config } = deps;
  return {
    reserve(worstCase) {
      const since = startOfDay(clock.now(), config.timeZone);
      const decision = decideBudget({
        spentDay: store.usage.spent(since, null),
        spentGroup: store.usage.spent(since, worstCase.groupId),
        worstCase: worstCase.costMicroUsd,
        limitDay: config.budgetDayMicroUsd,
        limitGroup: config.budgetGroupDayMicroUsd,
      });
      if (decision.kind === 'refuse') return { refusal: refusal(decision) };
      const id = store.usage.record(worstCase);
      return { settle: (actual) => store.usage.settle(id, actual) };
    },
  };
}

function refusal({ limit, limitMicroUsd, leftMicroUsd }: Extract<BudgetDecision, { kind: 'refuse' }>): string {
  const whose = limit === 'day' ? '(PINCH_BUDGET_USD_DAY)' : 'of this group (PINCH_BUDGET_USD_GROUP_DAY)';
  return `the daily budget ${whose} of $${dollars(limitMicroUsd)} has $${dollars(leftMicroUsd)} left, this call could cost more`;
}

const dollars = (microUsd: number) => (microUsd / 1e6).toFixed(2);
