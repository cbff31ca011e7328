// What model calls cost: one row per call, sums per day and group.
import type { Statements } from './statements.js';

export interface ModelCallRow {
  groupId: number;
  runId: number | null;
  at: number;
  model: string;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWrite5mTokens: number;
  cacheWrite1hTokens: number;
  costMicroUsd: number;
  /** The figures are our estimate: unknown price, or the stream was cut before the usage came. */
  estimated: boolean;
  status: number;
  stopReason: string | null;
  durationMs: number;
  firstByteMs: number | null;
  requestId: string | null;
}

export interface CostRow {
  folder: string;
  model: string;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  costMicroUsd: number;
}

export function createUsage({ run, get, all }: Statements) {
  const spent = get<[since: number, groupId: number | null], { total: number }>(
    `SELECT coalesce(sum(cost_micro_usd), 0) AS total FROM model_calls WHERE at >= ?1 AND (?2 IS NULL OR group_id = ?2)`,
  );
  return {
    record: run<[call: ModelCallRow]>(
      `INSERT INTO model_calls (group_id, run_id, at, model, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens,
         cache_write_1h_tokens, cost_micro_usd, estimated, status, stop_reason, duration_ms, first_byte_ms, request_id)
       VALUES (@groupId, @runId, @at, @model, @inputTokens, @outputTokens, @cacheReadTokens, @cacheWrite5mTokens,
         @cacheWrite1hTokens, @costMicroUsd, @estimated, @status, @stopReason, @durationMs, @firstByteMs, @requestId)`,
    ),
    /** Micro USD since `since`, of one group or of all. */
    spent: (since: number, groupId: number | null): number => spent(since, groupId)?.total ?? 0,
    byModel: all<[since: number], CostRow>(
      `SELECT g.folder, c.model, count(*) AS calls, sum(c.input_tokens + c.cache_read_tokens + c.cache_write_5m_tokens
         + c.cache_write_1h_tokens) AS inputTokens, sum(c.output_tokens) AS outputTokens, sum(c.cost_micro_usd) AS costMicroUsd
       FROM model_calls c JOIN groups g ON g.id = c.group_id WHERE c.at >= ?1 GROUP BY g.folder, c.model ORDER BY costMicroUsd DESC`,
    ),
    ofRun: all<[runId: number], Omit<ModelCallRow, 'estimated'> & { estimated: number }, ModelCallRow>(
      `SELECT group_id AS groupId, run_id AS runId, at, model, input_tokens AS inputTokens, output_tokens AS outputTokens,
         cache_read_tokens AS cacheReadTokens, cache_write_5m_tokens AS cacheWrite5mTokens,
         cache_write_1h_tokens AS cacheWrite1hTokens, cost_micro_usd AS costMicroUsd, estimated, status,
         stop_reason AS stopReason, duration_ms AS durationMs, first_byte_ms AS firstByteMs, request_id AS requestId
       FROM model_calls WHERE run_id = ?1 ORDER BY id`,
      (row) => ({ ...row, estimated: row.estimated === 1 }),
    ),
  };
}
