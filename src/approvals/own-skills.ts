// Skills of a group that count: those that the owner has read, as they were then.
import type { Statements } from '../core/statements.js';
import { ownSkill } from '../wire.js';

export function createOwnSkills({ rows, run }: Statements) {
  return {
    of: rows(ownSkill).all<[groupId: number]>('SELECT name, digest FROM own_skills WHERE group_id = ?1 ORDER BY name'),
    remove: run<[groupId: number, name: string]>('DELETE FROM own_skills WHERE group_id = ?1 AND name = ?2'),
    put: run<[groupId: number, name: string, digest: string]>('REPLACE INTO own_skills VALUES (?1, ?2, ?3)'),
  };
}
