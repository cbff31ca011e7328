// What model calls cost: one row per call, from before it is made; sums per day and group.

import type { Statements } from '../core/statements.js';
import { type ModelCallRow, modelCallRow } from '../core/types.js';

export interface CostRow {
  folder: string;
  model: string;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  costMicroUsd: number;
}

export function createUsage({ run, value, all }: Statements) {
  const spent = value<[since: number, groupId: number | null], number>(
    `SELECT coalesce(sum(cost_micro_usd), 0) FROM model_calls WHERE at >= ?1 AND (?2 IS NULL OR group_id = ?2)`,
  );
  const record = value<[call: ModelCallRow], number>(
    `INSERT INTO model_calls (group_id, run_id, at, model, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens,
       cache_write_1h_tokens, cost_micro_usd, estimated, status, stop_reason, duration_ms, first_byte_ms, request_id)
     VALUES (@groupId, @runId, @at, @model, @inputTokens, @outputTokens, @cacheReadTokens, @cacheWrite5mTokens,
       @cacheWrite1hTokens, @costMicroUsd, @estimated, @status, @stopReason, @durationMs, @firstByteMs, @requestId) RETURNING id`,
  );
  return {
    /** Adds a call, before it is made as what it may cost at most; returns its id. */
    record: (call: ModelCallRow): number => record(call) ?? 0,
    /** What the call came to. */
    settle: run<[call: ModelCallRow & { id: number }]>(
      `UPDATE model_calls SET input_tokens = @inputTokens, output_tokens = @outputTokens, cache_read_tokens = @cacheReadTokens,
         cache_write_5m_tokens = @cacheWrite5mTokens, cache_write_1h_tokens = @cacheWrite1hTokens, cost_micro_usd = @costMicroUsd,
         estimated = @estimated, status = @status, stop_reason = @stopReason, duration_ms = @durationMs,
         first_byte_ms = @firstByteMs, request_id = @requestId
       WHERE id = @id`,
    ),
    /** Micro USD since `since`, of one group or of all, with what running calls may cost. */
    spent: (since: number, groupId: number | null): number => spent(since, groupId) ?? 0,
    byModel: all<[since: number], CostRow>(
      `SELECT g.folder, c.model, count(*) AS calls, sum(c.input_tokens + c.cache_read_tokens + c.cache_write_5m_tokens
         + c.cache_write_1h_tokens) AS inputTokens, sum(c.output_tokens) AS outputTokens, sum(c.cost_micro_usd) AS costMicroUsd
       FROM model_calls c JOIN groups g ON g.id = c.group_id WHERE c.at >= ?1 GROUP BY g.folder, c.model ORDER BY costMicroUsd DESC`,
    ),
    ofRun: all<[runId: number], ModelCallRow>('SELECT * FROM model_calls WHERE run_id = ?1 ORDER BY id', modelCallRow),
  };
}
