// The rows of tasks and of what became of their slots. All times are epoch ms.
import { z } from 'zod';
import { json } from '../core/types.js';
import { type TaskRunInput, taskRunInput } from '../runs/run-input.js';
import { type Schedule, schedule } from './schedule.js';

/** What starts a task: a time, a request to its hook, or a file in the group's inbox. */
const starts = z.discriminatedUnion('kind', [
  ...schedule.options,
  /** `signed`: only calls that are signed with their time. */
  z.object({ kind: z.literal('hook'), signed: z.literal(true).optional() }),
  /** `pattern`: a glob over file names. */
  z.object({ kind: z.literal('files'), pattern: z.string() }),
]);
export type Starts = z.infer<typeof starts>;

export const taskOptions = z.object({
  check: z.string().optional(),
  context: z.enum(['chat', 'fresh']),
  misfire: z.enum(['latest', 'skip', 'all']),
  overlap: z.enum(['skip', 'queue']),
  /** Tries of one run; the error's class decides when it is not given. */
  attempts: z.number().optional(),
  timeoutMs: z.number().optional(),
  jitterMs: z.number(),
  after: z.array(z.number()),
  /** Slots are skipped once the task has cost so much today. */
  budgetMicroUsd: z.number().optional(),
});
export type TaskOptions = z.infer<typeof taskOptions>;

export const taskRow = z.object({
  id: z.number(),
  /** Names what made it; the heartbeat of a group is `heartbeat:<group>`. */
  key: z.string(),
  groupId: z.number(),
  /** Where results go. */
  chatId: z.number(),
  title: z.string(),
  prompt: z.string(),
  starts: json(starts),
  options: json(taskOptions),
  state: z.enum(['active', 'paused', 'done', 'cancelled']),
  /** Slots that failed in a row. */
  failures: z.number(),
  nextAt: z.number().nullable(),
  /** Of a hook. */
  secret: z.string().nullable(),
  createdAt: z.number(),
});
export type Task = z.infer<typeof taskRow>;

export const slotState = z.enum(['waiting', 'running', 'done', 'failed', 'cancelled', 'missed', 'skipped', 'blocked']);

export const slotRow = z.object({
  taskId: z.number(),
  slotAt: z.number(),
  state: slotState,
  runId: z.number().nullable(),
  /** Slots of the same fate in a row share a row; `slotAt` is the last of them. */
  count: z.number(),
  detail: z.string(),
  /** Kept until its run is enqueued. */
  input: json(taskRunInput).nullable(),
  createdAt: z.number(),
  endedAt: z.number().nullable(),
});
export type Slot = z.infer<typeof slotRow>;
/** With the state of its run and of what the run sent: work and delivery are two things. */
export const slotView = slotRow.omit({ input: true }).extend({
  runState: z.string().nullable(),
  delivery: z.enum(['queued', 'sent', 'dead']).nullable(),
});
export type SlotView = z.infer<typeof slotView>;

/** What starts it by itself: a clock, or somebody else. */
export const isTimed = (starts: Starts): starts is Schedule => starts.kind !== 'hook' && starts.kind !== 'files';

/** The input of a slot that is on time. */
export function inputOf(task: Task, slotAt: number): TaskRunInput {
  const { id: taskId, title, prompt, starts } = task;
  const { check, attempts, timeoutMs } = task.options;
  const timeZone = 'timeZone' in starts ? starts.timeZone : undefined;
  return { taskId, title, prompt, slotAt, late: false, missed: 0, timeZone, check, attempts, timeoutMs };
}
