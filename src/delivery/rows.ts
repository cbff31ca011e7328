// Outgoing messages: one row per message, sent in order per chat, each part of a long one counted. What the host itself says (answers to
// commands, notices) goes before what runs send: "Stopped." must not wait behind what is to be stopped.
import { z } from 'zod';
import type { Button } from '../channels/channel.js';
import { json, type Statements } from '../core/statements.js';

const buttons = json(z.array(z.object({ label: z.string(), value: z.string() })))
  .nullable()
  .catch(null);

const outboxRow = z.object({
  id: z.number(),
  key: z.string(),
  chatId: z.number(),
  runId: z.number().nullable(),
  text: z.string(),
  /** The text split for the channel, fixed at the first try so that a retry sends the same parts. */
  parts: json(z.array(z.string())).nullable().catch(null),
  partsSent: z.number(),
  /** A file that goes with the text; `path` is the group's own name for it. Rows of older versions of Pinch do not say how many bytes. */
  file: json(z.object({ fileName: z.string(), mimeType: z.string(), path: z.string(), bytes: z.number().default(0) }))
    .nullable()
    .catch(null),
  buttons,
  /** Not 0: they are used or lead nowhere. */
  buttonsOver: z.number(),
  state: z.enum(['queued', 'sent', 'dead']),
  attempt: z.number(),
  nextAt: z.number(),
  error: z.string().nullable(),
  createdAt: z.number(),
  sentAt: z.number().nullable(),
});
export type OutboxRow = z.infer<typeof outboxRow>;

export interface NewOutboxRow extends Pick<OutboxRow, 'key' | 'chatId' | 'runId' | 'text'> {
  file?: OutboxRow['file'] | undefined;
  /** They go with the last part. */
  buttons?: Button[] | undefined;
  now: number;
}

/** `onWork` is called when there is something to send, or buttons to take away. */
export function createOutbox(statements: Statements, onWork: () => void) {
  const { rows, value, values, total, exists, run, named } = statements;
  const headOf = (chatId: string) =>
    `(SELECT id FROM outbox WHERE state = 'queued' AND chat_id = ${chatId} ORDER BY run_id IS NOT NULL, id LIMIT 1)`;
  const head = value<[chatId: number], number | null>(`SELECT ${headOf('?1')}`);
  const insert = named.run<[message: NewOutboxRow]>(
    `INSERT INTO outbox (key, chat_id, run_id, text, file, buttons, next_at, created_at)
     VALUES (@key, @chatId, @runId, @text, @file, @buttons, @now, @now) ON CONFLICT (key) DO NOTHING`,
  );
  const fileOf = rows(outboxRow.pick({ file: true })).get<[id: number]>('SELECT file FROM outbox WHERE id = ?1');
  const revive = run<[id: number, now: number]>(
    `UPDATE outbox SET state = 'queued', attempt = 0, next_at = ?2, error = NULL
     WHERE id = ?1 AND state = 'dead' AND file IS NULL`,
  );
  return {
    ...createButtons(statements, onWork),
    ...createChanges(statements),
    /** A dead message is to be sent once more; false when it is none, or its file is gone. */
    revive(id: number, now: number): boolean {
      const isBack = revive(id, now);
      if (isBack) onWork();
      return isBack;
    },
    /** Queues a message; false when this key was queued before. */
    add(message: NewOutboxRow): boolean {
      const added = insert({ file: undefined, buttons: undefined, ...message });
      if (added) onWork();
      return added;
    },
    get: rows(outboxRow).get<[id: number]>('SELECT * FROM outbox WHERE id = ?1'),
    has: exists<[key: string]>('SELECT 1 FROM outbox WHERE key = ?1'),
    waits: exists<[key: string]>(`SELECT 1 FROM outbox WHERE key = ?1 AND state = 'queued'`),
    /** Keys of the rows whose files wait to be sent. */
    waitingFiles: values<[], string>(`SELECT key FROM outbox WHERE state = 'queued' AND file IS NOT NULL`),
    /** Bytes of the files of a group that wait to be sent. */
    waitingBytes: total<[groupId: number]>(
      `SELECT sum(o.file ->> 'bytes') FROM outbox o INDEXED BY outbox_heads JOIN chats c ON c.id = o.chat_id WHERE o.state = 'queued' AND c.group_id = ?1`,
    ),
    /** The next message of every chat: the only ones that may be sent now. */
    heads: rows(outboxRow).all<[]>(
      `WITH RECURSIVE c (chat_id) AS (SELECT min(chat_id) FROM outbox WHERE state = 'queued' UNION ALL
         SELECT (SELECT min(chat_id) FROM outbox WHERE state = 'queued' AND chat_id > c.chat_id) FROM c WHERE c.chat_id IS NOT NULL)
       SELECT o.* FROM c JOIN outbox o ON o.id = ${headOf('c.chat_id')}`,
    ),
    isHead: (row: Pick<OutboxRow, 'id' | 'chatId'>): boolean => head(row.chatId) === row.id,
    /** How many parts of `partChars` characters a run has queued since `since`; each row counts as one at least. */
    partsOfRun: total<[runId: number, since: number, partChars: number]>(
      'SELECT sum(1 + cast(length(text) / ?3 AS INTEGER)) FROM outbox WHERE run_id = ?1 AND created_at >= ?2',
    ),
    setParts: run<[id: number, parts: string[]]>('UPDATE outbox SET parts = ?2 WHERE id = ?1'),
    partSent: run<[id: number]>('UPDATE outbox SET parts_sent = parts_sent + 1, attempt = 0 WHERE id = ?1'),
    /** False when it was ended meanwhile. */
    sent: run<[id: number, now: number]>(
      `UPDATE outbox SET state = 'sent', sent_at = ?2, error = NULL WHERE id = ?1 AND state = 'queued'`,
    ),
    /** `counted`: whether this try counts towards the last. */
    retry: run<[id: number, nextAt: number, counted: boolean, error: string | null]>(
      'UPDATE outbox SET next_at = ?2, attempt = attempt + ?3, error = ?4 WHERE id = ?1',
    ),
    /** False when it was ended before. */
    dead: run<[id: number, error: string]>(
      `UPDATE outbox SET state = 'dead', error = ?2 WHERE id = ?1 AND state = 'queued'`,
    ),
    queued: total<[]>(`SELECT count(*) FROM outbox WHERE state = 'queued'`),
    /** The file that went with a message; null when none did, undefined when the row is gone. */
    fileOf: (id: number): OutboxRow['file'] | undefined => fileOf(id)?.file,
    list: rows(outboxRow).all<[limit: number]>(`SELECT * FROM outbox ORDER BY id DESC LIMIT ?1`),
    ofRun: rows(outboxRow).all<[runId: number]>(`SELECT * FROM outbox WHERE run_id = ?1 ORDER BY id`),
  };
}

