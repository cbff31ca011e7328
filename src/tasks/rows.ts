// Tasks and their slots: what is due, what became of each slot. State changes only; what to do next is the scheduler's.
import { z } from 'zod';
import { json, type Statements } from '../core/statements.js';
import { taskRunInput } from '../runs/run-input.js';
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

/** A clock starts the task, not somebody else. */
export const isTimed = (starts: Starts): starts is Schedule => starts.kind !== 'hook' && starts.kind !== 'files';

const options = z.object({
  check: z.string().optional(),
  context: z.enum(['chat', 'fresh']),
  misfire: z.enum(['latest', 'skip', 'all']),
  overlap: z.enum(['skip', 'queue']),
  /** Tries of one run; the error's class decides when it is not given. */
  attempts: z.number().optional(),
  timeoutMs: z.number().optional(),
  jitterMs: z.number(),
  after: z.array(z.number()),
  /** What the task may cost a day: a call that could cost more is not made, and slots are skipped once it is used up. */
  budgetMicroUsd: z.number().optional(),
});
export type TaskOptions = z.infer<typeof options>;

const taskRow = z.object({
  id: z.number(),
  /** Names what made it; a heartbeat's is `heartbeat:<group id>:<number of tasks before it>`. */
  key: z.string(),
  groupId: z.number(),
  /** Where results go. */
  chatId: z.number(),
  title: z.string(),
  prompt: z.string(),
  starts: json(starts),
  options: json(options),
  state: z.enum(['active', 'paused', 'done', 'cancelled']),
  /** Slots that failed in a row. */
  failures: z.number(),
  nextAt: z.number().nullable(),
  /** Of a hook. */
  secret: z.string().nullable(),
  createdAt: z.number(),
});
export type Task = z.infer<typeof taskRow>;

