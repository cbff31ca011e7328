// Rules of the owner, each group's mode, and the bytes it moved.
import { z } from 'zod';
import { json, type Statements } from '../core/statements.js';

export const egressMode = z.enum(['none', 'listed', 'ask', 'open']);
export type EgressMode = z.infer<typeof egressMode>;

export const ruleRow = z.object({
  id: z.number(),
  /** Null: for every group. */
  groupId: z.number().nullable(),
  /** Canonical, or `*.` and a canonical one. */
  host: z.string(),
  /** Null: 80 and 443. */
  ports: json(z.array(z.number())).nullable(),
  /** Connected to in the place of what the name resolves to. */
  address: z.string().nullable(),
});
export type Rule = z.infer<typeof ruleRow>;

export const DAY_MS = 24 * 60 * 60_000;
/** A clock that was set back begins another day, too. */
const isToday = `since BETWEEN @now - ${DAY_MS - 1} AND @now`;

export function createEgressRules({ rows, run, value, named }: Statements) {
  const modeOf = value<[groupId: number], EgressMode>('SELECT egress_mode FROM groups WHERE id = ?1');
  return {
    find: rows(ruleRow).get<[groupId: number | null, host: string]>(
      'SELECT * FROM egress_rules WHERE coalesce(group_id, 0) = coalesce(?1, 0) AND host = ?2',
    ),
    /** One rule for each group and host: a second one replaces it. */
    put: named.rows(ruleRow).get<[rule: Omit<Rule, 'id'> & { now: number }]>(
      `INSERT INTO egress_rules (group_id, host, ports, address, created_at) VALUES (@groupId, @host, @ports, @address, @now)
       ON CONFLICT (coalesce(group_id, 0), host) DO UPDATE SET ports = excluded.ports, address = excluded.address RETURNING *`,
    ),
    /** What counts in a group: its own rules, then those of all. */
    of: rows(ruleRow).all<[groupId: number]>(
      'SELECT * FROM egress_rules WHERE group_id = ?1 OR group_id IS NULL ORDER BY group_id IS NULL, id',
    ),
    all: rows(ruleRow).all<[]>('SELECT * FROM egress_rules ORDER BY id'),
    remove: run<[id: number]>('DELETE FROM egress_rules WHERE id = ?1'),
    mode: (groupId: number): EgressMode => modeOf(groupId) ?? 'none',
    /** Begins a new day for the group when its last one is over. */
    addBytes: named.run<[moved: { groupId: number; bytes: number; now: number }]>(
      `INSERT INTO egress_bytes (group_id, since, bytes) VALUES (@groupId, @now, @bytes) ON CONFLICT (group_id) DO UPDATE SET
       bytes = excluded.bytes + iif(${isToday}, bytes, 0), since = iif(${isToday}, since, @now)`,
    ),
    /** The group's day so far; undefined when none has begun. */
    today: named
      .rows(z.object({ since: z.number(), bytes: z.number() }))
      .get<[{ groupId: number; now: number }]>(
        `SELECT since, bytes FROM egress_bytes WHERE group_id = @groupId AND ${isToday}`,
      ),
    setMode: run<[groupId: number, mode: EgressMode]>('UPDATE groups SET egress_mode = ?2 WHERE id = ?1'),
  };
}
