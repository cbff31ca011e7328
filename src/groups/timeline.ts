// The append-only timeline of each run: what happened, when. The audit trail.
import { z } from 'zod';
import { json, type Statements } from '../core/statements.js';
import type { ErrorClass, RunnerEvent } from '../wire.js';

/** All that can happen to a run, about in this order: the kind of each event, and its fields. */
export type TimelineEvent =
  /** The run repeats the messages of an earlier run in a fresh session; `dry`: nothing of what it does is carried out. */
  | ['replay_of', { runId: number; dry?: boolean }]
  /** What a dry run would have done: a message, a task, a call of a service and so on. `key`: of the call, which may come again. */
  | ['held_back', { what: string; about: string; text?: string; key?: string }]
  /** A task was made or changed for the run. */
  | ['task_changed', { task: number; action: string; about: string }]
  /** The queue leased the run, which began this attempt. */
  | ['claimed', { attempt: number }]
  /** The runner in this container was given the run. */
  | ['handed_over', { container: string }]
  /** The runner was given so many messages that came after it had begun. */
  | ['steered', { messages: number }]
  /** What the runner reports of its work, e.g. a tool call; wire.ts says what each kind means. */
  | [RunnerEvent['kind'], RunnerEvent['detail']]
  /** The container asked for what is not its own, or for more than its bounds allow, and was refused. */
  | ['refused', { why: string }]
  /** The folders of its group are too full, or are not any more; `ended`: its container went on filling them and was ended for it. */
  | ['disk', { state: 'full' | 'freed' | 'ended'; bytes: number; files: number; largest: string }]
  /** A secret of the host was found there, and held back. */
  | ['secret_removed', { secret: string; where: string }]
  /** A connection to the outside was over, or refused; `why`: what allowed or refused it. Bytes as seen from the container. */
  | ['egress', EgressDetail]
  /** A call to a service was over, or refused, or the owner is asked; `why`: what decided that. */
  | ['service', ServiceDetail]
  /** A call of a tool of an MCP server was over, or refused, or the owner is asked; `why`: what decided that. */
  | ['mcp', McpDetail]
  /** What the server said about its progress: the first few times. */
  | ['mcp_progress', { service: string; tool: string; progress: number; total?: number; message?: string }]
  /** A model call was not made: its worst case did not fit into this cap. Once per attempt and cap. */
  | ['budget_refused', BudgetRefusal]
  /** The agent sent a text to a chat of its group. */
  | ['message_queued', { key: string; chat: string }]
  /** The agent sent a file to the run's chat. */
  | ['file_queued', { key: string; path: string; bytes: number }]
  /** The agent asked the run's chat a question; the next message there may be the answer. */
  | ['asked', { key: string; question: string; choices: string }]
  /** Memory files that the run changed, as the journal has them now. */
  | ['memory_changed', { files: string }]
  /** The owner is asked whether the agent may do this. */
  | ['approval_asked', { approval: number; what: string }]
  /** What the owner said, and what came of it. */
  | ['approval_decided', { approval: number; state: string; result?: string }]
  /** The attempt failed; `next` says what follows: `retry`, `park` (its group waits) or `dead`. */
  | ['attempt_failed', { errorClass: ErrorClass; message: string; next: string }]
  /** Pinch ended during the attempt. Seen at the next start, `state` says what became of the run. */
  | ['lease_released', { why: string; state?: string }]
  /** The run is over for good. */
  | ['finished', { outcome: 'done' | 'cancelled' }]
  /** An outgoing message of the run reached the platform, in so many parts. */
  | ['message_sent', { key: string; parts: number }]
  /** An outgoing message of the run is dead. */
  | ['message_dead', { key: string; error: string }]
  /** The owner had the dead or cancelled run start over. */
  | ['retried' | 'stopped', { was: string }];

interface EgressDetail {
  host: string;
  port: number;
  /** What it was connected to. */
  address?: string | undefined;
  verdict: 'allowed' | 'refused' | 'failed';
  why: string;
  bytesUp: number;
  bytesDown: number;
  durationMs: number;
}

