// The buttons below notices about tasks: "Run now", "Turn on again", "Raise to $2 a day", "Show".
import { raisedTo } from '../budgets/raise.js';
import type { Button } from '../channels/channel.js';
import type { NoticeActions } from '../delivery/notice-press.js';
import { saying } from '../groups/chat-command.js';
import type { BudgetRefusal } from '../groups/timeline.js';
import { type RetryDeps, retryRun } from '../runs/retry-run.js';
import { taskName } from '../runs/unattended.js';
import type { Task } from './rows.js';
import type { Store } from './store.js';
import type { Tasks } from './tasks.js';
import { taskConfirmation } from './text.js';

const show = (id: number): Button => ({ label: 'Show', value: `task:show:${id}` });
const runNow = (id: number): Button => ({ label: 'Run now', value: `task:run:${id}` });

export const taskButtons = {
  /** It did not run, or failed. With the run that failed: what that was given (a hook's call, a file) it is given again. */
  failed: (id: number, runId?: number): Button[] =>
    runId === undefined
      ? [runNow(id), show(id)]
      : [
          { label: 'Run now', value: `run:retry:${runId}` },
          { label: 'Show', value: `run:show:${runId}` },
        ],
  paused: (id: number, runId?: number): Button[] => [
    { label: 'Turn on again', value: `task:resume:${id}` },
    ...taskButtons.failed(id, runId),
  ],
  overBudget(id: number, runId: number, { limitMicroUsd, spentMicroUsd, worstCaseMicroUsd }: BudgetRefusal): Button[] {
    const usd = raisedTo({ limit: limitMicroUsd, spent: spentMicroUsd, worstCase: worstCaseMicroUsd });
    return [{ label: `Raise to $${usd} a day`, value: `task:raise:${id}:${usd}:${runId}` }, show(id)];
  },
  tooMany: (groupId: number): Button[] => [{ label: 'Show', value: `task:list:${groupId}` }],
};

interface TaskPressDeps extends RetryDeps {
  store: Store;
  tasks: Tasks;
}

export function taskActions(deps: TaskPressDeps): NoticeActions {
  const { store, tasks } = deps;
  return {
    task({ words: [what = '', number = '', usd, runId], isUsed, chat }) {
      const id = Number(number);
      if (what === 'list') return { text: tasks.list(id), again: true };
      const task = store.tasks.get(id);
      if (!task) return { text: `There is no task ${number} any more.`, again: false };
      if (what === 'show') return { text: tasks.details(task), again: true };
      if (isUsed) return { text: `That was pressed already. ${taskConfirmation(task)}`, again: false };
      const text = saying(() =>
        store.transaction(() => {
          if (what === 'raise') return raise(deps, task, { usd: Number(usd), runId: Number(runId), from: chat.id });
          if (what === 'resume') return taskConfirmation(tasks.change(task, { action: 'resume' }));
          tasks.change(task, { action: 'run' });
          return `${taskName(task)} starts now, unless it is working already.`;
        }),
      );
      return { text, again: false };
    },
  };
}

/** Of every day from now on; what was cut off goes on. */
function raise(
  deps: TaskPressDeps,
  task: Task,
  { usd, runId, from }: { usd: number; runId: number; from: number },
): string {
  const { budgetMicroUsd = 0 } = task.options;
  if (budgetMicroUsd < usd * 1e6) deps.tasks.change(task, { action: 'update', fields: { budget: usd } });
  const text = `${taskName(task)} may cost $${Math.max(usd, budgetMicroUsd / 1e6).toFixed(2)} a day`;
  const run = deps.store.runs.get(runId);
  if (run?.state !== 'dead') return `${text}.`;
  retryRun(deps, run, from);
  return `${text}; run ${runId} goes on.`;
}
