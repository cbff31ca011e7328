// The pages of the control room. A further one is a file and a line here, and its name in texts.ts, in the order of the navigation.
import type { View } from './view.js';
import { approvalsView } from './views/approvals.js';
import { costsView } from './views/costs.js';
import { groupsView } from './views/groups.js';
import { healthView } from './views/health.js';
import { memoryView } from './views/memory.js';
import { runsView } from './views/runs.js';
import { settingsView } from './views/settings.js';
import { tasksView } from './views/tasks.js';

export const views: View[] = [
  runsView,
  approvalsView,
  tasksView,
  costsView,
  memoryView,
  groupsView,
  healthView,
  settingsView,
];