interface ServiceDetail extends Omit<EgressDetail, 'host' | 'port' | 'address' | 'verdict'> {
  service: string;
  method: string;
  path: string;
  verdict: 'allowed' | 'asked' | 'refused' | 'failed' | 'held';
  status: number;
}

interface McpDetail {
  service: string;
  tool: string;
  verdict: 'allowed' | 'asked' | 'refused' | 'failed' | 'held';
  why: string;
  /** Whether the server says that it worked. */
  ok: boolean;
  chars: number;
  durationMs: number;
}

const budgetRefusal = z.object({
  cap: z.enum(['month', 'day', 'group', 'task', 'run']),
  /** The group's folder, the number of the task. */
  of: z.string().optional(),
  /** The local date or month that the cap counts for. */
  period: z.string().optional(),
  limitMicroUsd: z.number(),
  spentMicroUsd: z.number(),
  /** Of the call. */
  worstCaseMicroUsd: z.number(),
  /** When the cap begins anew. */
  endsAt: z.number().optional(),
  /** All of it for people. */
  text: z.string(),
});
export type BudgetRefusal = z.infer<typeof budgetRefusal>;

const eventRow = z.object({
  id: z.number(),
  runId: z.number(),
  at: z.number(),
  /** Of older versions of Pinch as well. */
  kind: z.string(),
  detail: json(z.record(z.string(), z.unknown())).catch({}),
});

const timelineSize = z.object({ rows: z.number(), bytes: z.number() });

/** Lines beyond which what a container causes adds no more: what its runner reports must fit as well. */
const MAX_CAUSED = 2_000;

export function createEvents({ run, rows, value }: Statements) {
  const held = value<[runId: number, key: string], number>(
    `SELECT id FROM events WHERE run_id = ?1 AND kind = 'held_back' AND detail ->> 'key' = ?2 LIMIT 1`,
  );
  const sizeOf = rows(timelineSize).get<[runId: number]>(
    'SELECT count(*) AS rows, coalesce(sum(octet_length(detail)), 0) AS bytes FROM events WHERE run_id = ?1',
  );
  const refusal = rows(z.object({ detail: json(budgetRefusal) })).get<[runId: number, since: number]>(
    `SELECT detail FROM events WHERE run_id = ?1 AND kind = 'budget_refused' AND at >= ?2 ORDER BY id DESC LIMIT 1`,
  );
  return {
    add: run<[runId: number, at: number, ...event: TimelineEvent]>(
      'INSERT INTO events (run_id, at, kind, detail) VALUES (?1, ?2, ?3, ?4)',
    ),
    /** How much of a timeline there is. */
    sizeOf,
    /** Whether it takes one more line about a connection, a call or a find. */
    hasRoom: (runId: number): boolean => (sizeOf(runId)?.rows ?? 0) < MAX_CAUSED,
    /** Whether this is among what a dry run would have done. */
    hasHeld: (runId: number, key: string): boolean => held(runId, key) !== undefined,
    /** The latest refusal by a budget since then. */
    budgetRefusal: (runId: number, since: number): BudgetRefusal | undefined => refusal(runId, since)?.detail,
    /** The tool that the run used last, or uses now. */
    lastTool: rows(z.object({ tool: z.string() })).get<[runId: number]>(
      `SELECT coalesce(detail ->> 'tool', '') AS tool FROM events WHERE run_id = ?1 AND kind = 'tool_started' ORDER BY id DESC LIMIT 1`,
    ),
    ofRun: rows(eventRow).all<[runId: number]>('SELECT * FROM events WHERE run_id = ?1 ORDER BY id'),
    /** What came after that event, oldest first, some at a time. */
    ofRunAfter: rows(eventRow).all<[runId: number, afterId: number]>(
      'SELECT * FROM events WHERE run_id = ?1 AND id > ?2 ORDER BY id LIMIT 500',
    ),
  };
}
