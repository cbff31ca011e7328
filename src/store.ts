// The store: the database with the tables of every module. A new module's rows get their line here.

import { createOwnSkills } from './approvals/own-skills.js';
import { createApprovalRows } from './approvals/rows.js';
import { createRestoredRows } from './backup/rows.js';
import { createBudgets } from './budgets/rows.js';
import { createChannelAuth } from './channels/rows.js';
import { openDb } from './core/db.js';
import type { Logger } from './core/log.js';
import { createOutbox } from './delivery/rows.js';
import { createEgressRules } from './egress/rows.js';
import { createMessages } from './groups/messages.js';
import { createGroups } from './groups/rows.js';
import { createSearchIndex } from './groups/search-index.js';
import { createEvents } from './groups/timeline.js';
import { createMcpTools } from './mcp/rows.js';
import { createMemoryRows } from './memory/rows.js';
import { createGroupModels } from './model/group-models.js';
import { createUsage } from './model/rows.js';
import { createServiceClients, createServiceTokens } from './oauth/rows.js';
import { createPageLists } from './page/lists.js';
import { createPageSessions } from './page/rows.js';
import { createProgressRows } from './progress/rows.js';
import { createRetentionRows } from './retention/rows.js';
import { createPauses } from './runs/pauses.js';
import { createRuns } from './runs/rows.js';
import { createServiceBodies } from './services/rows.js';
import { createTaints } from './taint/rows.js';
import { createTasks } from './tasks/rows.js';

export type Store = ReturnType<typeof openStore>;

/** Opens the database (core/db.ts says what it throws) and makes the functions of all tables. `file` may be ':memory:' in unit tests. */
export function openStore(file: string, log?: Pick<Logger, 'error'>) {
  const db = openDb(file, log);
  const { statements } = db;
  const searchIndex = createSearchIndex(db);
  return {
    ...db,
    channelAuth: createChannelAuth(statements, db.transaction),
    groups: createGroups(statements),
    searchIndex,
    messages: createMessages(statements, searchIndex),
    events: createEvents(statements),
    outbox: createOutbox(statements, () => db.signal('outbox')),
    usage: createUsage(statements),
    groupModels: createGroupModels(statements),
    budgets: createBudgets(statements),
    runs: createRuns(statements),
    pauses: createPauses(statements),
    taints: createTaints(statements),
    progress: createProgressRows(statements),
    approvals: createApprovalRows(statements),
    ownSkills: createOwnSkills(statements),
    egress: createEgressRules(statements),
    serviceTokens: createServiceTokens(statements),
    serviceClients: createServiceClients(statements),
    serviceBodies: createServiceBodies(statements),
    mcpTools: createMcpTools(statements),
    tasks: createTasks(statements),
    memory: createMemoryRows(statements),
    pageSessions: createPageSessions(statements),
    restored: createRestoredRows(statements),
    pageLists: createPageLists(statements),
    retention: createRetentionRows(statements),
  };
}
