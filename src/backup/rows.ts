// What waited when a backup was made, ended in the restored home. Once in the life of a home, so these may look at all that is open.
import { z } from 'zod';
import type { Statements } from '../core/statements.js';

export function createRestoredRows({ rows, run, count }: Statements) {
  return {
    /** Returns the runs that were ended. */
    endRuns: rows(z.object({ id: z.number() })).all<[error: string, now: number]>(
      `UPDATE runs INDEXED BY runs_open SET state = 'cancelled', error = ?1, finished_at = ?2, lease_owner = NULL
       WHERE state IN ('ready', 'leased') RETURNING id`,
    ),
    /** What chats were shown of those: it has gone, or become an answer that must stay. */
    forgetProgress: run<[]>('DELETE FROM progress'),
    endMessages: count<[error: string]>(
      `UPDATE outbox INDEXED BY outbox_heads SET state = 'dead', error = ?1 WHERE state = 'queued'`,
    ),
    endSlots: count<[detail: string, now: number]>(
      `UPDATE slots INDEXED BY slots_open SET state = iif(state = 'running', 'cancelled', 'skipped'), detail = ?1, input = NULL, ended_at = ?2
       WHERE state IN ('waiting', 'running')`,
    ),
    endApprovals: count<[result: string, now: number]>(
      `UPDATE approvals SET state = iif(state = 'open', 'expired', 'failed'), result = ?1, decided_at = ?2
       WHERE state IN ('open', 'allowed')`,
    ),
  };
}
