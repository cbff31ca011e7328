// Outgoing messages: one row per message, sent in order per chat, each part of a long one counted.
import { type OutboxRow, outboxRow } from '../types.js';
import type { Statements } from './statements.js';

export interface NewOutboxRow {
  key: string;
  chatId: number;
  runId: number | null;
  text: string;
  file?: OutboxRow['file'] | undefined;
  now: number;
}

export function createOutbox({ run, all, value }: Statements) {
  const queued = value<[], number>(`SELECT count(*) FROM outbox WHERE state = 'queued'`);
  const add = run<[message: NewOutboxRow]>(
    `INSERT INTO outbox (key, chat_id, run_id, text, file, next_at, created_at)
     VALUES (@key, @chatId, @runId, @text, @file, @now, @now) ON CONFLICT (key) DO NOTHING`,
  );
  return {
    /** Queues a message; false when this key was queued before. */
    add: (message: NewOutboxRow): boolean => add({ file: undefined, ...message }),
    /** The first unsent message of every chat: the only ones that may be sent now. */
    heads: all<[], OutboxRow>(
      `SELECT * FROM outbox WHERE id IN (SELECT min(id) FROM outbox WHERE state = 'queued' GROUP BY chat_id)`,
      outboxRow,
    ),
    setParts: run<[id: number, parts: string[]]>('UPDATE outbox SET parts = ?2 WHERE id = ?1'),
    partSent: run<[id: number]>('UPDATE outbox SET parts_sent = parts_sent + 1, attempt = 0 WHERE id = ?1'),
    sent: run<[id: number, now: number]>(`UPDATE outbox SET state = 'sent', sent_at = ?2, error = NULL WHERE id = ?1`),
    /** `counted`: whether this try counts towards giving up. */
    retry: run<[id: number, nextAt: number, counted: boolean, error: string]>(
      'UPDATE outbox SET next_at = ?2, attempt = attempt + ?3, error = ?4 WHERE id = ?1',
    ),
    dead: run<[id: number, error: string]>(`UPDATE outbox SET state = 'dead', error = ?2 WHERE id = ?1`),
    queued: (): number => queued() ?? 0,
    list: all<[limit: number], OutboxRow>(`SELECT * FROM outbox ORDER BY id DESC LIMIT ?1`, outboxRow),
    ofRun: all<[runId: number], OutboxRow>(`SELECT * FROM outbox WHERE run_id = ?1 ORDER BY id`, outboxRow),
  };
}
