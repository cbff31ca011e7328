// Who is next, when more waits than can be worked on. In a group and between groups, people come before hooks and hooks before tasks, and nobody
// waits for ever. The bounds, which docs/tasks.md tells:
// - In a container at most two of the three runs are background work (hooks and tasks): one place is people's.
// - A hook that waited a minute, and a task that waited two, count as if a person had come just then. That holds for one of them in each group at
//   a time; the second one of a group waits until no person does.
// - Of several containers one is left to people, and who has one gives it up to those who wait: sandbox/turns.ts.
// Within a kind the order is that of coming. A message waits for its own session as ever: what works there is not interrupted.
import { z } from 'zod';
import { flag, json, type Statements } from '../core/statements.js';
import { type Run, runRow } from '../core/types.js';
import { taskRunInput } from './run-input.js';

/** How long a run of the kind lets others go first, ms, and whether somebody waits for it. */
const KINDS = `(VALUES ('message', 0, 0), ('replay', 0, 0), ('hook', ${60_000}, 1), ('task', ${120_000}, 1))`;
const AFTER_PEOPLE_MS = 86_400_000;

/** Work that no person waits for. */
export const isBackground = ({ kind }: Pick<Run, 'kind'>): boolean => kind === 'hook' || kind === 'task';

/** In a group that is paused, nothing begins. A parked one gets one run at a time once its waiting time is over: the try that finds out whether it is well again. */
const MAY_BEGIN = `NOT EXISTS (SELECT 1 FROM pauses WHERE group_id IN (0, g.id))
    AND (g.parked_class IS NULL OR (g.parked_until <= @now
      AND NOT EXISTS (SELECT 1 FROM runs l WHERE l.state = 'leased' AND l.group_id = g.id)))`;
const LEASE = `UPDATE runs SET state = 'leased', attempt = attempt + 1, handed_attempt = min(handed_attempt, attempt), lease_owner = @holder,
       started_at = @now, error_class = NULL, error = NULL`;

/** The first run of each group and kind that could be claimed now, `r`, as far as `@now` is later than what it waits for. */
const NEXT = `groups g CROSS JOIN ${KINDS} k CROSS JOIN runs r ON r.id = (
    SELECT c.id FROM runs c INDEXED BY runs_next
    WHERE c.state = 'ready' AND c.group_id = g.id AND c.kind = k.column1 AND c.run_at <= @now AND NOT c.dry
      AND NOT EXISTS (SELECT 1 FROM runs l WHERE l.state = 'leased' AND l.session = c.session)
      AND (c.task_id IS NOT NULL OR c.chat_id NOT IN (SELECT chat_id FROM held_chats))
    ORDER BY c.run_at, c.id LIMIT 1)
  WHERE EXISTS (SELECT 1 FROM runs e INDEXED BY runs_next WHERE e.state = 'ready' AND e.group_id = g.id)
    AND ${MAY_BEGIN}`;
const TURN = 'r.run_at + k.column2';

const CANNOT_BE_READ = 'its row cannot be read';

interface Claim {
  holder: string;
  now: number;
  /** Groups that have no place now, and those that have none for background work. */
  excludeGroups: number[];
  noBackground?: number[];
}

export function createFairness({ named, rows, run }: Statements) {
  const next = named.value<[args: Required<Claim>], number>(
    `${LEASE}
     WHERE id = (SELECT id FROM (
       SELECT r.id, min(${TURN} + iif(k.column3 AND EXISTS (SELECT 1 FROM runs w WHERE w.state = 'leased' AND w.group_id = g.id AND NOT w.dry
           AND w.kind IN ('hook', 'task')), ${AFTER_PEOPLE_MS}, 0))
       FROM ${NEXT} AND g.id NOT IN (SELECT value FROM json_each(@excludeGroups))
         AND NOT (k.column3 AND g.id IN (SELECT value FROM json_each(@noBackground)))))
     RETURNING id`,
  );
  const nextDry = named.value<[args: Pick<Claim, 'holder' | 'now'>], number>(
    `${LEASE}
     WHERE id = (
       SELECT r.id FROM runs r INDEXED BY runs_dry JOIN groups g ON g.id = r.group_id
       WHERE r.state = 'ready' AND r.dry = 1 AND r.run_at <= @now AND ${MAY_BEGIN} ORDER BY r.run_at, r.id LIMIT 1)
     RETURNING id`,
  );
  const dryWaits = named.value<[args: { now: number }], number>(
    `SELECT id FROM runs INDEXED BY runs_dry WHERE state = 'ready' AND dry = 1 AND run_at <= @now LIMIT 1`,
  );
  const withInput = rows(runRow.extend({ input: json(taskRunInput).nullable() })).get<[id: number]>(
    'SELECT * FROM runs WHERE id = ?1',
  );
  const setAside = run<[id: number, now: number]>(
    `UPDATE runs SET state = 'dead', lease_owner = NULL, finished_at = ?2, error = '${CANNOT_BE_READ}' WHERE id = ?1`,
  );
  const readable = <Args extends { now: number }>(take: (args: Args) => number | undefined) =>
    function claim(args: Args): Run | undefined {
      for (;;) {
        const id = take(args);
        const claimed = id === undefined ? undefined : withInput(id);
        if (id === undefined || claimed) return claimed;
        // Nobody knows what to do for it: it must not hold up the others.
        setAside(id, args.now);
      }
    };
  const waiter = z.object({ groupId: z.number(), isBackground: flag, turnAt: z.number() });
  return {
    /** Leases the run whose turn it is, at most one per session; counts the attempt. In a chat that the loop guard holds, only tasks go on; in a group that is paused, nothing begins. */
    claim: readable((args: Claim) => next({ noBackground: [], ...args })),
    /** The oldest dry run: each needs a container of its own, whichever its group has. */
    claimDry: readable(nextDry),
    dryWaits: (args: { now: number }): boolean => dryWaits(args) !== undefined,
    /** What could be claimed now, the first of each group and kind; `turnAt`: since when it is its turn. */
    waiting: named
      .rows(waiter)
      .all<[{ now: number }]>(`SELECT g.id AS group_id, k.column3 AS is_background, ${TURN} AS turn_at FROM ${NEXT}`),
  };
}
