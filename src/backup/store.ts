// What a restore uses of the store.
import type { Store as TaskStore } from '../tasks/store.js';
import type { createRestoredRows } from './rows.js';

export type Store = TaskStore & { restored: ReturnType<typeof createRestoredRows> };