const slotRow = z.object({
  taskId: z.number(),
  slotAt: z.number(),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled', 'missed', 'skipped', 'blocked']),
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
const slotView = slotRow.omit({ input: true }).extend({
  runState: z.string().nullable(),
  delivery: z.enum(['queued', 'sent', 'dead']).nullable(),
});
export type SlotView = z.infer<typeof slotView>;

const missedSlot = slotRow
  .pick({ taskId: true, slotAt: true, state: true, count: true, detail: true })
  .extend({ title: z.string() });

const endedSlot = slotRow
  .pick({ taskId: true, slotAt: true })
  .extend({ runId: z.number(), runState: z.string(), errorClass: z.string().nullable(), error: z.string().nullable() });

const taskCap = z.object({ taskId: z.number(), limitMicroUsd: z.number() });

const planned = z.object({ open: z.number(), perHour: z.number() });

type NewTask = Omit<Task, 'id' | 'state' | 'failures' | 'createdAt'> & { now: number };

interface NewSlot extends Pick<Slot, 'taskId' | 'slotAt' | 'state'>, Partial<Pick<Slot, 'count' | 'detail' | 'input'>> {
  now: number;
  runId?: number | null | undefined;
}

export function createTasks(statements: Statements) {
  const { rows, run, value, total, named } = statements;
  return {
    ...createOpenTasks(statements),
    ...createSlots(statements),
    ...createSlotChanges(statements),
    /** Returns the new task, or undefined when the key exists. */
    add: named.rows(taskRow).get<[task: NewTask]>(
      `INSERT INTO tasks (key, group_id, chat_id, title, prompt, starts, options, next_at, secret, created_at)
       VALUES (@key, @groupId, @chatId, @title, @prompt, @starts, @options, @nextAt, @secret, @now)
       ON CONFLICT (key) DO NOTHING RETURNING *`,
    ),
    get: rows(taskRow).get<[id: number]>('SELECT * FROM tasks WHERE id = ?1'),
    titleOf: value<[id: number], string>('SELECT title FROM tasks WHERE id = ?1'),
    /** How many there ever were. */
    count: total<[]>(`SELECT seq FROM sqlite_sequence WHERE name = 'tasks'`),
    byKey: rows(taskRow).get<[key: string]>('SELECT * FROM tasks WHERE key = ?1'),
    /** Active ones that wait for files. */
    startedByFiles: rows(taskRow).all<[]>(
      `SELECT * FROM tasks WHERE state = 'active' AND next_at IS NULL AND starts ->> 'kind' = 'files' ORDER BY id`,
    ),
    due: rows(taskRow).all<[now: number, limit: number]>(
      `SELECT * FROM tasks WHERE state = 'active' AND next_at <= ?1 ORDER BY next_at, id LIMIT ?2`,
    ),
    /** Only times after now: a task that stays due has a row that cannot be read, and must not wake the scheduler again and again. */
    nextDueAt: value<[now: number], number | null>(
      `SELECT min(next_at) FROM tasks WHERE state = 'active' AND next_at > ?1`,
    ),
    setNext: run<[id: number, nextAt: number | null]>('UPDATE tasks SET next_at = ?2 WHERE id = ?1'),
    /** Changes what is given. */
    change: named.run<
      [change: Pick<Task, 'id' | 'chatId' | 'groupId' | 'title' | 'prompt' | 'starts' | 'options' | 'nextAt'>]
    >(
      `UPDATE tasks SET chat_id = @chatId, group_id = @groupId, title = @title, prompt = @prompt, starts = @starts,
         options = @options, next_at = @nextAt WHERE id = @id`,
    ),
    setState: run<[id: number, state: Task['state'], nextAt: number | null]>(
      'UPDATE tasks SET state = ?2, next_at = ?3, failures = 0 WHERE id = ?1',
    ),
    /** What the agents of a group made or gave their times, but for this one: how many are open, how often they start in an hour. */
    plannedBy: rows(planned).get<[madeBy: number, exceptId: number]>(
      `SELECT count(*) AS open, coalesce(sum(iif(state = 'active', per_hour, 0)), 0) AS per_hour FROM tasks
       WHERE state IN ('active', 'paused') AND made_by = ?1 AND id <> ?2`,
    ),
    setPlanned: run<[id: number, madeBy: number, perHour: number]>(
      'UPDATE tasks SET made_by = ?2, per_hour = ?3 WHERE id = ?1',
    ),
    setFailures: run<[id: number, failures: number]>('UPDATE tasks SET failures = ?2 WHERE id = ?1'),
    /** The task that a run works for, when it has a limit for a day. */
    capOfRun: rows(taskCap).get<[runId: number]>(
      `SELECT t.id AS task_id, t.options ->> 'budgetMicroUsd' AS limit_micro_usd FROM runs r JOIN tasks t ON t.id = r.task_id
       WHERE r.id = ?1 AND limit_micro_usd IS NOT NULL`,
    ),
  };
}

function createOpenTasks({ rows, total }: Statements) {
  const isOpen = `state IN ('active', 'paused')`;
  const all = rows(taskRow).all<[after: number, limit: number]>(
    `SELECT * FROM tasks WHERE ${isOpen} AND id > ?1 ORDER BY id LIMIT ?2`,
  );
  const of = rows(taskRow).all<[after: number, limit: number, groupId: number]>(
    `SELECT * FROM tasks WHERE ${isOpen} AND group_id = ?3 AND id > ?1 ORDER BY id LIMIT ?2`,
  );
  // Those that a clock starts, by their times, then the others. What is due next is found at once, however many there are.
  const timed = rows(taskRow).all<[limit: number]>(
    `SELECT * FROM tasks INDEXED BY tasks_due WHERE state = 'active' AND next_at IS NOT NULL ORDER BY next_at, id LIMIT ?1`,
  );
  const untimed = rows(taskRow).all<[limit: number]>(
    `SELECT * FROM tasks INDEXED BY tasks_open WHERE ${isOpen} AND next_at IS NULL ORDER BY id LIMIT ?1`,
  );
  const nextOf = rows(taskRow).all<[limit: number, groupId: number]>(
    `SELECT * FROM tasks WHERE ${isOpen} AND group_id = ?2 ORDER BY next_at IS NULL, next_at, id LIMIT ?1`,
  );
  const countAll = total<[]>(`SELECT count(*) FROM tasks INDEXED BY tasks_open WHERE ${isOpen}`);
  const countOf = total<[groupId: number]>(`SELECT count(*) FROM tasks WHERE ${isOpen} AND group_id = ?1`);
  return {
    /** Those that are not over, of one group or of all; the next ones after this one, as many as there are unless told. */
    open: (groupId: number | null, after = 0, limit = -1): Task[] =>
      groupId === null ? all(after, limit) : of(after, limit, groupId),
    /** The same in the order in which they come next; those that no clock starts, or that are paused, come last. */
    next(groupId: number | null, limit: number): Task[] {
      if (groupId !== null) return nextOf(limit, groupId);
      const first = timed(limit);
      return first.length < limit ? [...first, ...untimed(limit - first.length)] : first;
    },
    openCount: (groupId: number | null): number => (groupId === null ? countAll() : countOf(groupId)),
    /** Those of them that somebody starts with a secret. */
    hooks: rows(taskRow).all<[]>(`SELECT * FROM tasks WHERE ${isOpen} AND secret IS NOT NULL ORDER BY id`),
  };
}

/** Repeats the condition of the index `slots_open`: without it SQLite does not use the index. */
const isWaiting = `state IN ('waiting', 'running') AND state = 'waiting'`;

function createSlots({ rows, value, total, exists, named }: Statements) {
  const add = named.run<[slot: NewSlot]>(
    `INSERT INTO slots (task_id, slot_at, state, run_id, count, detail, input, created_at, ended_at)
     VALUES (@taskId, @slotAt, @state, @runId, @count, @detail, @input, @now, iif(@state IN ('waiting', 'running'), NULL, @now))
     ON CONFLICT DO NOTHING`,
  );
  return {
    /** False when the slot is there already: the second insert is a no-op. */
    addSlot: (slot: NewSlot): boolean => add({ count: 1, detail: '', runId: null, input: null, ...slot }),
    hasSlot: exists<[taskId: number, slotAt: number]>('SELECT 1 FROM slots WHERE task_id = ?1 AND slot_at = ?2'),
    /** When a task or a slot was last recorded: later than now means that the clock was wrong. */
    lastRecordedAt: value<[], number | null>(
      'SELECT max(at) FROM (SELECT max(created_at) AS at FROM slots UNION ALL SELECT max(created_at) FROM tasks)',
    ),
    /** Whether a run of this key is there, or a slot that will become it. */
    wasStarted: exists<[key: string]>(
      `SELECT 1 FROM runs WHERE key = ?1 UNION ALL SELECT 1 FROM slots WHERE ${isWaiting} AND input ->> 'key' = ?1 LIMIT 1`,
    ),
    /** The latest slot that was not skipped. */
    lastState: value<[taskId: number, upTo: number], Slot['state']>(
      `SELECT state FROM slots WHERE task_id = ?1 AND slot_at <= ?2 AND state <> 'skipped' ORDER BY slot_at DESC LIMIT 1`,
    ),
    /** Earlier slots that wait or run, and later ones that run: a slot by hand, or the clock was set back. */
    otherOpen: total<[taskId: number, before: number]>(
      `SELECT count(*) FROM slots WHERE state IN ('waiting', 'running') AND task_id = ?1 AND (slot_at < ?2 OR state = 'running')`,
    ),
    waiting: rows(slotRow).all<[]>(`SELECT * FROM slots WHERE state = 'waiting' ORDER BY slot_at, task_id`),
    /** Slots whose run has ended, of one run or of all. */
    endedSlots: rows(endedSlot).all<[runId: number | null]>(
      `SELECT s.task_id, s.slot_at, s.run_id, r.state AS run_state, r.error_class, r.error FROM slots s JOIN runs r ON r.id = s.run_id
       WHERE s.state IN ('waiting', 'running') AND s.state = 'running' AND r.state IN ('done', 'dead', 'cancelled') AND (?1 IS NULL OR s.run_id = ?1)`,
    ),
    /** Those nothing was done at, the last first; of one group or of all. */
    missedSince: rows(missedSlot).all<[since: number, groupId: number | null, limit: number]>(
      `SELECT s.task_id, t.title, s.slot_at, s.state, s.count, s.detail FROM slots s INDEXED BY slots_by_created JOIN tasks t ON t.id = s.task_id
       WHERE s.created_at >= ?1 AND s.state IN ('missed', 'skipped', 'blocked') AND (?2 IS NULL OR t.group_id = ?2)
       ORDER BY s.created_at DESC LIMIT ?3`,
    ),
    /** Newest first. */
    slotsOf: rows(slotView).all<[taskId: number, limit: number]>(
      `SELECT s.*, r.state AS run_state,
         (SELECT o.state FROM outbox o WHERE o.run_id = s.run_id ORDER BY o.state = 'sent', o.id DESC LIMIT 1) AS delivery
       FROM slots s LEFT JOIN runs r ON r.id = s.run_id WHERE s.task_id = ?1 ORDER BY s.slot_at DESC LIMIT ?2`,
    ),
  };
}

function createSlotChanges({ run, named }: Statements) {
  return {
    startSlot: run<[taskId: number, slotAt: number, runId: number]>(
      `UPDATE slots SET state = 'running', run_id = ?3, input = NULL WHERE task_id = ?1 AND slot_at = ?2`,
    ),
    /** What waits, of one task or of all that report to a chat, will not be worked on. */
    dropWaiting: run<[taskId: number | null, chatId: number | null, detail: string, now: number]>(
      `UPDATE slots SET state = 'skipped', detail = ?3, input = NULL, ended_at = ?4
       WHERE ${isWaiting} AND (task_id = ?1 OR task_id IN (SELECT id FROM tasks WHERE chat_id = ?2))`,
    ),
    /** Its run starts over. */
    reopenSlot: run<[runId: number]>(
      `UPDATE slots SET state = 'running', detail = '', ended_at = NULL WHERE run_id = ?1`,
    ),
    endSlot: named.run<[slot: Pick<Slot, 'taskId' | 'slotAt' | 'state' | 'detail'> & { now: number }]>(
      `UPDATE slots SET state = @state, detail = @detail, input = NULL, ended_at = @now
       WHERE task_id = @taskId AND slot_at = @slotAt`,
    ),
    /** Makes the slot one row with the one before it when both have this state; returns whether it did. */
    mergeSlot: run<[taskId: number, slotAt: number, state: Slot['state']]>(
      `UPDATE slots SET count = count + (SELECT p.count FROM slots p WHERE p.task_id = ?1 AND p.slot_at < ?2 ORDER BY p.slot_at DESC LIMIT 1)
       WHERE task_id = ?1 AND slot_at = ?2 AND state = ?3
         AND ?3 = (SELECT p.state FROM slots p WHERE p.task_id = ?1 AND p.slot_at < ?2 ORDER BY p.slot_at DESC LIMIT 1)`,
    ),
    dropSlotBefore: run<[taskId: number, slotAt: number]>(
      `DELETE FROM slots WHERE task_id = ?1 AND slot_at = (SELECT max(slot_at) FROM slots WHERE task_id = ?1 AND slot_at < ?2)`,
    ),
    /** Keeps the newest ones. */
    pruneSlots: run<[taskId: number, keep: number]>(
      `DELETE FROM slots WHERE task_id = ?1 AND state NOT IN ('waiting', 'running') AND slot_at <
         (SELECT slot_at FROM slots WHERE task_id = ?1 ORDER BY slot_at DESC LIMIT 1 OFFSET ?2)`,
    ),
  };
}
