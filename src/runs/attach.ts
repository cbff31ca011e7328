// Which messages of its chat a run takes along: those that ask, and before them the newest that were only said, up to a limit in count and bytes.
// All up to the newest one are handled with that: the cursor of the chat goes on, and nobody walks through its history again.
import { z } from 'zod';
import { flag, type Statements } from '../core/statements.js';
import { MANY_LEFT_OUT } from '../wire.js';

/** Messages that a run takes along without having been asked for; the bytes are about what the model reads of all its messages. */
const MAX_SAID = 200;
const MAX_BYTES = 60_000;
/** Whoever asks more often than that before anything is answered has the oldest left out, too. */
const MAX_ASKED = 500;
/** Of one message: what is longer, the runner keeps in a file. */
const MAX_COUNTED_BYTES = 16_000;
/** What the model reads of a message besides its text, at most: who, when, what it answers, its files. */
const FRAME_BYTES = 200;
const QUOTE_BYTES = 700;

const carried = z.object({ messageId: z.number(), bytes: z.number(), asked: flag, leftOut: z.number() });

/** Of what no runner was given yet, only what fits stays in the run. */
function createTrim({ rows, run }: Statements) {
  const notHanded = rows(carried).all<[runId: number]>(
    `SELECT r.message_id, r.left_out, m.intent = 'asked' OR m.by_host AS asked, ${FRAME_BYTES} + octet_length(m.sender_name)
       + min(octet_length(m.text), ${MAX_COUNTED_BYTES}) + iif(m.reply_to IS NULL, 0, ${QUOTE_BYTES})
       + json_array_length(m.media) * ${FRAME_BYTES} AS bytes
     FROM run_messages r JOIN messages m ON m.id = r.message_id WHERE r.run_id = ?1 AND r.handed = 0 ORDER BY r.message_id DESC`,
  );
  const detach = run<[runId: number, messageId: number]>(
    'DELETE FROM run_messages WHERE run_id = ?1 AND message_id = ?2',
  );
  const addLeftOut = run<[runId: number, messageId: number, n: number]>(
    'UPDATE run_messages SET left_out = left_out + ?3 WHERE run_id = ?1 AND message_id = ?2',
  );

  return function trim(runId: number, upTo: number): void {
    const counts = { asked: 0, said: 0, bytes: 0 };
    const fits = (row: z.infer<typeof carried>): boolean => {
      counts.bytes += row.bytes;
      if (row.asked || row.messageId === upTo) return ++counts.asked <= MAX_ASKED;
      return ++counts.said <= MAX_SAID && counts.bytes <= MAX_BYTES;
    };
    let next = upTo;
    for (const row of notHanded(runId)) {
      if (fits(row)) {
        next = row.messageId;
        continue;
      }
      detach(runId, row.messageId);
      addLeftOut(runId, next, row.leftOut + 1);
    }
  };
}

export function createAttach(statements: Statements) {
  const { rows, run, value, values, total } = statements;
  const isFree = 'NOT EXISTS (SELECT 1 FROM run_messages r WHERE r.message_id = m.id)';
  const said = `m.chat_id = ?1 AND m.direction = 'in' AND m.command = 0 AND ${isFree}`;
  const trim = createTrim(statements);
  const cursor = value<[chatId: number], number>('SELECT max(attached_to, context_after) FROM chats WHERE id = ?1');
  const moveCursor = run<[chatId: number, to: number]>('UPDATE chats SET attached_to = ?2 WHERE id = ?1');
  const free = values<[chatId: number, after: number, upTo: number], number>(
    `SELECT m.id FROM messages m WHERE ${said} AND m.id > ?2 AND m.id <= ?3 ORDER BY m.id DESC LIMIT ${MAX_SAID + 1}`,
  );
  const countFree = total<[chatId: number, after: number, before: number]>(
    `SELECT count(*) FROM (SELECT 1 FROM messages m WHERE ${said} AND m.id > ?2 AND m.id < ?3 LIMIT ${MANY_LEFT_OUT})`,
  );
  const attach = run<[runId: number, messageId: number, leftOut: number]>(
    `INSERT INTO run_messages (run_id, message_id, left_out)
     SELECT ?1, m.id, ?3 FROM messages m WHERE m.id = ?2 AND m.direction = 'in' AND m.command = 0 AND ${isFree}`,
  );
  return {
    /**
     * Gives the run message `upTo` of the chat, and what fits of those before it that no run took or left out yet. Returns how many were looked
     * at. Joins the caller's transaction.
     */
    attachMessages(runId: number, chatId: number, upTo: number): number {
      const after = cursor(chatId) ?? 0;
      const ids = free(chatId, after, upTo);
      const oldest = ids.at(-1) ?? upTo;
      const older = ids.length > MAX_SAID ? countFree(chatId, after, oldest) : 0;
      // A message that was left out before may ask now, by an edit.
      if (ids[0] !== upTo) attach(runId, upTo, 0);
      for (const id of ids) attach(runId, id, id === oldest ? older : 0);
      if (ids[0] !== undefined) moveCursor(chatId, ids[0]);
      trim(runId, upTo);
      return ids.length;
    },
    /** How many messages of the chat right before one of the run were left out. */
    leftOut: rows(carried.pick({ messageId: true, leftOut: true })).all<[runId: number]>(
      'SELECT message_id, left_out FROM run_messages WHERE run_id = ?1 AND left_out > 0',
    ),
  };
}
