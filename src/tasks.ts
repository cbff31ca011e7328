// What agents, the owner and scripts may do with tasks: everything is checked here before anything is stored.
import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from './clock.js';
import { nextSlot, parseDuration, parseSchedule } from './decide/schedule.js';
import { nextTimes, startsText, taskDetails, taskLine } from './decide/task-text.js';
import { PinchError } from './errors.js';
import type { Store } from './store/index.js';
import {
  inputOf,
  isTimed,
  type SlotView,
  type Starts,
  type Task,
  type TaskOptions,
  type TaskRunInput,
} from './store/task-rows.js';
import type { Chat } from './types.js';
import type { Wake } from './wake.js';
import type { TaskChange } from './wire.js';

export interface TasksDeps {
  store: Store;
  clock: Clock;
  wake: Wake;
  config: { timeZone: string };
}

/** Open tasks of a group, at most: what a page an agent has read can fill is limited. */
const MAX_TASKS = 1_000;
const MIN_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 6 * 3_600_000;

/** How the JSON API shows a task. */
export interface TaskView extends Omit<Task, 'secret' | 'starts'> {
  starts: string;
  /** The next three times in its zone. */
  next: string[];
  slots: SlotView[];
}

type Fields = NonNullable<TaskChange['fields']>;

export type Tasks = ReturnType<typeof createTasks>;

export function createTasks(deps: TasksDeps) {
  const { store, wake, clock } = deps;
  const changed = () => store.afterCommit(() => wake.emit('tasks'));

  /** Stores a new task; the same `key` again gives the one there is. Throws PinchError that says what would be right. */
  function add(
    input: Fields & { prompt: string },
    chat: Chat,
    made: { key?: string; starts?: Starts; budgetMicroUsd?: number } = {},
  ): Task {
    const { key = `task:${randomUUID()}` } = made;
    return store.transaction(() => {
      const known = store.tasks.byKey(key);
      if (known) return known;
      if (chat.groupId === null) throw bad(`the chat "${chat.title}" is not registered to a group`);
      if (store.tasks.open(chat.groupId).length >= MAX_TASKS)
        throw bad(`this group has ${MAX_TASKS} tasks already`, 'cancel those that are no longer needed');
      const now = clock.now();
      const starts = made.starts ?? parseSchedule(input, { now, timeZone: deps.config.timeZone });
      const { budgetMicroUsd } = made;
      const options = {
        ...optionsOf(deps, input, { starts, groupId: chat.groupId }),
        ...(budgetMicroUsd !== undefined && { budgetMicroUsd }),
      };
      const title = input.title ?? titleOf(input.prompt);
      const secret = starts.kind === 'hook' ? randomBytes(24).toString('base64url') : null;
      const places = { groupId: chat.groupId, chatId: chat.id };
      const nextAt = firstAt(starts, now);
      const task = store.tasks.add({
        key,
        ...places,
        title,
        prompt: input.prompt,
        starts,
        options,
        nextAt,
        secret,
        now,
      });
      if (!task) throw new Error('a new task was not stored');
      changed();
      return task;
    });
  }

  function update(task: Task, fields: Fields, chat: Chat | undefined): void {
    const now = clock.now();
    const isNewTime = [fields.cron, fields.every, fields.at].some((value) => value !== undefined);
    if (!isNewTime && fields.tz !== undefined)
      throw bad('a time zone alone changes nothing', 'give cron or at with it');
    const starts = isNewTime ? parseSchedule(fields, { now, timeZone: deps.config.timeZone }) : task.starts;
    const groupId = chat?.groupId ?? task.groupId;
    const options = { ...task.options, ...optionsOf(deps, fields, { starts, groupId, task }) };
    const { prompt = task.prompt, title = task.title } = fields;
    const nextAt = isNewTime ? firstAt(starts, now) : task.nextAt;
    store.tasks.change({
      id: task.id,
      chatId: chat?.id ?? task.chatId,
      groupId,
      title,
      prompt,
      starts,
      options,
      nextAt,
    });
  }

  /** Throws PinchError when it cannot be done. Returns the task as it is then. */
  function change(task: Task, { action, fields = {} }: TaskChange, chat?: Chat): Task {
    return store.transaction(() => {
      if (task.state === 'cancelled') throw bad(`task ${task.id} is cancelled`, 'schedule a new one');
      if (action === 'update') update(task, fields, chat);
      if (action === 'pause') store.tasks.setState(task.id, 'paused', null);
      if (action === 'cancel') store.tasks.setState(task.id, 'cancelled', null);
      if (action === 'resume') {
        const nextAt = firstAt(task.starts, clock.now());
        if (nextAt === null && isTimed(task)) throw bad(`task ${task.id} has no further times`, 'give it a new one');
        store.tasks.setState(task.id, 'active', nextAt);
      }
      if (action === 'run') start(task);
      changed();
      return store.tasks.get(task.id) ?? task;
    });
  }

  /** One slot of the task now, whatever its times are; the scheduler makes it a run. */
  function start(task: Task, extra: Pick<TaskRunInput, 'key' | 'untrusted'> = {}): void {
    const now = clock.now();
    store.transaction(() => {
      let slotAt = now;
      while (store.tasks.slot(task.id, slotAt)) slotAt += 1;
      const input = { ...inputOf(task, slotAt), ...extra };
      store.tasks.addSlot({ taskId: task.id, slotAt, state: 'waiting', input, now });
      changed();
    });
  }

  return {
    add,
    change,
    start,
    /** Of the group, of every group for null. */
    open: (groupId: number | null): Task[] => store.tasks.open(groupId),
    /** A task of the group (of any for null). Throws PinchError `not_found`; "not yours" and "not there" read the same. */
    find(id: number, groupId: number | null): Task {
      const task = store.tasks.get(id);
      if (task && (groupId === null || task.groupId === groupId)) return task;
      throw new PinchError('not_found', `there is no task ${id}`, { hint: 'the list of tasks has the numbers' });
    },
    view(task: Task): TaskView {
      const { secret: _, starts, ...rest } = task;
      return { ...rest, starts: startsText(starts), next: nextTimes(task), slots: store.tasks.slotsOf(task.id, 20) };
    },
    /** What the asker is told about a new or changed task: when it comes next. */
    confirm(task: Task): string {
      const times = nextTimes(task);
      const state = { active: 'is scheduled', paused: 'is paused', done: 'is done', cancelled: 'is cancelled' }[
        task.state
      ];
      const zone = 'timeZone' in task.starts ? ` (${task.starts.timeZone})` : '';
      const next = times.length > 0 ? ` Next: ${times.join(' · ')}${zone}.` : '';
      return `Task ${task.id} (${task.title}) ${state}, ${startsText(task.starts)}.${next}`;
    },
    details(task: Task): string {
      const title = store.groups.chat(task.chatId)?.title ?? '?';
      return taskDetails(task, title, store.tasks.slotsOf(task.id, 5), deps.config.timeZone);
    },
    list: (groupId: number | null): string =>
      store.tasks.open(groupId).map(taskLine).join('\n') || 'There are no tasks.',
  };
}

