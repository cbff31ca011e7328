// Where a message, what it answers and what was sent with it are worked on, or were.
import { z } from 'zod';
import { flag, type Statements } from '../core/statements.js';

const albumRun = z.object({ session: z.string(), asked: flag, isOpen: flag });

const asked = z.object({ platformId: z.string(), sender: z.string(), text: z.string() });

export function createWorkedOn({ rows, value, exists }: Statements) {
  const askedBy = rows(asked).get<[runId: number]>(
    `SELECT m.platform_id, m.text, s.address AS sender FROM run_messages r JOIN messages m ON m.id = r.message_id
     JOIN senders s ON s.id = m.sender_id JOIN runs ON runs.id = r.run_id AND runs.chat_id = m.chat_id
     WHERE r.run_id = ?1 AND m.intent = 'asked' ORDER BY r.message_id DESC LIMIT 1`,
  );
  return {
    /** The newest message by which somebody asked for the run, as its platform knows it, and the address of who wrote it. */
    askedBy(runId: number): z.infer<typeof asked> | undefined {
      const message = askedBy(runId);
      return message && { ...message, platformId: message.platformId.replace(/#\d+#[\w-]{10}$/, '') };
    },
    /**
     * The session, begun by a task, of the run that message `id` answers: it quotes what the run sent, or it is the first word after the run's question.
     * Undefined when it answers none, or one that works in the chat's own session.
     */
    answeredSession: value<[chatId: number, id: number, quoted: string | null], string>(
      `SELECT r.session FROM messages m JOIN runs r ON r.id = m.run_id
       WHERE m.chat_id = ?1 AND m.direction = 'out' AND r.session LIKE 'task%'
         AND (m.platform_id = ?3 OR (?3 IS NULL AND r.chat_id = ?1 AND m.id = (SELECT max(id) FROM messages WHERE chat_id = ?1 AND id < ?2 AND command = 0)
           AND EXISTS (SELECT 1 FROM events WHERE run_id = m.run_id AND kind = 'asked'))) LIMIT 1`,
    ),
    /** Whether a person wrote in the chat after this message, besides what went to the same run. */
    wroteSince: exists<[chatId: number, id: number]>(
      `SELECT 1 FROM messages m WHERE m.chat_id = ?1 AND m.id > ?2 AND m.direction = 'in' AND m.intent <> 'reacted' AND m.by_host = 0
         AND NOT EXISTS (SELECT 1 FROM run_messages a JOIN run_messages b ON b.run_id = a.run_id
           WHERE a.message_id = ?2 AND b.message_id = m.id) LIMIT 1`,
    ),
    /** Where a message was worked on. */
    sessionOf: value<[id: number], string>(
      `SELECT r.session FROM run_messages c JOIN runs r ON r.id = c.run_id
       WHERE c.message_id = ?1 AND r.kind = 'message' ORDER BY c.run_id DESC LIMIT 1`,
    ),
    /** Where others of the album are worked on, or were because one of them `asked`; undefined when nowhere, or when that was stopped. */
    albumRun: rows(albumRun).get<[chatId: number, album: string, senderId: number]>(
      `SELECT r.session, m.intent = 'asked' AS asked, r.state IN ('ready', 'leased') AS is_open
       FROM (SELECT id, intent FROM messages WHERE chat_id = ?1 AND album = ?2 AND sender_id = ?3 ORDER BY id DESC LIMIT 100) m
         JOIN run_messages c ON c.message_id = m.id JOIN runs r ON r.id = c.run_id
       WHERE r.kind = 'message' AND r.cancel_requested = 0
         AND (r.state IN ('ready', 'leased') OR (m.intent = 'asked' AND r.state <> 'cancelled'))
       ORDER BY asked DESC, r.id DESC LIMIT 1`,
    ),
    /** How many of the announced album are not here yet; undefined when nobody said how many there are. */
    albumLeft: value<[chatId: number, album: string, senderId: number], number | null>(
      `SELECT max(album_size) - count(*) FILTER (WHERE album_size IS NULL AND replaces IS NULL)
       FROM (SELECT album_size, replaces FROM messages WHERE chat_id = ?1 AND album = ?2 AND sender_id = ?3 ORDER BY id LIMIT 101)`,
    ),
  };
}
