// What this module works with of the store: tables of the floors below.
export type { Store } from '../approvals/store.js';
