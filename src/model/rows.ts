// What model calls cost: one row per call, from before it is made; sums per day and group.
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

/** Here `inputTokens` counts those of the cache as well. */
const costRow = z.object({
  folder: z.string(),
  model: z.string(),
  calls: z.number(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  costMicroUsd: z.number(),
});

export function createUsage({ rows, value, named }: Statements) {
  const spent = value<[since: number, groupId: number | null], number>(
    `SELECT coalesce(sum(cost_micro_usd), 0) FROM model_calls WHERE at >= ?1 AND (?2 IS NULL OR group_id = ?2)`,
  );
  const put = named.value<[call: ModelCallRow & { id: number | null }], number>(
    `REPLACE INTO model_calls (id, group_id, run_id, at, model, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens,
       cache_write_1h_tokens, cost_micro_usd, estimated, status, stop_reason, duration_ms, first_byte_ms, request_id)
     VALUES (@id, @groupId, @runId, @at, @model, @inputTokens, @outputTokens, @cacheReadTokens, @cacheWrite5mTokens,
       @cacheWrite1hTokens, @costMicroUsd, @estimated, @status, @stopReason, @durationMs, @firstByteMs, @requestId) RETURNING id`,
  );
  return {
    /** Adds a call, before it is made as what it may cost at most; returns its id. */
    record: (call: ModelCallRow): number => put({ ...call, id: null }) ?? 0,
    /** What the call came to. */
    settle: (id: number, call: ModelCallRow): void => void put({ ...call, id }),
    /** Micro USD since `since`, of one group or of all, with what running calls may cost. */
    spent: (since: number, groupId: number | null): number => spent(since, groupId) ?? 0,
    byModel: rows(costRow).all<[since: number]>(
      `SELECT g.folder, c.model, count(*) AS calls, sum(c.input_tokens + c.cache_read_tokens + c.cache_write_5m_tokens
         + c.cache_write_1h_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens, sum(c.cost_micro_usd) AS cost_micro_usd
       FROM model_calls c JOIN groups g ON g.id = c.group_id WHERE c.at >= ?1 GROUP BY g.folder, c.model ORDER BY cost_micro_usd DESC`,
    ),
    ofRun: rows(modelCallRow).all<[runId: number]>('SELECT * FROM model_calls WHERE run_id = ?1 ORDER BY id'),
  };
}
