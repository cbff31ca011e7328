// Rules of the owner, each group's mode, and the bytes it moved.
import { z } from 'zod';
import type { Config, EgressMode } from '../core/config.js';
import { json, type Statements } from '../core/statements.js';

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
  /** Epoch ms; null: until it is removed. */
  until: z.number().nullable(),
});
export type Rule = z.infer<typeof ruleRow>;

type EgressDefault = Pick<Config, 'egressMode'>;

export const DAY_MS = 24 * 60 * 60_000;
/** A clock that was set back begins another day, too. */
const isToday = `since BETWEEN @now - ${DAY_MS - 1} AND @now`;

export function createEgressRules({ rows, run, value, named }: Statements) {
  const ownMode = value<[groupId: number], EgressMode | null>('SELECT egress_mode FROM groups WHERE id = ?1');
  return {
    /** `lasting`: the one that counts until it is removed, else the one that ends by itself. */
    find: rows(ruleRow).get<[groupId: number | null, host: string, lasting: boolean]>(
      'SELECT * FROM egress_rules WHERE coalesce(group_id, 0) = coalesce(?1, 0) AND host = ?2 AND (until IS NULL) = ?3',
    ),
    /** One lasting rule for each group and host, and one that ends: a second one replaces it. */
    put: named.rows(ruleRow).get<[rule: Omit<Rule, 'id'> & { now: number }]>(
      `INSERT INTO egress_rules (group_id, host, ports, address, until, created_at) VALUES (@groupId, @host, @ports, @address, @until, @now)
       ON CONFLICT (coalesce(group_id, 0), host, until IS NULL)
       DO UPDATE SET ports = excluded.ports, address = excluded.address, until = excluded.until RETURNING *`,
    ),
    /** What counts in a group: its own rules, then those of all. */
    of: rows(ruleRow).all<[groupId: number, now: number]>(
      `SELECT * FROM egress_rules WHERE (group_id = ?1 OR group_id IS NULL) AND (until IS NULL OR until > ?2)
       ORDER BY group_id IS NULL, id`,
    ),
    /** Rules whose time is over: they count no more, and would stay in the lists. */
    removeEnded: run<[now: number]>('DELETE FROM egress_rules WHERE until <= ?1'),
    all: rows(ruleRow).all<[]>('SELECT * FROM egress_rules ORDER BY id'),
    remove: run<[id: number]>('DELETE FROM egress_rules WHERE id = ?1'),
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
    /** Null: the group has none of its own; undefined: there is no such group. */
    ownMode,
    /** The group's own mode, else the one of the settings. */
    mode(groupId: number, { egressMode }: EgressDefault): EgressMode {
      const own = ownMode(groupId);
      return own === undefined ? 'none' : (own ?? egressMode);
    },
    /** Null: the one of the settings from now on. */
    setMode: run<[groupId: number, mode: EgressMode | null]>('UPDATE groups SET egress_mode = ?2 WHERE id = ?1'),
  };
}
