// Messages in both directions, in the order they were stored; full-text search over a group's own chats.
import { z } from 'zod';
import { quotedMessage, type StoredMedia, type StoredMessage, storedMedia } from '../types.js';
import type { Db } from './index.js';

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

export function createMessages(db: Db) {
  const insert = db.prepare<unknown[], { id: number }>(
    `INSERT INTO messages (chat_id, direction, platform_id, sender_id, sender_name, text, reply_to, media, sent_at, received_at, edited, command)
     VALUES (@chatId, @direction, @platformId, @senderId, @senderName, @text, @replyTo, @media, @sentAt, @now, @edited, @command)
     ON CONFLICT DO NOTHING RETURNING id`,
  );
  const find = db.prepare<[number, string], MessageRow & { assigned: number }>(
    `SELECT ${MESSAGE}, EXISTS (SELECT 1 FROM run_messages r JOIN runs ON runs.id = r.run_id
       WHERE r.message_id = m.id AND runs.state <> 'ready') AS assigned
     FROM messages m WHERE m.chat_id = ? AND m.platform_id = ? AND m.direction = 'in'`,
  );
  const rewrite = db.prepare<[string, number]>('UPDATE messages SET text = ?, edited = 1 WHERE id = ?');
  const setMedia = db.prepare<[string, number]>('UPDATE messages SET media = ? WHERE id = ?');
  const byId = db.prepare<[number], MessageRow>(`SELECT ${MESSAGE} FROM messages m WHERE m.id = ?`);
  const ofRun = db.prepare<[number], MessageRow>(
    `SELECT ${MESSAGE} FROM messages m JOIN run_messages r ON r.message_id = m.id WHERE r.run_id = ? ORDER BY m.id`,
  );
  const latest = db.prepare<[number, number, number], MessageRow>(
    `SELECT ${MESSAGE} FROM messages m WHERE m.chat_id = ? AND m.id > ? ORDER BY m.id DESC LIMIT ?`,
  );
  const after = db.prepare<[number, number, number], MessageRow>(
    `SELECT ${MESSAGE} FROM messages m WHERE m.chat_id = ? AND m.id > ? ORDER BY m.id LIMIT ?`,
  );
  return {
    ...createSearch(db),
    /** Returns the new row's id, or undefined when this message was stored before. */
    add(message: NewMessage): number | undefined {
      return insert.get({
        ...message,
        replyTo: message.replyTo ? JSON.stringify(message.replyTo) : null,
        media: JSON.stringify(message.media ?? []),
        edited: message.edited ? 1 : 0,
        command: message.command ? 1 : 0,
      })?.id;
    },
    /** `assigned`: a run that already started carries it, so its text may have reached the model. */
    find(chatId: number, platformId: string): (StoredMessage & { assigned: boolean }) | undefined {
      const row = find.get(chatId, platformId);
      return row && { ...toMessage(row), assigned: row.assigned === 1 };
    },
    rewrite: (id: number, text: string): void => void rewrite.run(text, id),
    setMedia: (id: number, media: StoredMedia[]): void => void setMedia.run(JSON.stringify(media), id),
    get(id: number): StoredMessage | undefined {
      const row = byId.get(id);
      return row && toMessage(row);
    },
    ofRun: (runId: number): StoredMessage[] => ofRun.all(runId).map(toMessage),
    /** Oldest first, only rows after `afterId`. */
    latest: (chatId: number, limit: number, afterId = 0): StoredMessage[] =>
      latest.all(chatId, afterId, limit).map(toMessage).reverse(),
    /** The next rows after `afterId`, oldest first: for a reader that must not skip any. */
    after: (chatId: number, afterId: number, limit: number): StoredMessage[] =>
      after.all(chatId, afterId, limit).map(toMessage),
  };
}

function createSearch(db: Db) {
  const search = db.prepare<{ query: string; groupId: number; limit: number }, SearchHit>(
    `SELECT chats.title AS chat, m.sender_name AS sender, m.sent_at AS sentAt, m.text FROM messages_fts f
     JOIN messages m ON m.id = f.rowid JOIN chats ON chats.id = m.chat_id
     WHERE messages_fts MATCH @query AND chats.group_id = @groupId ORDER BY rank LIMIT @limit`,
  );
  return {
    /** Best matches first. Every word of `query` must occur; FTS5 operators in it have no power (each word is quoted). */
    search(groupId: number, query: string, limit: number): SearchHit[] {
      const words = query.split(/\s+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
      if (words.length === 0) return [];
      const quoted = words.map((word) => `"${word.replaceAll('"', '""')}"*`).join(' ');
      return search.all({ query: quoted, groupId, limit });
    },
  };
}
