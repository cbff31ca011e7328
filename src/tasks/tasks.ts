// What agents, the owner and scripts may do with tasks: everything is checked here before anything is stored.
import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../core/clock.js';
import { dayName } from '../core/day.js';
import { PinchError } from '../core/errors.js';
import { oneLine, shownLine } from '../core/one-line.js';
import type { Chat } from '../core/types.js';
import type { TaskRunInput } from '../runs/run-input.js';
import { MAX_TITLE_CHARS } from '../runs/unattended.js';
import type { TaskChange } from '../wire.js';
import { inputOf } from './due.js';
import { badTask, taskOptions } from './options.js';
import { countPlan, createPlans, type Plans } from './quota.js';
import { isTimed, type Starts, type Task } from './rows.js';
import { nextSlot, parseSchedule } from './schedule.js';
import type { Store } from './store.js';
import { lastText, MAX_LISTED, nextTimes, startsText, type TaskFacts, taskDetails, taskList } from './text.js';
import { parseWhen } from './when.js';

export interface TasksDeps {
  store: Store;
  clock: Clock;
  config: { timeZone: string };
}

/** Open tasks of a group, at most: what a page an agent has read can fill is limited. */
const MAX_TASKS = 1_000;

/** How the JSON API shows a task. */
export interface TaskView extends Omit<Task, 'secret' | 'starts'>, TaskFacts {
  starts: string;
  /** The next three times in its zone. */
  next: string[];
}

type Fields = NonNullable<TaskChange['fields']>;
type NewTaskInput = Fields & { prompt: string };
/** What the caller decides beside the input. Without a key each call makes a task; without `starts` the input says when. */
type Preset = { key?: string; starts?: Starts; byAgentOf?: number };
/** Who changes it how; `chat` is where an update moves it to. `byAgentOf`: the group whose agent it is, when it is not the owner. */
interface Changing {
  chat?: Chat | undefined;
  byAgentOf?: number | undefined;
}
type Working = TasksDeps & { plans: Plans };
/** What started a slot that no time started. */
type Trigger = Pick<TaskRunInput, 'key' | 'untrusted'>;

export type Tasks = ReturnType<typeof createTasks>;

export function createTasks(given: TasksDeps) {
  const deps = { ...given, plans: createPlans(given.clock.now) };
  const { store } = deps;
  const { timeZone } = deps.config;
  return {
    add: (input: NewTaskInput, chat: Chat, preset: Preset = {}): Task =>
      store.transaction(() => addTask(deps, input, chat, preset)),
    /** Throws PinchError when it cannot be done. Returns the task as it is then. */
    change: (task: Task, change: TaskChange, by: Changing = {}): Task =>
      store.transaction(() => changeTask(deps, task, change, by)),
    /** Joins a transaction of the caller. Nothing when somebody cancelled it meanwhile. */
    pause(id: number): void {
      const task = store.tasks.get(id);
      if (task && task.state !== 'cancelled') store.transaction(() => changeTask(deps, task, { action: 'pause' }, {}));
    },
    /** When, then what, as a person writes it; with nothing behind the time the prompt is ''. Throws PinchError. */
    read(text: string): Fields & { prompt: string } {
      const { when, rest } = parseWhen(text, { now: deps.clock.now(), timeZone });
      return { ...when, prompt: rest };
    },
    start: (task: Task, trigger: Trigger): void => store.transaction(() => startTask(deps, task, trigger)),
    /** Of the group, of every group for null. */
    open: store.tasks.open,
    next: store.tasks.next,
    openCount: store.tasks.openCount,
    /** A task of the group (of any for null). Throws PinchError `not_found`; "not yours" and "not there" read the same. */
    find(id: number, groupId: number | null): Task {
      const task = store.tasks.get(id);
      if (task && (groupId === null || task.groupId === groupId)) return task;
      throw new PinchError('not_found', `there is no task ${id}`, { hint: 'the list of tasks has the numbers' });
    },
    view(task: Task): TaskView {
      const { secret: _, starts, ...rest } = task;
      return {
        ...rest,
        title: oneLine(rest.title, MAX_TITLE_CHARS),
        starts: startsText(starts),
        next: nextTimes(task),
        ...factsOf(deps, task, 10),
      };
    },
    details: (task: Task): string => taskDetails(task, factsOf(deps, task, 5), timeZone),
    /** What comes next, of one group (null: of all) or of one chat of it, in at most so many characters. */
    list(groupId: number | null, { chatId, maxChars }: { chatId?: number; maxChars?: number } = {}): string {
      const lastOf = ({ id }: Task) => lastText(store.tasks.slotsOf(id, 1), timeZone);
      if (chatId === undefined)
        return taskList(store.tasks.next(groupId, MAX_LISTED), store.tasks.openCount(groupId), { lastOf, maxChars });
      const ofChat = store.tasks.next(groupId, -1).filter((task) => task.chatId === chatId);
      return taskList(ofChat, ofChat.length, { lastOf, maxChars });
    },
  };
}

function factsOf({ store, clock, config }: TasksDeps, { id, chatId }: Task, slots: number): TaskFacts {
  const today = dayName(clock.now(), config.timeZone);
  const chatTitle = store.groups.chat(chatId)?.title ?? '?';
  return { chatTitle, slots: store.tasks.slotsOf(id, slots), costTodayMicroUsd: store.usage.spentByTask(id, today) };
}

