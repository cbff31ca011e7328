// What this module works with of the store: its own tables and those of the floors below.
import type { Store as RunsStore } from '../runs/store.js';
import type { createTasks } from './rows.js';

export interface Store extends RunsStore {
  tasks: ReturnType<typeof createTasks>;
}
