// What model calls cost: one row per call, from before it is made, and the sums of each local day, kept for ever.
import { z } from 'zod';
import { flag, type Statements } from '../core/statements.js';

/** What one model call came to. */
const modelCallRow = z.object({
  groupId: z.number(),
  runId: z.number().nullable(),
  at: z.number(),
  model: z.string(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  cacheReadTokens: z.number(),
  cacheWrite5mTokens: z.number(),
  cacheWrite1hTokens: z.number(),
  costMicroUsd: z.number(),
  /** The figures are our estimate: unknown price, or the stream was cut before the usage came. */
  estimated: flag,
  status: z.number(),
  stopReason: z.string().nullable(),
  durationMs: z.number(),
  firstByteMs: z.number().nullable(),
  requestId: z.string().nullable(),
});
export type ModelCallRow = z.infer<typeof modelCallRow>;

/** Sums; here `inputTokens` counts those of the cache as well. */
const sums = { calls: z.number(), inputTokens: z.number(), outputTokens: z.number(), costMicroUsd: z.number() };
const modelCost = z.object({ folder: z.string(), model: z.string(), ...sums });
const periodCost = z.object(sums);
const taskCost = periodCost.extend({ taskId: z.number() });
const dayCost = periodCost.extend({ day: z.string() });
export type Sums = z.infer<typeof periodCost>;
type Span = [from: string, to: string, groupId: number | null];
const SUMS = `coalesce(sum(c.calls), 0) AS calls, coalesce(sum(c.input_tokens), 0) AS input_tokens, coalesce(sum(c.output_tokens), 0) AS output_tokens,
  coalesce(sum(c.cost_micro_usd), 0) AS cost_micro_usd`;
const OF_SPAN = `FROM costs c JOIN groups g ON g.id = c.group_id WHERE c.day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR c.group_id = ?3)`;

const promptTokens = (call: ModelCallRow): number =>
  call.inputTokens + call.cacheReadTokens + call.cacheWrite5mTokens + call.cacheWrite1hTokens;

/** Days are local dates such as `2026-11-30`; a range includes both ends. */
export function createUsage({ rows, total, named }: Statements) {
  const put = named.value<[call: ModelCallRow & { id: number | null }], number>(
    `INSERT OR REPLACE INTO model_calls (id, group_id, run_id, at, model, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens,
       cache_write_1h_tokens, cost_micro_usd, estimated, status, stop_reason, duration_ms, first_byte_ms, request_id)
     VALUES (@id, @groupId, @runId, @at, @model, @inputTokens, @outputTokens, @cacheReadTokens, @cacheWrite5mTokens,
       @cacheWrite1hTokens, @costMicroUsd, @estimated, @status, @stopReason, @durationMs, @firstByteMs, @requestId) RETURNING id`,
  );
  /** Changes the sums of a day: by a new call, or by what it came to in the place of what it was reserved as. */
  const addToDay = named.run<[change: ModelCallRow & { day: string; calls: number }]>(
    `INSERT INTO costs (day, group_id, task_id, model, calls, input_tokens, output_tokens, cost_micro_usd)
     VALUES (@day, @groupId, coalesce((SELECT task_id FROM runs WHERE id = @runId), 0), @model, @calls, @inputTokens, @outputTokens, @costMicroUsd)
     ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, input_tokens = input_tokens + excluded.input_tokens,
       output_tokens = output_tokens + excluded.output_tokens, cost_micro_usd = cost_micro_usd + excluded.cost_micro_usd`,
  );
  return {
    /** Adds a call, before it is made as what it may cost at most; returns its id. Call it in a transaction. */
    record(call: ModelCallRow, day: string): number {
      addToDay({ ...call, day, calls: 1, inputTokens: promptTokens(call) });
      return put({ ...call, id: null }) ?? 0;
    },
    /** What the call came to, in the place of what was recorded. Call it in a transaction. */
    settle(id: number, day: string, recorded: ModelCallRow, call: ModelCallRow): void {
      put({ ...call, id });
      addToDay({
        ...{ ...recorded, day, calls: 0 },
        inputTokens: promptTokens(call) - promptTokens(recorded),
        outputTokens: call.outputTokens - recorded.outputTokens,
        costMicroUsd: call.costMicroUsd - recorded.costMicroUsd,
      });
    },
    /** These three: micro USD with what running calls may cost, of one group or (null) all, of a task on a day, of a run. */
    spent: total<[from: string, to: string, groupId: number | null]>(
      'SELECT sum(cost_micro_usd) FROM costs WHERE day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR group_id = ?3)',
    ),
    spentByTask: total<[taskId: number, day: string]>(
      'SELECT sum(cost_micro_usd) FROM costs WHERE day = ?2 AND task_id = ?1',
    ),
    spentByRun: total<[runId: number]>('SELECT sum(cost_micro_usd) FROM model_calls WHERE run_id = ?1'),
    /** These four: of one group or all; the dearest first. */
    ofPeriod: rows(periodCost).get<Span>(`SELECT ${SUMS} ${OF_SPAN}`),
    byModel: rows(modelCost).all<Span>(
      `SELECT g.folder, c.model, ${SUMS} ${OF_SPAN} GROUP BY g.folder, c.model ORDER BY cost_micro_usd DESC`,
    ),
    /** Task 0: no task. */
    byTask: rows(taskCost).all<[...Span, limit: number]>(
      `SELECT c.task_id, ${SUMS} ${OF_SPAN} GROUP BY c.task_id ORDER BY cost_micro_usd DESC, c.task_id LIMIT ?4`,
    ),
    byDay: rows(dayCost).all<Span>(`SELECT c.day, ${SUMS} ${OF_SPAN} GROUP BY c.day ORDER BY c.day DESC`),
    ofRun: rows(modelCallRow).all<[runId: number]>('SELECT * FROM model_calls WHERE run_id = ?1 ORDER BY id'),
  };
}
