// What this module works with of the store: its own tables and those of the floors below.
import type { Store as BudgetStore } from '../budgets/store.js';
import type { createTaints } from '../taint/rows.js';
import type { createPauses } from './pauses.js';
import type { createRuns } from './rows.js';

export interface Store extends BudgetStore {
  runs: ReturnType<typeof createRuns>;
  pauses: ReturnType<typeof createPauses>;
  taints: ReturnType<typeof createTaints>;
}
