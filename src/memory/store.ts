// What this module works with of the store: its own tables and those of the floors below.
import type { Store as ApprovalsStore } from '../approvals/store.js';
import type { createMemoryRows } from './rows.js';

export interface Store extends ApprovalsStore {
  memory: ReturnType<typeof createMemoryRows>;
}
