// The run queue: enqueue, claim under a lease, finish, fail, cancel. State changes only; what to do next is the caller's.
// A claim counts the attempt; everything after it is guarded by lease holder and attempt, so a worker that lost its
// lease changes nothing.
import { z } from 'zod';
import { json, type Statements } from '../core/statements.js';
import { type Run, runRow, runState } from '../core/types.js';
import type { ErrorClass } from '../wire.js';
import { createAttach } from './attach.js';
import { createFairness } from './fair.js';
import { type TaskRunInput, taskRunInput } from './run-input.js';

/**
 * A run may be what kills the host: it is dead when the host died twelve times in a row while a runner had it. How long it waits, ms, after
 * the first time, the second and so on: meanwhile others work, and a host that dies all the same acquits it. So a run that is not at fault
 * waits about as long as the host lives, and is never dead for that. Such attempts count here alone: how often a run may fail is decided
 * in retry.ts by the others.
 */
const CUT_OFF_PAUSES_MS = [0, 0, 5, 10, 20, 40, 60, 60, 60, 60, 60].map((seconds) => seconds * 1_000);
const MAX_CUT_OFFS = CUT_OFF_PAUSES_MS.length + 1;
const CUT_OFFS_AT_ONCE = CUT_OFF_PAUSES_MS.indexOf(5_000);
/** Those that were cut off together wait so much longer one after the other: tried side by side, one would take the others along. */
const APART_MS = 10_000;

/** A new run waits no longer than that for the rest of an album, or for further corrections. */
const SETTLING_MS = 20_000;
/** Platforms that do not say how many pictures an album has send them at once, in one answer or two. */
export const NEXT_PART_MS = 1_500;
/** After a start, the rest of an album may still have to be fetched from its platform. */
const REST_OF_ALBUM_MS = 10_000;

/** The right to change a leased run: who holds it, for which attempt. */
export interface LeaseRef {
  id: number;
  holder: string;
  attempt: number;
}

interface NewRun
  extends Pick<Run, 'key' | 'kind' | 'groupId' | 'chatId' | 'session' | 'runAt'>,
    Partial<Pick<Run, 'replayOf' | 'dry' | 'model' | 'prompt' | 'reportChat'>> {
  now: number;
  taskId?: number | null;
  input?: TaskRunInput | null | undefined;
}

export function createRuns(statements: Statements) {
  return {
    ...createEnqueue(statements),
    ...createAttach(statements),
    ...createFairness(statements),
    ...createLeases(statements),
    ...createCancel(statements),
    ...createTold(statements),
    ...createRunQueries(statements),
  };
}

const NO_REPLAY = { replayOf: null, dry: false, model: null, prompt: null, reportChat: null };

