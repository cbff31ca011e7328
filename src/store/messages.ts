// Messages in both directions, in the order they were stored; full-text search over a group's own chats.
import { z } from 'zod';
import { quotedMessage, type StoredMedia, type StoredMessage, storedMedia } from '../types.js';
import type { Statements } from './statements.js';

export type Messages = ReturnType<typeof createMessages>;

const MESSAGE = `m.id, m.chat_id AS chatId, m.direction, m.platform_id AS platformId, m.sender_name AS senderName, m.text,
  m.reply_to AS replyTo, m.media, m.sent_at AS sentAt, m.edited`;
type MessageRow = Omit<StoredMessage, 'replyTo' | 'media' | 'edited'> & {
  replyTo: string | null;
  media: string;
  edited: number;
};
const toMessage = (row: MessageRow): StoredMessage => ({
  ...row,
  replyTo: row.replyTo === null ? null : quotedMessage.parse(JSON.parse(row.replyTo)),
  media: z.array(storedMedia).parse(JSON.parse(row.media)),
  edited: row.edited === 1,
});

export interface NewMessage {
  chatId: number;
  direction: 'in' | 'out';
  platformId: string;
  senderId: number | null;
  senderName: string;
  text: string;
  replyTo?: StoredMessage['replyTo'];
  media?: StoredMedia[];
  sentAt: number;
  now: number;
  edited?: boolean;
  /** Commands are answered by the host and never become context. */
  command?: boolean;
}

export interface SearchHit {
  chat: string;
  sender: string;
  sentAt: number;
  text: string;
}

export function createMessages(statements: Statements) {
  const { run, get, all } = statements;
  const insert = get<[row: Record<string, unknown>], { id: number }>(
    `INSERT INTO messages (chat_id, direction, platform_id, sender_id, sender_name, text, reply_to, media, sent_at, received_at, edited, command)
     VALUES (@chatId, @direction, @platformId, @senderId, @senderName, @text, @replyTo, @media, @sentAt, @now, @edited, @command)
     ON CONFLICT DO NOTHING RETURNING id`,
  );
  const find = get<[chatId: number, platformId: string], MessageRow & { assigned: number }>(
    `SELECT ${MESSAGE}, EXISTS (SELECT 1 FROM run_messages r JOIN runs ON runs.id = r.run_id
       WHERE r.message_id = m.id AND (runs.state <> 'ready' OR runs.started_at IS NOT NULL)) AS assigned
     FROM messages m WHERE m.chat_id = ?1 AND m.platform_id = ?2 AND m.direction = 'in'`,
  );
  const setMedia = run<[id: number, media: string]>('UPDATE messages SET media = ?2 WHERE id = ?1');
  const byId = get<[id: number], MessageRow>(`SELECT ${MESSAGE} FROM messages m WHERE m.id = ?1`);
  const ofRun = all<[runId: number], MessageRow>(
    `SELECT ${MESSAGE} FROM messages m JOIN run_messages r ON r.message_id = m.id WHERE r.run_id = ?1 ORDER BY m.id`,
  );
  type Page = [chatId: number, afterId: number, limit: number];
  const newest = all<Page, MessageRow>(
    `SELECT ${MESSAGE} FROM messages m WHERE m.chat_id = ?1 AND m.id > ?2 ORDER BY m.id DESC LIMIT ?3`,
  );
  const next = all<Page, MessageRow>(
    `SELECT ${MESSAGE} FROM messages m WHERE m.chat_id = ?1 AND m.id > ?2 ORDER BY m.id LIMIT ?3`,
  );
  return {
    search: createSearch(statements),
    /** Returns the new row's id, or undefined when this message was stored before. */
    add: (message: NewMessage): number | undefined =>
      insert({
        edited: false,
        command: false,
        ...message,
        replyTo: message.replyTo ? JSON.stringify(message.replyTo) : null,
        media: JSON.stringify(message.media ?? []),
      })?.id,
    /** `assigned`: a run that already started carries it, so its text may have reached the model. */
    find(chatId: number, platformId: string): (StoredMessage & { assigned: boolean }) | undefined {
      const row = find(chatId, platformId);
      return row && { ...toMessage(row), assigned: row.assigned === 1 };
    },
    rewrite: run<[id: number, text: string]>('UPDATE messages SET text = ?2, edited = 1 WHERE id = ?1'),
    setMedia: (id: number, media: StoredMedia[]): boolean => setMedia(id, JSON.stringify(media)),
    get(id: number): StoredMessage | undefined {
      const row = byId(id);
      return row && toMessage(row);
    },
    ofRun: (runId: number): StoredMessage[] => ofRun(runId).map(toMessage),
    /** Oldest first, only rows after `afterId`. */
    latest: (chatId: number, limit: number, afterId = 0): StoredMessage[] =>
      newest(chatId, afterId, limit).map(toMessage).reverse(),
    /** The next rows after `afterId`, oldest first: for a reader that must not skip any. */
    after: (...page: Page): StoredMessage[] => next(...page).map(toMessage),
  };
}

/** Best matches first. Every word of `query` must occur; FTS5 operators in it have no power (each word is quoted). */
function createSearch({ all }: Statements) {
  const search = all<[groupId: number, query: string, limit: number], SearchHit>(
    `SELECT chats.title AS chat, m.sender_name AS sender, m.sent_at AS sentAt, m.text FROM messages_fts f
     JOIN messages m ON m.id = f.rowid JOIN chats ON chats.id = m.chat_id
     WHERE messages_fts MATCH ?2 AND chats.group_id = ?1 ORDER BY rank LIMIT ?3`,
  );
  return (groupId: number, query: string, limit: number): SearchHit[] => {
    const words = query.split(/\s+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
    const quoted = words.map((word) => `"${word.replaceAll('"', '""')}"*`).join(' ');
    return words.length === 0 ? [] : search(groupId, quoted, limit);
  };
}
