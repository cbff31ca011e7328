// What this module works with of the store: its own table and those of the floors below.
import type { Store as ApprovalsStore } from '../approvals/store.js';
import type { createServiceTokens } from './rows.js';

export interface Store extends ApprovalsStore {
  serviceTokens: ReturnType<typeof createServiceTokens>;
}