/** What becomes of many messages at once. */
function createChanges({ run, named }: Statements) {
  return {
    /** Nothing more goes out of what runs said: one, those in one chat, or all. Returns how many messages that ended. */
    endOfRuns: named.count<[which: { runId: number | null; chatId: number | null; error: string }]>(
      `UPDATE outbox INDEXED BY outbox_heads SET state = 'dead', error = @error WHERE state = 'queued' AND run_id IS NOT NULL
         AND (@runId IS NULL OR run_id = @runId) AND (@chatId IS NULL OR chat_id = @chatId)`,
    ),
    /** What waits only because the channel was away is due: its connection is there again. */
    retryNow: run<[channel: string, now: number]>(
      `UPDATE outbox INDEXED BY outbox_heads SET next_at = ?2 WHERE state = 'queued' AND attempt = 0 AND next_at > ?2
         AND chat_id IN (SELECT id FROM chats WHERE channel = ?1)`,
    ),
    /** Nothing more goes out of anything to this chat. */
    endOfChat: run<[chatId: number, error: string]>(
      `UPDATE outbox SET state = 'dead', error = ?2 WHERE state = 'queued' AND chat_id = ?1`,
    ),
    /** Those of which nothing went out yet go to another chat, whose channel may cut the text elsewhere. */
    moveNotices: run<[from: number, to: number, now: number]>(
      `UPDATE outbox INDEXED BY outbox_heads SET chat_id = ?2, parts = NULL, next_at = ?3
       WHERE state = 'queued' AND chat_id = ?1 AND key GLOB 'notice:*' AND parts_sent = 0`,
    ),
  };
}

/** What is below messages of ours, and what becomes of it. */
function createButtons({ rows, run }: Statements, onWork: () => void) {
  const unused = `SELECT o.buttons FROM messages m JOIN outbox o ON o.id = m.outbox_id
     WHERE m.chat_id = ?1 AND m.platform_id = ?2 AND m.direction = 'out' AND o.buttons IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM messages WHERE outbox_id = m.outbox_id AND id > m.id)`;
  const buttonsOf = rows(z.object({ buttons })).get<[chatId: number, platformId: string]>(unused);
  const openButtons = rows(z.object({ buttons })).get<[chatId: number, platformId: string]>(
    `${unused} AND o.buttons_over = 0`,
  );
  const end = run<[key: string]>('UPDATE outbox SET buttons_over = 1 WHERE key = ?1 AND buttons IS NOT NULL');
  return {
    /** All that this message was given, and whether they are used or lead nowhere. */
    buttonsOf: rows(z.object({ buttons, buttonsOver: z.number() })).get<[key: string]>(
      'SELECT buttons, buttons_over FROM outbox WHERE key = ?1 AND buttons IS NOT NULL',
    ),
    /** The buttons below a message of ours, as long as nobody pressed one: they are below its last part, and count once. */
    unpressedButtons: (chatId: number, platformId: string): Button[] => buttonsOf(chatId, platformId)?.buttons ?? [],
    /** Of these, those that still lead somewhere. */
    openButtons: (chatId: number, platformId: string): Button[] => openButtons(chatId, platformId)?.buttons ?? [],
    /** They lead nowhere any more: delivery takes them away, or sends the message without them. */
    endButtons(key: string): void {
      if (end(key)) onWork();
    },
    /** Where buttons are to be taken away, some at a time: below the last part of what was sent. */
    buttonsToDrop: rows(
      z.object({ id: z.number(), chatId: z.number(), platformId: z.string(), nextAt: z.number(), sentAt: z.number() }),
    ).all<[]>(
      `SELECT o.id, o.chat_id, o.next_at, o.sent_at, m.platform_id FROM outbox o
       JOIN messages m ON m.id = (SELECT max(id) FROM messages WHERE outbox_id = o.id AND direction = 'out')
       WHERE o.buttons_over = 1 AND o.state = 'sent' ORDER BY o.next_at LIMIT 20`,
    ),
    buttonsGone: run<[id: number]>('UPDATE outbox SET buttons_over = 2 WHERE id = ?1'),
  };
}
