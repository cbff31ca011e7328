// The lists of the page that join what several modules know: newest first, a page at a time, by row id.
import { z } from 'zod';
import type { Statements } from '../core/statements.js';
import { type Run, runRow } from '../core/types.js';

const listedRun = runRow
  .pick({
    ...{ id: true, kind: true, groupId: true, chatId: true, state: true, attempt: true, error: true, taskId: true },
    ...{ replayOf: true, dry: true },
  })
  .extend({
    /** Asked in the place of its first message: how it begins. */
    prompt: z.string().nullable(),
    createdAt: z.number(),
    startedAt: z.number().nullable(),
    finishedAt: z.number().nullable(),
    folder: z.string(),
    chatTitle: z.string(),
    taskTitle: z.string().nullable(),
    /** How its first message begins. */
    text: z.string().nullable(),
    costMicroUsd: z.number().nullable(),
    calls: z.number(),
  });
export type ListedRun = z.infer<typeof listedRun>;

export interface RunFilter {
  state?: Run['state'] | undefined;
  groupId?: number | undefined;
  taskId?: number | undefined;
  /** Only older ones. */
  before: number;
}

/** `from` names the index: which rows are read does not depend on what SQLite guesses of them. */
const select = (from: string, where: string): string =>
  `SELECT r.id, r.kind, r.group_id, r.chat_id, r.state, r.attempt, r.error, r.task_id, r.created_at, r.started_at, r.finished_at,
     r.replay_of, r.dry, substr(r.prompt, 1, 200) AS prompt,
     g.folder, c.title AS chat_title, t.title AS task_title,
     (SELECT substr(m.text, 1, 200) FROM run_messages q JOIN messages m ON m.id = q.message_id
      WHERE q.run_id = r.id ORDER BY q.message_id LIMIT 1) AS text,
     (SELECT sum(cost_micro_usd) FROM model_calls WHERE run_id = r.id) AS cost_micro_usd,
     (SELECT count(*) FROM model_calls WHERE run_id = r.id) AS calls
   FROM runs r ${from} CROSS JOIN groups g ON g.id = r.group_id CROSS JOIN chats c ON c.id = r.chat_id LEFT JOIN tasks t ON t.id = r.task_id
   WHERE ${where} ORDER BY r.id DESC LIMIT ?2`;

export function createPageLists({ rows, value }: Statements) {
  const runs = rows(listedRun);
  const all = runs.all<[before: number, limit: number]>(select('', 'r.id < ?1'));
  const inState = runs.all<[before: number, limit: number, state: string]>(
    select('INDEXED BY runs_by_state', 'r.id < ?1 AND r.state = ?3'),
  );
  const ofGroup = runs.all<[before: number, limit: number, groupId: number, state: string | null]>(
    select('INDEXED BY runs_of_group', 'r.id < ?1 AND coalesce(r.group_id, 0) = ?3 AND (?4 IS NULL OR r.state = ?4)'),
  );
  const rare = runs.all<[before: number, limit: number, groupId: number, state: string]>(
    select('INDEXED BY runs_by_state', 'r.id < ?1 AND r.group_id = ?3 AND r.state = ?4'),
  );
  const ofTask = runs.all<[before: number, limit: number, taskId: number]>(
    select('INDEXED BY runs_by_task', 'r.id < ?1 AND r.task_id = ?3'),
  );
  return {
    /** Where the conversation of a chat begins. */
    firstMessage: value<[chatId: number], number>('SELECT id FROM messages WHERE chat_id = ?1 ORDER BY id LIMIT 1'),
    /** Newest first. */
    replaysOf: rows(runRow.pick({ id: true, dry: true })).all<[runId: number]>(
      'SELECT id, dry FROM runs INDEXED BY runs_by_replay WHERE replay_of = ?1 ORDER BY id DESC LIMIT 20',
    ),
    runs({ state, groupId, taskId, before }: RunFilter, limit: number): ListedRun[] {
      if (taskId !== undefined) return ofTask(before, limit, taskId);
      if (groupId === undefined) return state ? inState(before, limit, state) : all(before, limit);
      // Nearly all runs are done: among those of the group they are found at once, and the others among those of their state.
      return state && state !== 'done'
        ? rare(before, limit, groupId, state)
        : ofGroup(before, limit, groupId, state ?? null);
    },
  };
}
