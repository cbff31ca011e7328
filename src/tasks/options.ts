// How a task is worked on: what was asked for, checked, and what holds when nothing was said.

import { PinchError } from '../core/errors.js';
import type { TaskChange } from '../wire.js';
import type { Starts, Task, TaskOptions } from './rows.js';
import { parseDuration } from './schedule.js';
import type { Store } from './store.js';

type Fields = NonNullable<TaskChange['fields']>;

const MIN_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 6 * 3_600_000;

/** The options that `input` gives; for a new task also what is left out. */
export function taskOptions(
  store: Store,
  input: Fields,
  of: { starts: Starts; groupId: number; task?: Task },
): TaskOptions {
  const { check, context, misfire, overlap, attempts, timeout, jitter, after, budget } = input;
  const { starts, groupId, task } = of;
  if (after) checkPredecessors(store, after, { groupId, id: task?.id });
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout);
  if (timeoutMs !== undefined && (timeoutMs < MIN_TIMEOUT_MS || timeoutMs > MAX_TIMEOUT_MS))
    throw badTask(`a timeout of ${timeout} is not possible`, 'give one between 10s and 6h');
  return {
    ...task?.options,
    context: context ?? task?.options.context ?? (starts.kind === 'once' ? 'chat' : 'fresh'),
    misfire: misfire ?? task?.options.misfire ?? 'latest',
    // Making up for slots means one after the other.
    overlap: overlap ?? task?.options.overlap ?? (misfire === 'all' ? 'queue' : 'skip'),
    jitterMs: jitter === undefined ? (task?.options.jitterMs ?? 0) : parseDuration(jitter),
    after: after ?? task?.options.after ?? [],
    ...(check !== undefined && { check }),
    ...(attempts !== undefined && { attempts }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(budget !== undefined && { budgetMicroUsd: Math.round(budget * 1e6) }),
  };
}

/** Those a task comes after must be of its group, and none of them may come after the task itself. */
function checkPredecessors(
  store: Store,
  after: number[],
  { groupId, id }: { groupId: number; id?: number | undefined },
): void {
  const seen = new Set<number>();
  const visit = (taskId: number): void => {
    if (taskId === id) throw badTask(`task ${id} would come after itself`, 'leave out what leads back to it');
    if (!seen.has(taskId)) store.tasks.get(taskId)?.options.after.forEach(visit);
    seen.add(taskId);
  };
  for (const taskId of after) {
    const task = store.tasks.get(taskId);
    if (task?.groupId !== groupId || task.state === 'cancelled')
      throw badTask(`there is no task ${taskId} it could come after`, 'the list of tasks has the numbers');
    visit(taskId);
  }
}

export const badTask = (what: string, hint?: string) => new PinchError('bad_task', what, { hint });
