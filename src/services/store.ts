// What this module works with of the store: the tables of the floors below.
import type { Store as ApprovalsStore } from '../approvals/store.js';
import type { Store as OAuthStore } from '../oauth/store.js';

export type Store = ApprovalsStore & OAuthStore;
