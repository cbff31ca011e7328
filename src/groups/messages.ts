// Messages in both directions, in the order they were stored. The search in them is in search.ts.
import { z } from 'zod';
import { flag, type Statements } from '../core/statements.js';
import { messageRow, type StoredMedia, type StoredMessage } from '../core/types.js';
import { createSearch } from './search.js';
import type { SearchIndex } from './search-index.js';
import { createWorkedOn } from './worked-on.js';

export interface NewMessage
  extends Pick<StoredMessage, 'chatId' | 'direction' | 'platformId' | 'senderId' | 'senderName' | 'text' | 'sentAt'>,
    Partial<
      Pick<
        StoredMessage,
        'media' | 'edited' | 'role' | 'mayAsk' | 'forwarded' | 'byHost' | 'outboxId' | 'album' | 'replaces'
      >
    > {
  replyTo?: StoredMessage['replyTo'] | undefined;
  intent?: Intent;
  /** How many its sender announced for the album. */
  albumSize?: number | null;
  now: number;
  /** The run that sent it. */
  runId?: number | null;
  /** Commands are answered by the host and never become context. */
  command?: boolean;
}

/** It asked for work, was only said, or only points at another message: a reaction, a button. */
const intent = z.enum(['asked', 'said', 'reacted']);
type Intent = z.infer<typeof intent>;

/** `assigned`: a run that already started carries the message, so its text may have reached the model. */
const storedVersion = messageRow.extend({ assigned: flag, command: flag, intent });
export type StoredVersion = z.infer<typeof storedVersion>;

const DEFAULTS = {
  replyTo: null,
  media: [],
  edited: false,
  command: false,
  runId: null,
  role: null,
  mayAsk: true,
  forwarded: false,
  byHost: false,
  outboxId: null,
  album: null,
  albumSize: null,
  intent: 'said' as const,
  replaces: null,
};

/** Functions of SQLite take a text up to its first NUL, so it would not be found, and be cut in places. No keyboard makes one. */
const withoutNul = (text: string): string => text.replaceAll('\0', ' ');

export function createMessages(statements: Statements, searchIndex: SearchIndex) {
  const { run, rows, value, named } = statements;
  const insert = named.value<[message: NewMessage], number>(
    `INSERT INTO messages (chat_id, direction, platform_id, sender_id, sender_name, text, reply_to, media, sent_at, received_at, edited, command, run_id, role, may_ask, forwarded, by_host, outbox_id, album, album_size, intent, replaces)
     VALUES (@chatId, @direction, @platformId, @senderId, @senderName, @text, @replyTo, @media, @sentAt, @now, @edited, @command, @runId, @role, @mayAsk, @forwarded, @byHost, @outboxId, @album, @albumSize, @intent, @replaces)
     ON CONFLICT DO NOTHING RETURNING id`,
  );
  const rewrite = run<[id: number, now: Pick<StoredVersion, 'text' | 'sentAt' | 'intent'>]>(
    `UPDATE messages SET text = ?2 ->> 'text', sent_at = ?2 ->> 'sentAt', intent = ?2 ->> 'intent', edited = 1 WHERE id = ?1`,
  );
  const latest = rows(messageRow).all<[chatId: number, limit: number, afterId: number]>(
    `SELECT * FROM messages WHERE chat_id = ?1 AND id > ?3 ORDER BY id DESC LIMIT ?2`,
  );
  const find = rows(storedVersion).get<[chatId: number, platformId: string]>(
    `SELECT m.*, EXISTS (SELECT 1 FROM run_messages r JOIN runs ON runs.id = r.run_id
       WHERE r.message_id = m.id AND (runs.state <> 'ready' OR runs.started_at IS NOT NULL)) AS assigned
     FROM messages m WHERE m.id = (SELECT max(id) FROM (
       SELECT id FROM messages WHERE chat_id = ?1 AND platform_id = ?2 AND direction = 'in'
       UNION ALL SELECT v.id FROM messages o CROSS JOIN messages v ON v.chat_id = ?1 AND v.platform_id > ?2 || '#' AND v.platform_id < ?2 || '$'
         AND v.direction = 'in' AND v.sender_id = o.sender_id
       WHERE o.chat_id = ?1 AND o.platform_id = ?2 AND o.direction = 'in'))`,
  );
  return {
    /** Returns the new row's id, or undefined when this message was stored before. */
    add: (message: NewMessage): number | undefined =>
      insert({ ...DEFAULTS, ...message, text: withoutNul(message.text) }),
    /** The newest version: an edit is stored as `<platform id>#…`, by the same sender (others may choose ids that look like it). */
    find,
    /** Whether its sender did not change it since: an edit of what a run had taken is a row of its own. */
    isNewest: ({ id, chatId, platformId, edited }: StoredMessage): boolean =>
      find(chatId, edited ? platformId.replace(/#\d+#[\w-]{10}$/, '') : platformId)?.id === id,
    /** What we sent under this id. */
    sent: rows(messageRow).get<[chatId: number, platformId: string]>(
      `SELECT * FROM messages WHERE chat_id = ?1 AND platform_id = ?2 AND direction = 'out'`,
    ),
    /** The outbox key of what we sent under this id. Its text proves nothing: anybody can write one that looks the same. */
    outboxKeyOf: value<[chatId: number, platformId: string], string>(
      `SELECT o.key FROM messages m JOIN outbox o ON o.id = m.outbox_id WHERE m.chat_id = ?1 AND m.platform_id = ?2 AND m.direction = 'out'`,
    ),
    rewrite: (id: number, now: Pick<StoredVersion, 'text' | 'sentAt' | 'intent'>): boolean =>
      rewrite(id, { ...now, text: withoutNul(now.text) }),
    setMedia: run<[id: number, media: StoredMedia[]]>('UPDATE messages SET media = ?2 WHERE id = ?1'),
    get: rows(messageRow).get<[id: number]>(`SELECT * FROM messages WHERE id = ?1`),
    ofRun: rows(messageRow).all<[runId: number]>(
      `SELECT m.* FROM messages m JOIN run_messages r ON r.message_id = m.id WHERE r.run_id = ?1 ORDER BY r.message_id`,
    ),
    /** Oldest first, only rows after `afterId`. */
    latest: (chatId: number, limit: number, afterId = 0): StoredMessage[] => latest(chatId, limit, afterId).reverse(),
    /** The next rows after `afterId`, oldest first: for a reader that must not skip any. */
    after: rows(messageRow).all<[chatId: number, afterId: number, limit: number]>(
      `SELECT * FROM messages WHERE chat_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3`,
    ),
    /** The last rows before `beforeId`, newest first. */
    before: rows(messageRow).all<[chatId: number, beforeId: number, limit: number]>(
      `SELECT * FROM messages WHERE chat_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3`,
    ),
    ...createWorkedOn(statements),
    search: createSearch(statements, searchIndex),
  };
}