function firstAt(starts: Starts, now: number): number | null {
  return starts.kind === 'hook' || starts.kind === 'files' ? null : (nextSlot(starts, now) ?? null);
}

function titleOf(prompt: string): string {
  const line = prompt.trim().split('\n')[0] ?? '';
  return line.length <= 60
    ? line
    : `${line
        .slice(0, 59)
        .replace(/[\ud800-\udbff]$/, '')
        .trimEnd()}…`;
}

/** The options that `input` gives; for a new task also what is left out. */
function optionsOf(deps: TasksDeps, input: Fields, of: { starts: Starts; groupId: number; task?: Task }): TaskOptions {
  const { check, context, misfire, overlap, attempts, timeout, jitter, after } = input;
  const { starts, groupId, task } = of;
  if (after) checkPredecessors(deps.store, after, { groupId, id: task?.id });
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout);
  if (timeoutMs !== undefined && (timeoutMs < MIN_TIMEOUT_MS || timeoutMs > MAX_TIMEOUT_MS))
    throw bad(`a timeout of ${timeout} is not possible`, 'give one between 10s and 6h');
  return {
    ...task?.options,
    context: context ?? task?.options.context ?? (starts.kind === 'once' ? 'chat' : 'fresh'),
    misfire: misfire ?? task?.options.misfire ?? 'latest',
    overlap: overlap ?? task?.options.overlap ?? 'skip',
    jitterMs: jitter === undefined ? (task?.options.jitterMs ?? 0) : parseDuration(jitter),
    after: after ?? task?.options.after ?? [],
    ...(check !== undefined && { check }),
    ...(attempts !== undefined && { attempts }),
    ...(timeoutMs !== undefined && { timeoutMs }),
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
    if (taskId === id) throw bad(`task ${id} would come after itself`, 'leave out what leads back to it');
    if (!seen.has(taskId)) store.tasks.get(taskId)?.options.after.forEach(visit);
    seen.add(taskId);
  };
  for (const taskId of after) {
    const task = store.tasks.get(taskId);
    if (task?.groupId !== groupId || task.state === 'cancelled')
      throw bad(`there is no task ${taskId} it could come after`, 'the list of tasks has the numbers');
    visit(taskId);
  }
}

const bad = (what: string, hint?: string) => new PinchError('bad_task', what, { hint });
