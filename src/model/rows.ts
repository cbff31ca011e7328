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
const costRow = modelCost.extend({ day: z.string(), groupId: z.number(), taskId: z.number() });
export type CostRow = z.infer<typeof costRow>;

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
    /** By day, group, task (0: none) and model, of one group or all. */
    costs: rows(costRow).all<[from: string, to: string, groupId: number | null]>(
      `SELECT c.*, g.folder FROM costs c JOIN groups g ON g.id = c.group_id
       WHERE c.day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR c.group_id = ?3) ORDER BY c.day, c.group_id, c.task_id, c.model`,
    ),
    byModel: rows(modelCost).all<[from: string, to: string]>(
      `SELECT g.folder, c.model, sum(c.calls) AS calls, sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens,
         sum(c.cost_micro_usd) AS cost_micro_usd
       FROM costs c JOIN groups g ON g.id = c.group_id WHERE c.day BETWEEN ?1 AND ?2 GROUP BY g.folder, c.model ORDER BY cost_micro_usd DESC`,
    ),
    ofRun: rows(modelCallRow).all<[runId: number]>('SELECT * FROM model_calls WHERE run_id = ?1 ORDER BY id'),
  };
}
