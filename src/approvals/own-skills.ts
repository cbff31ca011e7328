// Skills of a group that count: those that the owner has read, as they were then.
import { z } from 'zod';
import { json, type Statements } from '../core/statements.js';
import { type LeftOutSkill, leftOutSkill, ownSkill } from '../wire.js';

const leftOutRow = z.object({ skills: json(z.array(leftOutSkill)) });

export function createOwnSkills({ rows, run }: Statements) {
  const leftOut = rows(leftOutRow).get<[groupId: number]>('SELECT skills FROM skills_left_out WHERE group_id = ?1');
  return {
    of: rows(ownSkill).all<[groupId: number]>('SELECT name, digest FROM own_skills WHERE group_id = ?1 ORDER BY name'),
    remove: run<[groupId: number, name: string]>('DELETE FROM own_skills WHERE group_id = ?1 AND name = ?2'),
    put: run<[groupId: number, name: string, digest: string]>('REPLACE INTO own_skills VALUES (?1, ?2, ?3)'),
    /** What lies beside them and is none, as the last run found it. */
    leftOut: (groupId: number): LeftOutSkill[] => leftOut(groupId)?.skills ?? [],
    putLeftOut: run<[groupId: number, skills: LeftOutSkill[]]>('REPLACE INTO skills_left_out VALUES (?1, ?2)'),
  };
}
