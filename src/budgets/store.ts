// What this module works with of the store: its own tables and those of the floors below.
import type { Store as DeliveryStore } from '../delivery/store.js';
import type { createGroupModels } from '../model/group-models.js';
import type { createUsage } from '../model/rows.js';
import type { createBudgets } from './rows.js';

export interface Store extends DeliveryStore {
  usage: ReturnType<typeof createUsage>;
  groupModels: ReturnType<typeof createGroupModels>;
  budgets: ReturnType<typeof createBudgets>;
}
