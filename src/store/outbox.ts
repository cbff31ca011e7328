// Outgoing messages: one row per message, sent in order per chat, each part of a long one counted.
import { z } from 'zod';
import type { OutboxRow } from '../types.js';
import type { Db } from './index.js';

export type Outbox = ReturnType<typeof createOutbox>;

const ROW = `id, key, chat_id AS chatId, run_id AS runId, text, parts, parts_sent AS partsSent, state, attempt, next_at AS nextAt,
  error, created_at AS createdAt, sent_at AS sentAt`;
type Row = Omit<OutboxRow, 'parts'> & { parts: string | null };
const toRow = (row: Row): OutboxRow => ({
  ...row,
  parts: row.parts === null ? null : z.array(z.string()).parse(JSON.parse(row.parts)),
});

export function createOutbox(db: Db) {
  const insert = db.prepare<{ key: string; chatId: number; runId: number | null; text: string; now: number }>(
    `INSERT INTO outbox (key, chat_id, run_id, text, next_at, created_at) VALUES (@key, @chatId, @runId, @text, @now, @now)
     ON CONFLICT (key) DO NOTHING`,
  );
  const heads = db.prepare<[], Row>(
    `SELECT ${ROW} FROM outbox WHERE id IN (SELECT min(id) FROM outbox WHERE state = 'queued' GROUP BY chat_id)`,
  );
  const setParts = db.prepare<[string, number]>('UPDATE outbox SET parts = ? WHERE id = ?');
  const partSent = db.prepare<[number]>('UPDATE outbox SET parts_sent = parts_sent + 1, attempt = 0 WHERE id = ?');
  const sent = db.prepare<{ id: number; now: number }>(
    `UPDATE outbox SET state = 'sent', sent_at = @now, error = NULL WHERE id = @id`,
  );
  const retry = db.prepare<{ id: number; nextAt: number; counted: number; error: string }>(
    'UPDATE outbox SET attempt = attempt + @counted, next_at = @nextAt, error = @error WHERE id = @id',
  );
  const dead = db.prepare<{ id: number; error: string }>(
    `UPDATE outbox SET state = 'dead', error = @error WHERE id = @id`,
  );
  const list = db.prepare<[number], Row>(`SELECT ${ROW} FROM outbox ORDER BY id DESC LIMIT ?`);
  const ofRun = db.prepare<[number], Row>(`SELECT ${ROW} FROM outbox WHERE run_id = ? ORDER BY id`);
  const queued = db.prepare<[], { n: number }>(`SELECT count(*) AS n FROM outbox WHERE state = 'queued'`);
  return {
    queued: (): number => queued.get()?.n ?? 0,
    /** Queues a message; false when this key was queued before. */
    add: (row: { key: string; chatId: number; runId: number | null; text: string; now: number }): boolean =>
      insert.run(row).changes > 0,
    /** The first unsent message of every chat: the only ones that may be sent now. */
    heads: (): OutboxRow[] => heads.all().map(toRow),
    setParts: (id: number, parts: string[]): void => void setParts.run(JSON.stringify(parts), id),
    partSent: (id: number): void => void partSent.run(id),
    sent: (id: number, now: number): void => void sent.run({ id, now }),
    /** `counted`: whether this try counts towards giving up. */
    retry: (id: number, nextAt: number, counted: boolean, error: string): void =>
      void retry.run({ id, nextAt, counted: counted ? 1 : 0, error }),
    dead: (id: number, error: string): void => void dead.run({ id, error }),
    list: (limit: number): OutboxRow[] => list.all(limit).map(toRow),
    ofRun: (runId: number): OutboxRow[] => ofRun.all(runId).map(toRow),
  };
}
