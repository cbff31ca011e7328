// The run queue: enqueue, claim under a lease, finish, fail, cancel. State changes only; what to do next is the caller's.
// A claim counts the attempt; everything after it is guarded by lease owner and attempt, so a worker that lost its
// lease changes nothing.
import type { Run, RunState } from '../types.js';
import type { ErrorClass } from '../wire.js';
import type { Db } from './index.js';

export type Runs = ReturnType<typeof createRuns>;

const RUN = `id, key, kind, group_id AS groupId, chat_id AS chatId, session, state, attempt, run_at AS runAt,
  lease_owner AS leaseOwner, lease_expires_at AS leaseExpiresAt, cancel_requested AS cancelRequested,
  error_class AS errorClass, error, created_at AS createdAt, started_at AS startedAt, finished_at AS finishedAt`;

/** A run that was cut off this often may be what kills the host. */
const MAX_CUT_OFF = 12;

/** The right to change a leased run: who holds it, for which attempt. */
export interface LeaseRef {
  id: number;
  owner: string;
  attempt: number;
}

export interface NewRun {
  key: string;
  kind: Run['kind'];
  groupId: number;
  chatId: number;
  session: string;
  runAt: number;
  now: number;
}

export function createRuns(db: Db) {
  return { ...createEnqueue(db), ...createLeases(db), ...createCancel(db), ...createRunQueries(db) };
}

function createEnqueue(db: Db) {
  const insert = db.prepare<NewRun, { id: number }>(
    `INSERT INTO runs (key, kind, group_id, chat_id, session, run_at, created_at)
     VALUES (@key, @kind, @groupId, @chatId, @session, @runAt, @now) ON CONFLICT (key) DO NOTHING RETURNING id`,
  );
  const attach = db.prepare<{ runId: number; chatId: number; upTo: number }>(
    `INSERT INTO run_messages (run_id, message_id)
     SELECT @runId, m.id FROM messages m JOIN chats c ON c.id = m.chat_id
     WHERE m.chat_id = @chatId AND m.direction = 'in' AND m.command = 0 AND m.id <= @upTo AND m.id > c.context_after
       AND NOT EXISTS (SELECT 1 FROM run_messages r WHERE r.message_id = m.id)`,
  );
  const copyMessages = db.prepare<{ from: number; to: number }>(
    'INSERT OR IGNORE INTO run_messages (run_id, message_id) SELECT @to, message_id FROM run_messages WHERE run_id = @from',
  );
  const detach = db.prepare<{ runId: number; messageId: number }>(
    'DELETE FROM run_messages WHERE run_id = @runId AND message_id = @messageId',
  );
  const bringForward = db.prepare<{ id: number; now: number }>(
    `UPDATE runs SET run_at = min(run_at, @now) WHERE id = @id AND state = 'ready'`,
  );
  const revive = db.prepare<{ id: number; now: number }>(
    `UPDATE runs SET state = 'ready', attempt = 0, run_at = @now, cancel_requested = 0, finished_at = NULL
     WHERE id = @id AND state IN ('dead', 'cancelled')`,
  );
  return {
    /** Returns the new run's id, or undefined when the key exists: the second insert is a no-op. */
    enqueue: (run: NewRun): number | undefined => insert.get(run)?.id,
    /** Gives the run every message of the chat up to `upTo` that no run carries yet; returns how many. */
    attachMessages: (runId: number, chatId: number, upTo: number): number =>
      attach.run({ runId, chatId, upTo }).changes,
    copyMessages: (from: number, to: number): void => void copyMessages.run({ from, to }),
    detachMessage: (runId: number, messageId: number): void => void detach.run({ runId, messageId }),
    bringForward: (id: number, now: number): void => void bringForward.run({ id, now }),
    /** A dead or cancelled run starts over; false when it is neither. */
    revive: (id: number, now: number): boolean => revive.run({ id, now }).changes > 0,
  };
}

