// Approvals: what only the owner may allow. Modules above add what else can be asked for.
import type { Config } from '../core/config.js';
import { approvalApi } from './api.js';
import { type ApprovalDeps, createApprovals } from './approvals.js';
import { approvalCommands, createCardAnswers } from './commands.js';
import { approvalCalls } from './host-calls.js';
import { mountCalls } from './mounts.js';
import { createSendAsker } from './send.js';
import { skillCalls, skillCommands } from './skills.js';

export function createApprovalModule(deps: ApprovalDeps & { config: Config }) {
  const approvals = createApprovals(deps);
  const both = { ...deps, approvals };
  return {
    ...approvals,
    askToSend: createSendAsker(both),
    commands: [...approvalCommands(both), ...skillCommands(both)],
    onPress: createCardAnswers(both),
    routes: [...approvalCalls(both), ...skillCalls(both), ...mountCalls(both)],
    ownSkills: deps.store.ownSkills.of,
    skillsLeftOut: (groupId: number) => deps.store.ownSkills.leftOut(groupId).length > 0,
    api: approvalApi(both),
  };
}
