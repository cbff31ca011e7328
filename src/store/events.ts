// The append-only timeline of each run: what happened, when. The audit trail.
import { eventRow, type RunEvent } from '../types.js';
import type { Statements } from './statements.js';

/** Runner events per run are capped so that a hostile container cannot fill the disk through its timeline. */
const MAX_EVENTS_PER_RUN = 5_000;

type Event = [runId: number, at: number, kind: string, detail?: Record<string, unknown>];

export function createEvents({ run, all }: Statements) {
  const insert = `INSERT INTO events (run_id, at, kind, detail) SELECT ?1, ?2, ?3, coalesce(?4, '{}')`;
  return {
    add: run<Event>(insert),
    /** For what a runner reports; false once the run's timeline is full. */
    addReported: run<Event>(`${insert} WHERE (SELECT count(*) FROM events WHERE run_id = ?1) < ${MAX_EVENTS_PER_RUN}`),
    ofRun: all<[runId: number], RunEvent>('SELECT * FROM events WHERE run_id = ?1 ORDER BY id', eventRow),
  };
}
