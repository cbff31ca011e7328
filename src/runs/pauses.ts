// Groups that start nothing new, by the owner's word: what works goes on to its end, what comes in waits. 0 stands for all groups.
import { z } from 'zod';
import type { Statements } from '../core/statements.js';

export const EVERY_GROUP = 0;

const pause = z.object({ groupId: z.number(), pausedAt: z.number() });

export function createPauses({ rows, run }: Statements) {
  return {
    /** What holds this group back; that of all groups counts first. */
    of: rows(pause).get<[groupId: number]>(
      `SELECT * FROM pauses WHERE group_id IN (${EVERY_GROUP}, ?1) ORDER BY group_id LIMIT 1`,
    ),
    all: rows(pause).all<[]>('SELECT * FROM pauses ORDER BY group_id'),
    /** False when it was paused before. */
    add: run<[groupId: number, now: number]>('INSERT OR IGNORE INTO pauses (group_id, paused_at) VALUES (?1, ?2)'),
    /** False when it was not paused. */
    remove: run<[groupId: number]>('DELETE FROM pauses WHERE group_id = ?1'),
  };
}