function createEnqueue({ rows, run, value, values, named }: Statements) {
  const enqueue = named.value<[row: NewRun], number>(
    `INSERT INTO runs (key, kind, group_id, chat_id, session, run_at, created_at, task_id, input, replay_of, dry, model, prompt, report_chat)
     VALUES (@key, @kind, @groupId, @chatId, @session, @runAt, @now, @taskId, @input, @replayOf, @dry, @model, @prompt, @reportChat)
     ON CONFLICT (key) DO NOTHING RETURNING id`,
  );
  const inputOf = rows(z.object({ input: json(taskRunInput).nullable() })).get<[id: number]>(
    'SELECT input FROM runs WHERE id = ?1',
  );
  return {
    /** Returns the new run's id, or undefined when the key exists: the second insert is a no-op. */
    enqueue: (row: NewRun): number | undefined => enqueue({ ...NO_REPLAY, taskId: null, input: null, ...row }),
    /** What a run that nobody asked for just now works with. */
    input: (id: number): TaskRunInput | undefined => inputOf(id)?.input ?? undefined,
    /** Gives the run this message alone, with what its sender sent as one with it. */
    attachMessage: run<[runId: number, messageId: number]>(
      `INSERT INTO run_messages (run_id, message_id)
       SELECT ?1, m.id FROM messages m WHERE m.direction = 'in' AND m.id IN (SELECT ?2 UNION SELECT p.id FROM messages q
           JOIN messages p ON p.chat_id = q.chat_id AND p.album = q.album AND p.sender_id = q.sender_id
           WHERE q.id = ?2 AND p.id < ?2 AND p.album IS NOT NULL)
         AND NOT EXISTS (SELECT 1 FROM run_messages r WHERE r.message_id = m.id)`,
    ),
    copyMessages: run<[from: number, to: number]>(
      `INSERT OR IGNORE INTO run_messages (run_id, message_id, left_out)
       SELECT ?2, message_id, left_out FROM run_messages WHERE run_id = ?1`,
    ),
    moveMessages: run<[from: number, to: number, messageIds: number[]]>(
      `UPDATE run_messages SET run_id = ?2, handed = 0
       WHERE run_id = ?1 AND message_id IN (SELECT value FROM json_each(?3))`,
    ),
    /** Messages of the run that no runner was given, oldest first. */
    messagesNotHanded: values<[runId: number], number>(
      'SELECT message_id FROM run_messages WHERE run_id = ?1 AND handed = 0 ORDER BY message_id',
    ),
    /**
     * Somebody waits for a run that waits: one that failed is tried again, and a new one waits until `settledAt` for what belongs to its
     * messages, but not for long. Whoever says nothing leaves a new one as it is.
     */
    makeDue: run<[id: number, now: number, settledAt: number | null]>(
      `UPDATE runs SET run_at = CASE
         WHEN started_at IS NOT NULL THEN min(run_at, coalesce(?3, ?2))
         WHEN ?3 <= ?2 THEN min(run_at, ?2)
         ELSE min(max(run_at, coalesce(min(?3, created_at + ${SETTLING_MS}), 0)), ?2 + ${SETTLING_MS}) END
       WHERE id = ?1 AND state = 'ready' AND cut_offs <= ${CUT_OFFS_AT_ONCE}`,
    ),
    /** Those whose chats know of an outage are tried again at once: what was away may be there now. */
    retryOutages: run<[now: number]>(
      `UPDATE runs SET run_at = min(run_at, ?1)
       WHERE outage_told_at IS NOT NULL AND state = 'ready' AND cut_offs <= ${CUT_OFFS_AT_ONCE}`,
    ),
    /** What this run alone may cost; null as the settings say. */
    limitOf: value<[id: number], number | null>('SELECT raised_to_micro_usd FROM runs WHERE id = ?1'),
    setLimit: run<[id: number, microUsd: number]>('UPDATE runs SET raised_to_micro_usd = ?2 WHERE id = ?1'),
    /** Who else than its chat is told how it ends; null: nobody. */
    reportTo: run<[id: number, chatId: number | null]>('UPDATE runs SET report_chat = ?2 WHERE id = ?1'),
    /** A dead or cancelled run starts over; false when it is neither. */
    revive: run<[id: number, now: number]>(
      `UPDATE runs SET state = 'ready', attempt = 0, handed_attempt = 0, attempts_lost = 0, cut_offs = 0, run_at = ?2,
         cancel_requested = 0, finished_at = NULL, interrupted = 0, outage_told_at = NULL, error_class = NULL, error = NULL
       WHERE id = ?1 AND state IN ('dead', 'cancelled')`,
    ),
  };
}

