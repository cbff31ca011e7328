// Sessions that were given what nobody trusted, until `/new`: a new conversation is another session.
import { z } from 'zod';
import type { Statements } from '../core/statements.js';

const taintRow = z.object({
  session: z.string(),
  /** What it was, one plain line. */
  source: z.string(),
  at: z.number(),
});
export type Taint = z.infer<typeof taintRow>;

export function createTaints({ rows, run, value }: Statements) {
  const isOn = value<[groupId: number], number>('SELECT taint FROM groups WHERE id = ?1');
  /** How many sessions that are worked on are not marked since then; all of nothing is not marked. */
  const unmarked = value<[groupId: number, since: number], number | null>(
    `SELECT sum(t.session IS NULL) FROM runs r LEFT JOIN taints t ON t.session = r.session AND t.seen_at >= ?2
     WHERE r.group_id = ?1 AND r.state = 'leased' AND NOT r.dry`,
  );
  return {
    /** Of the session of this run. */
    ofRun: rows(taintRow).get<[runId: number]>(
      'SELECT t.* FROM runs r JOIN taints t ON t.session = r.session WHERE r.id = ?1',
    ),
    markRun: run<[runId: number, source: string, now: number]>(
      `INSERT INTO taints (session, group_id, source, at, seen_at) SELECT session, group_id, ?2, ?3, ?3 FROM runs WHERE id = ?1
       ON CONFLICT (session) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)`,
    ),
    of: rows(taintRow).get<[session: string]>('SELECT * FROM taints WHERE session = ?1'),
    /** The first source stays: it is where everything after it may come from. */
    mark: run<[session: string, groupId: number, source: string, now: number]>(
      `INSERT INTO taints (session, group_id, source, at, seen_at) VALUES (?1, ?2, ?3, ?4, ?4)
       ON CONFLICT (session) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)`,
    ),
    /** All that is worked on in the group; false when nothing is. */
    markWorking: run<[groupId: number, source: string, now: number]>(
      `INSERT INTO taints (session, group_id, source, at, seen_at)
       SELECT session, group_id, ?2, ?3, ?3 FROM runs WHERE group_id = ?1 AND state = 'leased' AND NOT dry
       ON CONFLICT (session) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)`,
    ),
    /** A run of this session begins: its container may know what the session was given. */
    touch: run<[session: string, now: number]>('UPDATE taints SET seen_at = max(seen_at, ?2) WHERE session = ?1'),
    /** What a container that has worked since then for this group may know, the newest first; a dry run had one of its own. */
    reaching: rows(taintRow).get<[groupId: number, since: number]>(
      `SELECT * FROM taints WHERE group_id = ?1 AND seen_at >= ?2 AND session NOT GLOB 'dry-*' ORDER BY seen_at DESC LIMIT 1`,
    ),
    /** All of that, as much as is worth telling. */
    allReaching: rows(taintRow).all<[groupId: number, since: number]>(
      `SELECT * FROM taints WHERE group_id = ?1 AND seen_at >= ?2 AND session NOT GLOB 'dry-*' ORDER BY seen_at DESC LIMIT 5`,
    ),
    /** Of a session that is worked on in the group. */
    working: rows(taintRow).get<[groupId: number]>(
      `SELECT t.* FROM runs r JOIN taints t ON t.session = r.session
       WHERE r.group_id = ?1 AND r.state = 'leased' AND NOT r.dry LIMIT 1`,
    ),
    workingUnmarked: (groupId: number, since: number): number => unmarked(groupId, since) ?? 1,
    isOn: (groupId: number): boolean => isOn(groupId) !== 0,
    setOn: run<[groupId: number, on: boolean]>('UPDATE groups SET taint = ?2 WHERE id = ?1'),
  };
}
