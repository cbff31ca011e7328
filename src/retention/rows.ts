// What is over and may go, table by table, some rows at a time. Each walk goes along the primary key from the oldest row on, so that it needs no
// index and no statement reads more than it is told. What somebody still needs is not over, however old it is.
import { z } from 'zod';
import { flag, json, type Statements } from '../core/statements.js';
import { KEPT_VERSIONS } from '../memory/rows.js';

/** `isOld`: it came before the limit; `isOver`: and it may go. */
const candidate = z.object({ id: z.number(), isOld: flag, isOver: flag });
type Candidate = z.infer<typeof candidate>;

const withMedia = z.object({ folder: z.string(), media: json(z.array(z.object({ fileName: z.string() }))).catch([]) });

/** A table that is walked from its oldest row on. */
export interface Walk {
  name: string;
  /** The next rows after `afterId`. */
  page(afterId: number, before: number, limit: number): Candidate[];
  /** Takes away a row, when it still is over, or at most `rows` of what belongs to it; false when some of it is left. */
  forget(id: number, limits: Limits): boolean;
}

export interface Limits {
  now: number;
  /** What was over before then goes. */
  before: number;
  /** At most so many rows at once. */
  rows: number;
}

export type RetentionRows = ReturnType<typeof createRetentionRows>;

export function createRetentionRows(statements: Statements) {
  const { rows, values, count, exists } = statements;
  return {
    runs: runWalk(statements),
    /** Of no run: those of runs go with them. */
    modelCalls: simpleWalk(statements, walks.modelCalls),
    outbox: simpleWalk(statements, walks.outbox),
    approvals: simpleWalk(statements, walks.approvals, ['DELETE FROM service_bodies WHERE approval_id = @id']),
    memoryVersions: simpleWalk(statements, walks.memoryVersions),
    memoryRestores: simpleWalk(statements, walks.memoryRestores),
    messages: simpleWalk(statements, walks.messages, [REMEMBER]),
    forgotten: simpleWalk(statements, walks.forgotten),
    tasksAfter: values<[id: number, limit: number], number>('SELECT id FROM tasks WHERE id > ?1 ORDER BY id LIMIT ?2'),
    /** Slots of a task that ended before then, oldest first, but never its last ones: tasks that come after it read those. Returns how many went. */
    forgetSlots: count<[taskId: number, before: number, limit: number]>(
      `DELETE FROM slots WHERE task_id = ?1 AND slot_at IN (
         SELECT slot_at FROM slots WHERE task_id = ?1 AND slot_at < ?2 AND state NOT IN ('waiting', 'running') AND coalesce(ended_at, created_at) < ?2
           AND slot_at < (SELECT slot_at FROM slots WHERE task_id = ?1 AND state <> 'skipped' ORDER BY slot_at DESC LIMIT 1)
         ORDER BY slot_at LIMIT ?3)`,
    ),
    ...taintRows(statements),
    ...formerAccounts(statements),
    isCarried: exists<[messageId: number]>(
      `SELECT 1 FROM run_messages c JOIN runs r ON r.id = c.run_id WHERE c.message_id = ?1 AND r.state IN ('ready', 'leased')`,
    ),
    /** What a message had with it, and the group that it was given to. */
    mediaOf: rows(withMedia).get<[messageId: number]>(
      `SELECT g.folder, m.media FROM messages m JOIN chats c ON c.id = m.chat_id JOIN groups g ON g.id = c.group_id WHERE m.id = ?1 AND m.media <> '[]'`,
    ),
    messageExists: exists<[id: number]>('SELECT 1 FROM messages WHERE id = ?1'),
    hasRunIn: exists<[session: string]>('SELECT 1 FROM runs WHERE session = ?1 LIMIT 1'),
  };
}

/** Conditions are written over a table named `t` and its limit `?2`. */
function walkOf(
  { rows, exists }: Statements,
  { table, at, over }: { table: string; at: string; over: string },
): Pick<Walk, 'name' | 'page'> & { isOver(id: number, before: number): boolean } {
  return {
    name: table,
    page: rows(candidate).all<[afterId: number, before: number, limit: number]>(
      `SELECT id, t.${at} < ?2 AS is_old, (t.${at} < ?2 AND ${over}) AS is_over FROM ${table} t WHERE id > ?1 ORDER BY id LIMIT ?3`,
    ),
    isOver: exists<[id: number, before: number]>(`SELECT 1 FROM ${table} t WHERE id = ?1 AND t.${at} < ?2 AND ${over}`),
  };
}

/** A message of Pinch that is on its way, or whose buttons are still to be taken away. */
const UNDER_WAY = `(o.state = 'queued' OR (o.state = 'sent' AND o.buttons_over = 1))`;

/**
 * A run and all that belongs to it. Its messages stay, and must not look as if no run had ever had them: the context of their chat begins
 * after them from then on.
 */
