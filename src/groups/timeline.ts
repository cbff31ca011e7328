// The append-only timeline of each run: what happened, when. The audit trail.

import type { Statements } from '../core/statements.js';
import { eventRow, type RunEvent } from '../core/types.js';

type Event = [runId: number, at: number, kind: string, detail?: Record<string, unknown>];

type Size = { rows: number; bytes: number };

export function createEvents({ run, get, all }: Statements) {
  return {
    add: run<Event>(`INSERT INTO events (run_id, at, kind, detail) VALUES (?1, ?2, ?3, coalesce(?4, '{}'))`),
    /** How much of a timeline there is. */
    sizeOf: get<[runId: number], Size>(
      'SELECT count(*) AS rows, coalesce(sum(octet_length(detail)), 0) AS bytes FROM events WHERE run_id = ?1',
    ),
    ofRun: all<[runId: number], RunEvent>('SELECT * FROM events WHERE run_id = ?1 ORDER BY id', eventRow),
  };
}