/** Stores a new task; the same key again gives the one there is. Throws PinchError that says what would be right. */
function addTask(deps: Working, input: NewTaskInput, chat: Chat, preset: Preset): Task {
  const { store, clock, config } = deps;
  const { key = `task:${randomUUID()}`, byAgentOf } = preset;
  const known = store.tasks.byKey(key);
  if (known) return known;
  const { groupId } = chat;
  if (groupId === null)
    throw badTask(`the chat "${shownLine(chat.title, MAX_TITLE_CHARS)}" is not registered to a group`);
  if (store.tasks.openCount(groupId) >= MAX_TASKS)
    throw badTask(`this group has ${MAX_TASKS} tasks already`, 'cancel those that are no longer needed');
  const now = clock.now();
  const starts = preset.starts ?? parseSchedule(input, { now, timeZone: config.timeZone });
  const options = taskOptions(store, input, { starts, groupId });
  const { prompt } = input;
  const title = titleOf(input.title, prompt);
  const secret = starts.kind === 'hook' ? randomBytes(24).toString('base64url') : null;
  const times = { starts, nextAt: firstAt(starts, now), now };
  const task = store.tasks.add({ key, groupId, chatId: chat.id, title, prompt, options, secret, ...times });
  if (!task) throw new Error('a new task was not stored');
  if (byAgentOf !== undefined) countPlan(deps, byAgentOf, task, { action: 'add', isNewTime: true });
  deps.store.signal('task');
  return task;
}

function changeTask(deps: Working, task: Task, change: TaskChange, { chat, byAgentOf }: Changing): Task {
  const { store } = deps;
  if (task.state === 'cancelled') throw badTask(`task ${task.id} is cancelled`, 'schedule a new one');
  carryOut(deps, task, change, chat);
  const after = store.tasks.get(task.id) ?? task;
  const isNewTime = JSON.stringify(task.starts) !== JSON.stringify(after.starts);
  if (byAgentOf !== undefined) countPlan(deps, byAgentOf, after, { action: change.action, isNewTime });
  store.signal('task');
  return after;
}

function carryOut(deps: TasksDeps, task: Task, { action, fields = {} }: TaskChange, chat: Chat | undefined): void {
  const { store, clock } = deps;
  if (action === 'update') updateTask(deps, task, fields, chat);
  if (action === 'pause') haltTask(store, task.id, 'paused', clock.now());
  if (action === 'cancel') haltTask(store, task.id, 'cancelled', clock.now());
  if (action === 'resume') {
    const nextAt = firstAt(task.starts, clock.now());
    if (nextAt === null && isTimed(task.starts))
      throw badTask(`task ${task.id} has no further times`, 'give it a new one');
    store.tasks.setState(task.id, 'active', nextAt);
  }
  if (action === 'run') startTask(deps, task, {});
}

function updateTask({ store, clock, config }: TasksDeps, task: Task, fields: Fields, chat: Chat | undefined): void {
  const now = clock.now();
  const isNewTime = [fields.cron, fields.every, fields.at].some((value) => value !== undefined);
  if (!isNewTime && fields.tz !== undefined)
    throw badTask('a time zone alone changes nothing', 'give cron or at with it');
  const { timeZone } = 'timeZone' in task.starts ? task.starts : config;
  const starts = isNewTime ? parseSchedule(fields, { now, timeZone }) : task.starts;
  const { id, chatId, groupId } = { ...task, ...(chat?.groupId && { chatId: chat.id, groupId: chat.groupId }) };
  const options = taskOptions(store, fields, { starts, groupId, task });
  const { prompt = task.prompt } = fields;
  const title = titleOf(fields.title ?? task.title, prompt);
  const nextAt = isNewTime ? firstAt(starts, now) : task.nextAt;
  store.tasks.change({ id, chatId, groupId, title, prompt, starts, options, nextAt });
  if (isNewTime && task.state === 'done') store.tasks.setState(id, 'active', nextAt);
}

/** No further slot, and none of those that wait; a run that works goes on. In the caller's transaction. */
export function haltTask(store: Store, id: number, state: 'paused' | 'cancelled', now: number): void {
  store.tasks.setState(id, state, null);
  store.tasks.dropWaiting(id, null, `the task was ${state}`, now);
  store.runs.cancelOfTask(id, now);
}

/** One slot of the task now, whatever its times are; the scheduler makes it a run. */
function startTask(deps: TasksDeps, task: Task, trigger: Trigger): void {
  const { store, clock } = deps;
  const now = clock.now();
  let slotAt = now;
  while (store.tasks.hasSlot(task.id, slotAt)) slotAt += 1;
  const input = { ...inputOf(task, slotAt), ...trigger };
  store.tasks.addSlot({ taskId: task.id, slotAt, state: 'waiting', input, now });
  deps.store.signal('task');
}

function firstAt(starts: Starts, now: number): number | null {
  return isTimed(starts) ? (nextSlot(starts, now) ?? null) : null;
}

/** One line: it stands in lists beside what we say ourselves. */
function titleOf(title: string | undefined, prompt: string): string {
  return oneLine(title ?? '', MAX_TITLE_CHARS) || oneLine(prompt.trim().split('\n')[0] ?? '', 60) || 'Untitled';
}
