// What this module works with of the store: its own tables and those of the floors below.
import type { Db } from '../core/db.js';
import type { createOutbox } from '../delivery/rows.js';
import type { createMessages } from '../groups/messages.js';
import type { createGroups } from '../groups/rows.js';
import type { createEvents } from '../groups/timeline.js';
import type { createUsage } from '../model/rows.js';
import type { createRuns } from '../runs/rows.js';
import type { createTasks } from '../tasks/rows.js';

export interface Store extends Omit<Db, 'statements'> {
  groups: ReturnType<typeof createGroups>;
  messages: ReturnType<typeof createMessages>;
  events: ReturnType<typeof createEvents>;
  outbox: ReturnType<typeof createOutbox>;
  usage: ReturnType<typeof createUsage>;
  runs: ReturnType<typeof createRuns>;
  tasks: ReturnType<typeof createTasks>;
}