function createLeases({ run, rows, named }: Statements) {
  const mine = `WHERE id = @id AND state = 'leased' AND lease_owner = @holder AND attempt = @attempt`;
  const end = named.run<[LeaseRef & Pick<Run, 'state' | 'errorClass' | 'error'> & { now: number }]>(
    `UPDATE runs SET state = @state, finished_at = @now, lease_owner = NULL, interrupted = 0,
       error_class = @errorClass, error = @error ${mine}`,
  );
  // An interruption is forgotten once a runner has gone on with the run.
  const giveBack = named.run<[LeaseRef & Failed & { runAt: number; counted: boolean; interrupted: boolean }]>(
    `UPDATE runs SET state = 'ready', run_at = @runAt, attempt = attempt - 1 + @counted, cut_offs = 0, lease_owner = NULL,
       interrupted = iif(@interrupted, 1, iif(handed_attempt = attempt, 0, interrupted)),
       error_class = @errorClass, error = @error ${mine}`,
  );
  const handOver = run<[id: number]>('UPDATE runs SET handed_attempt = attempt WHERE id = ?1');
  const handMessages = run<[id: number, messageIds: number[]]>(
    `UPDATE run_messages SET handed = 1 WHERE run_id = ?1 AND message_id IN (SELECT value FROM json_each(?2))`,
  );
  const wasHanded = '(handed_attempt = attempt)';
  const pauseMs = `iif(${wasHanded}, coalesce(json_extract('${JSON.stringify(CUT_OFF_PAUSES_MS)}', '$[' || cut_offs || ']'), 0), 0)`;
  const isPoison = `(${wasHanded} AND cut_offs + 1 >= ${MAX_CUT_OFFS})`;
  const release = rows(runRow).all<[owner: string, now: number]>(
    `UPDATE runs SET lease_owner = NULL, run_at = ?2 + ${pauseMs},
       attempt = attempt - (handed_attempt < attempt), attempts_lost = attempts_lost + ${wasHanded},
       cut_offs = iif(${wasHanded}, cut_offs + 1, 0), interrupted = 1,
       state = CASE WHEN cancel_requested THEN 'cancelled' WHEN ${isPoison} THEN 'dead' ELSE 'ready' END,
       finished_at = CASE WHEN cancel_requested OR ${isPoison} THEN ?2 END
     WHERE state = 'leased' AND lease_owner <> ?1 RETURNING *`,
  );
  const awaitAlbums = run<[now: number]>(
    `UPDATE runs SET run_at = max(run_at, ?1 + ${REST_OF_ALBUM_MS}) WHERE state = 'ready' AND kind = 'message'
       AND EXISTS (SELECT 1 FROM run_messages c JOIN messages m ON m.id = c.message_id WHERE c.run_id = runs.id AND m.album IS NOT NULL)`,
  );
  const acquitWaiting = run<[now: number]>(
    `UPDATE runs SET cut_offs = 0, run_at = min(run_at, ?1) WHERE state = 'ready' AND cut_offs > 0`,
  );
  const postpone = run<[id: number, ms: number]>('UPDATE runs SET run_at = run_at + ?2 WHERE id = ?1');
  return {
    finish: (lease: LeaseRef, state: 'done' | 'cancelled', now: number): boolean =>
      end({ ...lease, state, now, errorClass: null, error: null }),
    /** Back to ready. `counted: false` refunds the attempt: the failure was not the run's. `interrupted`: Pinch ends. */
    giveBack: (
      lease: LeaseRef,
      { interrupted = false, ...how }: Failed & { runAt: number; counted: boolean; interrupted?: boolean },
    ): boolean => giveBack({ ...lease, ...how, interrupted }),
    /** Out of attempts. */
    dead: (lease: LeaseRef, how: Failed & { now: number }): boolean => end({ ...lease, ...how, state: 'dead' }),
    /** A runner has the run now, in this attempt, with these messages. */
    handOver(id: number, messageIds: number[]): void {
      handOver(id);
      handMessages(id, messageIds);
    },
    /** The run made progress: deaths of the host are counted anew from now on. */
    progressed: run<[id: number]>('UPDATE runs SET cut_offs = 0 WHERE id = ?1'),
    /**
     * Takes back the leases of processes that are gone (only one process may use a home, so every other holder is). An attempt in which no
     * runner had the run does not count; one during which the host died too often in a row is dead. Call it in a transaction.
     */
    releaseForeignLeases(holder: string, now: number): Run[] {
      acquitWaiting(now);
      const released = release(holder, now);
      const suspects = released.filter(({ state, cutOffs }) => state === 'ready' && cutOffs > CUT_OFFS_AT_ONCE);
      for (const [index, { id }] of suspects.entries()) postpone(id, index * APART_MS);
      awaitAlbums(now);
      return released;
    },
  };
}

interface Failed {
  errorClass: ErrorClass;
  error: string;
}

export interface Cancelled {
  running: number[];
  waiting: number;
}

function createCancel({ run, values, count }: Statements) {
  /** `known`: where the index is known that finds what waits and what works; else SQLite chooses. */
  const cancelOf = (mine: string, [waiting, working]: readonly [string, string] = ['', '']) => ({
    ready: count<[id: number, session: string | null, now: number]>(
      `UPDATE runs ${waiting} SET state = 'cancelled', finished_at = ?3 WHERE state = 'ready' AND ${mine}`,
    ),
    leased: values<[id: number, session: string | null], number>(
      `UPDATE runs ${working} SET cancel_requested = 1 WHERE state = 'leased' AND ${mine} RETURNING id`,
    ),
  });
  // Of all runs of a chat or a task, only those that are open: SQLite would look at years of them.
  const ofNow = ['INDEXED BY runs_due', 'INDEXED BY one_leased_run_per_session'] as const;
  const ofChat = cancelOf('chat_id = ?1 AND (?2 IS NULL OR session = ?2)', ofNow);
  const one = cancelOf('id = ?1 AND ?2 IS NULL');
  return {
    /** Nothing that works now may be tried again. */
    requestCancelAll: run<[]>(`UPDATE runs SET cancel_requested = 1 WHERE state = 'leased'`),
    /** Cancels what waits of a task; what works goes on. */
    cancelOfTask: run<[taskId: number, now: number]>(
      `UPDATE runs INDEXED BY runs_due SET state = 'cancelled', finished_at = ?2 WHERE state = 'ready' AND task_id = ?1`,
    ),
    /** Cancels what waits in the chat, in one session or (null) in all, and marks what runs; returns the ids that must now be aborted, and how many waited. */
    cancel: (chatId: number, session: string | null, now: number): Cancelled => ({
      waiting: ofChat.ready(chatId, session, now),
      running: ofChat.leased(chatId, session),
    }),
    /** The same of one run. */
    cancelRun: (id: number, now: number): Cancelled => ({
      waiting: one.ready(id, null, now),
      running: one.leased(id, null),
    }),
  };
}

