// Forums: chats that are divided into topics. Each topic is a chat of its own, at the address `<forum>/<topic>`; what is said outside of the
// topics (Telegram's "General") has the address of the forum.
import type { Statements } from '../core/statements.js';
import { type Chat, chatRow } from '../core/types.js';

interface ForumRegistration extends Pick<Chat, 'channel' | 'address' | 'sendersPolicy' | 'listedSenders'> {
  groupId: number;
}

/** The address of the whole chat that a topic is part of; any other address is its own. */
export const forumOf = (address: string): string => address.split('/', 1)[0] ?? address;

/** In links Telegram calls the General topic number 1, which is the address of the group itself. */
export const plainAddress = (address: string): string => address.replace(/^(-\d+)\/1$/, '$1');

/** `0` is the character after `/`: a range, which the index of addresses knows. */
const IN_FORUM = `c.channel = ?1 AND c.address > ?2 || '/' AND c.address < ?2 || '0'`;

export function createForums({ run, rows, named }: Statements) {
  return {
    /** Topics that nobody has seen yet begin with this. */
    registerForum: named.run<[forum: ForumRegistration]>(
      `INSERT INTO forums (channel, address, group_id, senders_policy, listed_senders)
       VALUES (@channel, @address, @groupId, @sendersPolicy, @listedSenders)
       ON CONFLICT (channel, address) DO UPDATE SET
         group_id = excluded.group_id, senders_policy = excluded.senders_policy, listed_senders = excluded.listed_senders`,
    ),
    /** Nothing is registered for the whole of it any more; unless it has topics, of which the word was not about. */
    forgetForum: run<[channel: string, forum: string]>(
      `DELETE FROM forums WHERE channel = ?1 AND address = ?2 AND NOT EXISTS (SELECT 1 FROM chats c WHERE ${IN_FORUM})`,
    ),
    moveForum: run<[channel: string, from: string, to: string]>(
      'UPDATE OR REPLACE forums SET address = ?3 WHERE channel = ?1 AND address = ?2',
    ),
    topicsOf: rows(chatRow).all<[channel: string, forum: string]>(
      `SELECT c.* FROM chats c WHERE ${IN_FORUM} ORDER BY c.id`,
    ),
    /** The topic that a message is in: ids of messages are unique in the whole forum. */
    topicWith: rows(chatRow).get<[channel: string, forum: string, platformId: string]>(
      `SELECT c.* FROM chats c JOIN messages m ON m.chat_id = c.id AND m.platform_id = ?3 WHERE ${IN_FORUM} LIMIT 1`,
    ),
  };
}
