// What this module works with of the store: its own table and those of the floors below.
import type { Store as ApprovalsStore } from '../approvals/store.js';
import type { Store as OAuthStore } from '../oauth/store.js';
import type { createServiceBodies } from './rows.js';

export interface Store extends ApprovalsStore, OAuthStore {
  serviceBodies: ReturnType<typeof createServiceBodies>;
}
