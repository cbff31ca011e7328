// The append-only timeline of each run: what happened, when. The audit trail.
import { z } from 'zod';
import type { RunEvent } from '../types.js';
import type { Db } from './index.js';

export type Events = ReturnType<typeof createEvents>;

const detailColumn = z.record(z.string(), z.unknown());
/** Runner events per run are capped so that a hostile container cannot fill the disk through its timeline. */
const MAX_EVENTS_PER_RUN = 5_000;

export function createEvents(db: Db) {
  const insert = db.prepare<{ runId: number; at: number; kind: string; detail: string; max: number }>(
    `INSERT INTO events (run_id, at, kind, detail) SELECT @runId, @at, @kind, @detail
     WHERE (SELECT count(*) FROM events WHERE run_id = @runId) < @max`,
  );
  const byRun = db.prepare<[number], Omit<RunEvent, 'detail'> & { detail: string }>(
    'SELECT id, run_id AS runId, at, kind, detail FROM events WHERE run_id = ? ORDER BY id',
  );
  return {
    add(runId: number, at: number, kind: string, detail: Record<string, unknown> = {}): void {
      insert.run({ runId, at, kind, detail: JSON.stringify(detail), max: MAX_EVENTS_PER_RUN });
    },
    ofRun: (runId: number): RunEvent[] =>
      byRun.all(runId).map((row) => ({ ...row, detail: detailColumn.parse(JSON.parse(row.detail)) })),
  };
}
