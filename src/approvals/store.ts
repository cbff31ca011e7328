// What this module works with of the store: its own table and those of the floors below.
import type { Store as RunsStore } from '../runs/store.js';
import type { createOwnSkills } from './own-skills.js';
import type { createApprovalRows } from './rows.js';

export interface Store extends RunsStore {
  approvals: ReturnType<typeof createApprovalRows>;
  ownSkills: ReturnType<typeof createOwnSkills>;
}