function runWalk(
  statements: Statements,
): Walk & { sessionOf(id: number): { session: string; folder: string } | undefined } {
  const { count, run, rows } = statements;
  const walk = walkOf(statements, {
    table: 'runs',
    at: 'created_at',
    over: `t.state IN ('done', 'dead', 'cancelled') AND coalesce(t.finished_at, t.created_at) < ?2
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.run_id = t.id AND (${UNDER_WAY} OR o.created_at >= ?2))
      AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.run_id = t.id AND a.state IN ('open', 'allowed'))
      AND NOT EXISTS (SELECT 1 FROM slots s WHERE s.run_id = t.id AND s.state IN ('waiting', 'running'))`,
  });
  const chunks = ['events', 'model_calls'].map((table) =>
    count<[id: number, limit: number]>(
      `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} WHERE run_id = ?1 ORDER BY id LIMIT ?2)`,
    ),
  );
  const closeContext = run<[id: number]>(
    `UPDATE chats SET context_after = max(context_after, had.newest)
     FROM (SELECT m.chat_id, max(m.id) AS newest FROM run_messages c JOIN messages m ON m.id = c.message_id WHERE c.run_id = ?1 GROUP BY m.chat_id) AS had
     WHERE chats.id = had.chat_id`,
  );
  const dropMessages = count<[id: number, limit: number]>(
    `DELETE FROM run_messages WHERE run_id = ?1 AND message_id IN (SELECT message_id FROM run_messages WHERE run_id = ?1 LIMIT ?2)`,
  );
  const rest = [
    'DELETE FROM outbox WHERE run_id = ?1',
    'UPDATE messages SET run_id = NULL WHERE run_id = ?1',
    'UPDATE approvals SET run_id = NULL WHERE run_id = ?1',
    'UPDATE slots SET run_id = NULL WHERE run_id = ?1',
    'DELETE FROM runs WHERE id = ?1',
  ].map((sql) => run<[id: number]>(sql));
  return {
    ...walk,
    sessionOf: rows(z.object({ session: z.string(), folder: z.string() })).get<[id: number]>(
      'SELECT r.session, g.folder FROM runs r JOIN groups g ON g.id = r.group_id WHERE r.id = ?1',
    ),
    forget(id, { before, rows: most }) {
      if (!walk.isOver(id, before)) return true;
      if (chunks.some((drop) => drop(id, most) === most)) return false;
      closeContext(id);
      if (dropMessages(id, most) === most) return false;
      for (const drop of rest) drop(id);
      return true;
    },
  };
}

/** A walk whose rows go at once. `first` is done before: what refers to the row, or remembers it; it may name `@now`. */
function simpleWalk(statements: Statements, what: Parameters<typeof walkOf>[1], first: string[] = []): Walk {
  const { isOver, ...walk } = walkOf(statements, what);
  const changes = [...first, `DELETE FROM ${what.table} WHERE id = @id`].map((sql) =>
    statements.named.run<[{ id: number; now: number }]>(sql),
  );
  return {
    ...walk,
    forget(id, { before, now }) {
      if (isOver(id, before)) for (const change of changes) change({ id, now });
      return true;
    },
  };
}

const REMEMBER = `INSERT OR IGNORE INTO forgotten_messages (chat_id, platform_id, forgotten_at)
  SELECT chat_id, platform_id, @now FROM messages WHERE id = @id AND direction = 'in'`;

const walks = {
  modelCalls: { table: 'model_calls', at: 'at', over: 't.run_id IS NULL' },
  outbox: {
    table: 'outbox',
    at: 'created_at',
    over: `t.run_id IS NULL AND t.state <> 'queued' AND NOT (t.state = 'sent' AND t.buttons_over = 1)
      AND max(t.next_at, coalesce(t.sent_at, 0)) < ?2`,
  },
  /** That somebody asked to register a chat stays: each chat may ask once. */
  approvals: {
    table: 'approvals',
    at: 'created_at',
    over: `t.state NOT IN ('open', 'allowed') AND t.kind <> 'register' AND coalesce(t.decided_at, t.created_at) < ?2`,
  },
  /** What no kept run carries and is not half sent. The trigger of the search index takes the terms out. */
  messages: {
    table: 'messages',
    at: 'received_at',
    over: `NOT EXISTS (SELECT 1 FROM run_messages c WHERE c.message_id = t.id)
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = t.outbox_id AND ${UNDER_WAY})`,
  },
  /** The newest of a file stay, however old; of one that was deleted before then, all go. A trigger takes the text along. */
  memoryVersions: {
    table: 'memory_versions',
    at: 'at',
    over: `(EXISTS (SELECT 1 FROM memory_versions n WHERE n.group_id = t.group_id AND n.path = t.path AND n.newest = 1
        AND n.state = 'deleted' AND n.at < ?2)
      OR (SELECT count(*) FROM (SELECT 1 FROM memory_versions n WHERE n.group_id = t.group_id AND n.path = t.path AND n.id > t.id
        LIMIT ${KEPT_VERSIONS})) = ${KEPT_VERSIONS})`,
  },
  memoryRestores: { table: 'memory_restores', at: 'created_at', over: `t.state <> 'waiting'` },
  forgotten: { table: 'forgotten_messages', at: 'forgotten_at', over: 'TRUE' },
};

function taintRows({ rows, run }: Statements) {
  return {
    /** The next sessions after this one. */
    taintsAfter: rows(z.object({ session: z.string(), isOver: flag })).all<
      [session: string, before: number, limit: number]
    >(
      `SELECT session, (seen_at < ?2 AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.session = t.session) AND NOT EXISTS (SELECT 1 FROM chats c
         WHERE c.id = CAST(substr(t.session, 5) AS INTEGER) AND t.session = 'chat' || c.id || '-' || c.session_number)) AS is_over
       FROM taints t WHERE session > ?1 ORDER BY session LIMIT ?3`,
    ),
    forgetTaint: run<[session: string]>('DELETE FROM taints WHERE session = ?1'),
  };
}

/** What a channel put aside when its account was linked anew: under its name and the time of that. */
function formerAccounts({ value, count }: Statements) {
  return {
    /** The next channel with rows, by its name. */
    channelAfter: value<[name: string], string>(
      'SELECT channel FROM channel_auth WHERE channel > ?1 ORDER BY channel LIMIT 1',
    ),
    /** Returns how many rows went. */
    forgetAccount: count<[channel: string, limit: number]>(
      `DELETE FROM channel_auth WHERE (channel, kind, id) IN (SELECT channel, kind, id FROM channel_auth WHERE channel = ?1 LIMIT ?2)`,
    ),
  };
}
