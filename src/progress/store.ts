// What this module works with of the store: its own table and those of the floors below.
import type { Store as RunsStore } from '../runs/store.js';
import type { createProgressRows } from './rows.js';

export interface Store extends RunsStore {
  progress: ReturnType<typeof createProgressRows>;
}
