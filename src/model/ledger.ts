// The budgets: what was spent today and what running calls may still cost (both are rows), against the limits. A call that a crash cut off
// keeps its worst case as its cost.
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { startOfDay } from '../core/day.js';
import type { ModelCallRow } from './rows.js';
import type { Store } from './store.js';

/** Micro USD; a call that still runs counts as spent with its worst case. */
interface Budget {
  whose: string;
  limit: number;
  spent: number;
}

/**
 * Why a call may not start: its worst case has to fit into every budget, so that parallel calls together never exceed one. Undefined when
 * it may; one that can cost nothing always may. Pure.
 */
export function decideBudget(worstCase: number, budgets: Budget[]): string | undefined {
  const full = budgets.find(({ limit, spent }) => worstCase > Math.max(0, limit - spent));
  if (!full) return undefined;
  const { whose, limit, spent } = full;
  return `the daily budget ${whose} of $${dollars(limit)} has $${dollars(Math.max(0, limit - spent))} left, this call could cost more`;
}

const dollars = (microUsd: number) => (microUsd / 1e6).toFixed(2);

export type Ledger = ReturnType<typeof createLedger>;

export function createLedger({ store, clock, config }: { store: Store; clock: Clock; config: Config }) {
  return {
    /** Books the worst case at once; `settle`, called exactly once, puts what it came to in its place. */
    reserve(worstCase: ModelCallRow): { settle(actual: ModelCallRow): void } | { refusal: string } {
      const since = startOfDay(clock.now(), config.timeZone);
      const ofGroup = store.usage.spent(since, worstCase.groupId);
      const refusal = decideBudget(worstCase.costMicroUsd, [
        { whose: 'of this group (PINCH_BUDGET_USD_GROUP_DAY)', limit: config.budgetGroupDayMicroUsd, spent: ofGroup },
        { whose: '(PINCH_BUDGET_USD_DAY)', limit: config.budgetDayMicroUsd, spent: store.usage.spent(since, null) },
      ]);
      if (refusal !== undefined) return { refusal };
      const id = store.usage.record(worstCase);
      return { settle: (actual) => store.usage.settle(id, actual) };
    },
  };
}
