// Budgets: what model calls may cost, and the owner's ways to see and change it.
import type { Config } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import { budgetApi } from './api.js';
import { createBudgetControl } from './budgets.js';
import { budgetCommands } from './commands.js';
import { createLoopGuard, type LoopGuardDeps, loopActions } from './guard.js';
import { createLedger, type LedgerDeps } from './ledger.js';
import { budgetActions } from './raise.js';
import type { Store } from './store.js';

export interface BudgetModuleDeps
  extends Omit<LoopDeps, 'log'>,
    Pick<LoopGuardDeps, 'pauseTask' | 'taskTitle'>,
    Pick<LedgerDeps, 'taskCap' | 'runCap'> {
  store: Store;
  config: Pick<Config, 'budgets' | 'timeZone'>;
}

export function createBudgetModule(deps: BudgetModuleDeps) {
  const budgets = createBudgetControl(deps);
  const guard = createLoopGuard(deps);
  return {
    guard,
    ledger: createLedger(deps),
    actions: { ...budgetActions({ ...deps, budgets }), ...loopActions(guard) },
    commands: budgetCommands({ ...deps, budgets, guard }),
    api: budgetApi({ ...deps, budgets, guard }),
  };
}