function createLeases(db: Db) {
  // A parked group gets one run at a time once its waiting time is over: the try that finds out whether it is well again.
  const claim = db.prepare<{ owner: string; now: number; expires: number; exclude: string }, Run>(
    `UPDATE runs SET state = 'leased', attempt = attempt + 1, lease_owner = @owner, lease_expires_at = @expires, started_at = @now
     WHERE id = (
       SELECT r.id FROM runs r JOIN groups g ON g.id = r.group_id
       WHERE r.state = 'ready' AND r.run_at <= @now
         AND r.group_id NOT IN (SELECT value FROM json_each(@exclude))
         AND r.session NOT IN (SELECT session FROM runs WHERE state = 'leased')
         AND (g.parked_class IS NULL OR (g.parked_until <= @now
           AND NOT EXISTS (SELECT 1 FROM runs l WHERE l.state = 'leased' AND l.group_id = r.group_id)))
       ORDER BY r.run_at, r.id LIMIT 1)
     RETURNING ${RUN}`,
  );
  const mine = `WHERE id = @id AND state = 'leased' AND lease_owner = @owner AND attempt = @attempt`;
  const finish = db.prepare<LeaseRef & { state: RunState; now: number }>(
    `UPDATE runs SET state = @state, finished_at = @now, lease_owner = NULL, lease_expires_at = NULL, error_class = NULL, error = NULL ${mine}`,
  );
  const giveBack = db.prepare<LeaseRef & { runAt: number; counted: number; errorClass: ErrorClass; error: string }>(
    `UPDATE runs SET state = 'ready', run_at = @runAt, attempt = attempt - 1 + @counted, lease_owner = NULL,
       lease_expires_at = NULL, error_class = @errorClass, error = @error ${mine}`,
  );
  const bury = db.prepare<LeaseRef & { now: number; errorClass: ErrorClass; error: string }>(
    `UPDATE runs SET state = 'dead', finished_at = @now, lease_owner = NULL, lease_expires_at = NULL,
       error_class = @errorClass, error = @error ${mine}`,
  );
  const renew = db.prepare<{ owner: string; expires: number }>(
    `UPDATE runs SET lease_expires_at = @expires WHERE state = 'leased' AND lease_owner = @owner`,
  );
  const release = db.prepare<{ owner: string; now: number }, { id: number; state: RunState }>(
    `UPDATE runs SET lease_owner = NULL, lease_expires_at = NULL, run_at = @now,
       state = CASE WHEN cancel_requested THEN 'cancelled' WHEN attempt >= ${MAX_CUT_OFF} THEN 'dead' ELSE 'ready' END,
       finished_at = CASE WHEN cancel_requested OR attempt >= ${MAX_CUT_OFF} THEN @now END
     WHERE state = 'leased' AND lease_owner <> @owner RETURNING id, state`,
  );
  return {
    /** Leases the oldest due run outside `excludeGroups`, at most one per session; counts the attempt. */
    claim: (args: { owner: string; now: number; leaseMs: number; excludeGroups: number[] }): Run | undefined =>
      claim.get({
        owner: args.owner,
        now: args.now,
        expires: args.now + args.leaseMs,
        exclude: JSON.stringify(args.excludeGroups),
      }),
    finish: (lease: LeaseRef, state: 'done' | 'cancelled', now: number): boolean =>
      finish.run({ ...lease, state, now }).changes > 0,
    /** Back to ready. `counted: false` refunds the attempt: the failure was not the run's. */
    giveBack: (
      lease: LeaseRef,
      args: { runAt: number; counted: boolean; errorClass: ErrorClass; error: string },
    ): boolean => giveBack.run({ ...lease, ...args, counted: args.counted ? 1 : 0 }).changes > 0,
    /** Out of attempts. */
    bury: (lease: LeaseRef, args: { now: number; errorClass: ErrorClass; error: string }): boolean =>
      bury.run({ ...lease, ...args }).changes > 0,
    renewLeases: (owner: string, expires: number): void => void renew.run({ owner, expires }),
    /** Takes back the leases of processes that are gone (only one process may use a home, so every other owner is). */
    releaseForeignLeases: (owner: string, now: number): { id: number; state: RunState }[] =>
      release.all({ owner, now }),
  };
}

function createCancel(db: Db) {
  const cancelReady = db.prepare<{ scope: string; now: number }>(
    `UPDATE runs SET state = 'cancelled', finished_at = @now WHERE state = 'ready' AND session = @scope`,
  );
  const requestCancel = db.prepare<{ scope: string }, { id: number }>(
    `UPDATE runs SET cancel_requested = 1 WHERE state = 'leased' AND session = @scope RETURNING id`,
  );
  const requestCancelAll = db.prepare<[]>(`UPDATE runs SET cancel_requested = 1 WHERE state = 'leased'`);
  return {
    /** Nothing that works now may be tried again. */
    requestCancelAll: (): void => void requestCancelAll.run(),
    /** Cancels what waits in the session and marks what runs; returns the ids that run and must now be aborted, and how many waited. */
    cancelSession(session: string, now: number): { running: number[]; waiting: number } {
      const waiting = cancelReady.run({ scope: session, now }).changes;
      return { running: requestCancel.all({ scope: session }).map((row) => row.id), waiting };
    },
  };
}

function createRunQueries(db: Db) {
  const byId = db.prepare<[number], Run>(`SELECT ${RUN} FROM runs WHERE id = ?`);
  const list = db.prepare<{ state: string | null; limit: number }, Run>(
    `SELECT ${RUN} FROM runs WHERE @state IS NULL OR state = @state ORDER BY id DESC LIMIT @limit`,
  );
  const open = db.prepare<[string], Run>(
    `SELECT ${RUN} FROM runs WHERE session = ? AND kind = 'message' AND state IN ('ready', 'leased') ORDER BY id LIMIT 1`,
  );
  const active = db.prepare<[string], { working: number; waiting: number }>(
    `SELECT count(*) FILTER (WHERE state = 'leased') AS working, count(*) FILTER (WHERE state = 'ready') AS waiting
     FROM runs WHERE session = ? AND state IN ('ready', 'leased')`,
  );
  const due = db.prepare<[number], { groupId: number }>(
    `SELECT DISTINCT group_id AS groupId FROM runs WHERE state = 'ready' AND run_at <= ?`,
  );
  const next = db.prepare<{ now: number }, { at: number | null }>(
    `SELECT min(max(r.run_at, coalesce(g.parked_until, 0))) AS at FROM runs r JOIN groups g ON g.id = r.group_id
     WHERE r.state = 'ready' AND max(r.run_at, coalesce(g.parked_until, 0)) > @now`,
  );
  const counts = db.prepare<[], { state: RunState; n: number }>('SELECT state, count(*) AS n FROM runs GROUP BY state');
  return {
    get: (id: number): Run | undefined => byId.get(id),
    /** Newest first. */
    list: (state: RunState | null, limit: number): Run[] => list.all({ state, limit }),
    /** The message run of this session that waits or works: it takes later messages in. */
    openMessageRun: (session: string): Run | undefined => open.get(session),
    activeOfSession: (session: string): { working: number; waiting: number } =>
      active.get(session) ?? { working: 0, waiting: 0 },
    groupsWithDueRuns: (now: number): number[] => due.all(now).map((row) => row.groupId),
    /** When the next run that is not due yet becomes due; undefined when there is none. */
    nextDueAt: (now: number): number | undefined => next.get({ now })?.at ?? undefined,
    counts: (): Partial<Record<RunState, number>> => Object.fromEntries(counts.all().map((row) => [row.state, row.n])),
  };
}