function createTold({ run, value, rows }: Statements) {
  const told = z.object({ id: z.number(), chatId: z.number(), state: runState });
  return {
    /** Notes that the run's chat is told of a restart now; false where it is not to be: it knows since `since`, or of worse. */
    restartTold: run<[id: number, now: number, since: number]>(
      `UPDATE runs SET restart_told_at = ?2 WHERE id = ?1 AND state = 'leased' AND cancel_requested = 0
         AND NOT dry AND outage_told_at IS NULL AND coalesce(restart_told_at, 0) <= ?3`,
    ),
    /** Notes that the run's chat is told of an outage now, and returns it; undefined where it knows, or nobody waits there. */
    outageTold: value<[id: number, now: number], number>(
      `UPDATE runs SET outage_told_at = ?2 WHERE id = ?1 AND state IN ('ready', 'leased') AND cancel_requested = 0
         AND task_id IS NULL AND NOT dry AND outage_told_at IS NULL RETURNING chat_id`,
    ),
    /** The runs whose chats know of an outage; from now on they know of none. */
    outageOver: rows(told).all<[]>(
      'UPDATE runs SET outage_told_at = NULL WHERE outage_told_at IS NOT NULL RETURNING id, chat_id, state',
    ),
  };
}

function createRunQueries({ rows, value, values }: Statements) {
  const active = rows(z.object({ working: z.number(), waiting: z.number() })).get<[session: string]>(
    `SELECT count(*) FILTER (WHERE state = 'leased') AS working, count(*) FILTER (WHERE state = 'ready') AS waiting
     FROM runs INDEXED BY runs_open WHERE session = ?1 AND state IN ('ready', 'leased')`,
  );
  const counts = rows(z.object({ state: runState, n: z.number() })).all<[]>('SELECT * FROM run_counts WHERE n > 0');
  // In a group that is parked until later, its earliest run counts, else the earliest that is not due yet.
  const nextDueAt = value<[now: number], number | null>(
    `SELECT min(max(coalesce(g.parked_until, 0), (SELECT min(r.run_at) FROM runs r WHERE r.state = 'ready' AND r.group_id = g.id
       AND r.run_at > iif(g.parked_until > ?1, -1, ?1)))) FROM groups g`,
  );
  const leased = values<[groupId: number, dryRun: number], number>(
    `SELECT id FROM runs WHERE group_id = ?1 AND state = 'leased' AND iif(dry, id, 0) = ?2`,
  );
  const newest = rows(runRow).all<[limit: number]>('SELECT * FROM runs ORDER BY id DESC LIMIT ?1');
  const newestIn = rows(runRow).all<[state: Run['state'], limit: number]>(
    'SELECT * FROM runs WHERE state = ?1 ORDER BY id DESC LIMIT ?2',
  );
  return {
    get: rows(runRow).get<[id: number]>('SELECT * FROM runs WHERE id = ?1'),
    /** Newest first. */
    list: (state: Run['state'] | null, limit: number): Run[] => (state ? newestIn(state, limit) : newest(limit)),
    /** What waits or works in this chat. */
    openOfChat: rows(runRow).all<[chatId: number]>(
      `SELECT * FROM runs INDEXED BY runs_open WHERE chat_id = ?1 AND state IN ('ready', 'leased')`,
    ),
    /** Newest first. */
    ofGroup: rows(runRow).all<[groupId: number, limit: number]>(
      'SELECT * FROM runs WHERE coalesce(group_id, 0) = ?1 ORDER BY id DESC LIMIT ?2',
    ),
    /** Newest first. */
    ofChat: rows(runRow).all<[chatId: number, limit: number]>(
      'SELECT * FROM runs INDEXED BY runs_by_chat WHERE chat_id = ?1 ORDER BY id DESC LIMIT ?2',
    ),
    /** Those that work in the container of a group, or in that of a dry run. */
    leasedOf: (groupId: number, dryRun = 0): number[] => leased(groupId, dryRun),
    /** The message run of this session that waits or works: it takes later messages in. One that is being stopped does not. */
    openMessageRun: rows(runRow).get<[session: string]>(
      `SELECT * FROM runs INDEXED BY runs_open WHERE session = ?1 AND kind = 'message' AND state IN ('ready', 'leased')
         AND cancel_requested = 0 ORDER BY id LIMIT 1`,
    ),
    activeOfSession: (session: string) => active(session) ?? { working: 0, waiting: 0 },
    groupsWithDueRuns: values<[now: number], number>(
      `SELECT g.id FROM groups g WHERE EXISTS (SELECT 1 FROM runs r WHERE r.state = 'ready' AND r.group_id = g.id AND r.run_at <= ?1)`,
    ),
    /** When the next run that is not due yet becomes due; undefined when there is none. */
    nextDueAt: (now: number): number | undefined => nextDueAt(now) ?? undefined,
    counts: (): Partial<Record<Run['state'], number>> => Object.fromEntries(counts().map((row) => [row.state, row.n])),
  };
}
