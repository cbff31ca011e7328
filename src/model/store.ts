// What this module works with of the store: its own tables and those of the floors below.
import type { Db } from '../core/db.js';
import type { createGroups } from '../groups/rows.js';
import type { createUsage } from './rows.js';

export interface Store extends Omit<Db, 'statements'> {
  groups: ReturnType<typeof createGroups>;
  usage: ReturnType<typeof createUsage>;
}
