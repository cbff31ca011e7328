// What this module works with of the store: its own tables and those of the floors below.
import type { Store as ApprovalsStore } from '../approvals/store.js';
import type { Store as ProgressStore } from '../progress/store.js';
import type { createTasks } from './rows.js';

export interface Store extends ApprovalsStore, ProgressStore {
  tasks: ReturnType<typeof createTasks>;
}
