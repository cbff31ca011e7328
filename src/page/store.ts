// What this module works with of the store: its own tables and those of the floors below.
import type { Store as TasksStore } from '../tasks/store.js';
import type { createPageLists } from './lists.js';
import type { createPageSessions } from './rows.js';

export interface Store extends TasksStore {
  pageSessions: ReturnType<typeof createPageSessions>;
  pageLists: ReturnType<typeof createPageLists>;
}
