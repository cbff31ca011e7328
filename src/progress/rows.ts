// What stands in chats for runs that work: our messages that say how they go on, our reactions. A row as long as it may be there.
import { z } from 'zod';
import type { Statements } from '../core/statements.js';

const progressRow = z.object({
  runId: z.number(),
  kind: z.enum(['message', 'reaction']),
  chatId: z.number(),
  /** Of our message ('' until we know that it was taken), or of the message that we reacted to. */
  platformId: z.string(),
  /** The address of who wrote the message that we reacted to. */
  sender: z.string(),
  /** The newest message of the chat when ours was sent. */
  afterId: z.number(),
  at: z.number(),
});
export type ProgressRow = z.infer<typeof progressRow>;

export function createProgressRows({ rows, run, named, exists, value, values }: Statements) {
  return {
    /** In the place of what stood there before of this kind. */
    put: named.run<[row: Omit<ProgressRow, 'afterId'>]>(
      `INSERT OR REPLACE INTO progress (run_id, kind, chat_id, platform_id, sender, after_id, at)
       VALUES (@runId, @kind, @chatId, @platformId, @sender, coalesce((SELECT max(id) FROM messages WHERE chat_id = @chatId), 0), @at)`,
    ),
    /** The platform took our message. */
    sent: run<[runId: number, platformId: string]>(
      `UPDATE progress SET platform_id = ?2 WHERE run_id = ?1 AND kind = 'message'`,
    ),
    /** What we know of the chat from before our message was sent, newest first. */
    knownBefore: values<[chatId: number, afterId: number], string>(
      'SELECT platform_id FROM messages WHERE chat_id = ?1 AND id <= ?2 ORDER BY id DESC LIMIT 20',
    ),
    get: rows(progressRow).get<[runId: number, kind: ProgressRow['kind']]>(
      'SELECT * FROM progress WHERE run_id = ?1 AND kind = ?2',
    ),
    drop: run<[runId: number, kind: ProgressRow['kind']]>('DELETE FROM progress WHERE run_id = ?1 AND kind = ?2'),
    all: rows(progressRow).all<[]>('SELECT * FROM progress ORDER BY run_id'),
    /** The newest message of the chat. */
    newestIn: value<[chatId: number], number | null>('SELECT max(id) FROM messages WHERE chat_id = ?1'),
    /** Whether this person asked for the run, by a message that may ask. */
    hasAsked: exists<[runId: number, senderId: number]>(
      `SELECT 1 FROM run_messages r JOIN messages m ON m.id = r.message_id
       WHERE r.run_id = ?1 AND m.sender_id = ?2 AND m.intent = 'asked' AND m.may_ask = 1`,
    ),
    /** Whether a final text of the run waits to be sent to its chat. */
    answerWaits: exists<[runId: number]>(
      `SELECT 1 FROM outbox WHERE run_id = ?1 AND state = 'queued' AND key GLOB '*:end:*'`,
    ),
  };
}
