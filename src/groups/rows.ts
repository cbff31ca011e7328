// Groups, the chats routed to them, and the people in those chats.
import { z } from 'zod';
import { flag, type Statements } from '../core/statements.js';
import { type Chat, chatRow, type Group, groupRow } from '../core/types.js';
import type { ErrorClass } from '../wire.js';
import { createForums, forumOf, plainAddress } from './forums.js';

type SeenChat = Pick<Chat, 'channel' | 'address' | 'kind' | 'title'> & { now: number };

const senderRow = z.object({ id: z.number(), isOwner: flag });
type Sender = z.infer<typeof senderRow>;

const person = z.object({ address: z.string(), name: z.string(), username: z.string().nullable() });
export type Person = z.infer<typeof person>;

type SeenSender = Person & { channel: string; chatId?: number | null };

export function createGroups(statements: Statements) {
  const { run, rows } = statements;
  // The update changes nothing; it makes RETURNING give the row that is there.
  const ensure = rows(groupRow).get<[folder: string, isMain: boolean, now: number]>(
    `INSERT INTO groups (folder, is_main, created_at) VALUES (?1, ?2, ?3)
     ON CONFLICT (folder) DO UPDATE SET folder = folder RETURNING *`,
  );
  return {
    ...createChats(statements),
    ...createSenders(statements),
    get: rows(groupRow).get<[id: number]>(`SELECT * FROM groups WHERE id = ?1`),
    all: rows(groupRow).all<[]>(`SELECT * FROM groups ORDER BY id`),
    /** Returns the group of this folder, made if it is new. */
    ensure: (folder: string, isMain: boolean, now: number): Group => returned(ensure(folder, isMain, now)),
    /** Runs of the group wait until `until`; then one is tried, and a success unparks. */
    park: run<[id: number, parkedClass: ErrorClass, until: number]>(
      'UPDATE groups SET parked_class = ?2, parked_until = ?3, park_count = park_count + 1 WHERE id = ?1',
    ),
    /** Returns whether the group was parked. */
    unpark: run<[id: number]>(
      'UPDATE groups SET parked_class = NULL, parked_until = NULL, park_count = 0 WHERE id = ?1 AND parked_class IS NOT NULL',
    ),
    /** Lets every parked group try again at once (after a restart, which may have brought other settings). */
    retryParked: run<[now: number]>('UPDATE groups SET parked_until = ?1 WHERE parked_class IS NOT NULL'),
  };
}

function createChats(statements: Statements) {
  const { run, rows, named, total } = statements;
  const forums = createForums(statements);
  const seen = named.rows(chatRow).get<[seen: SeenChat & { forum: string }]>(
    `INSERT INTO chats (channel, address, kind, title, created_at, last_seen_at, group_id, senders_policy, listed_senders)
     SELECT @channel, @address, @kind, @title, @now, @now, f.group_id, coalesce(f.senders_policy, 'all'), coalesce(f.listed_senders, '[]')
     FROM (SELECT 1) LEFT JOIN forums f ON f.channel = @channel AND f.address = @forum WHERE true
     ON CONFLICT (channel, address) DO UPDATE SET kind = excluded.kind, title = excluded.title, last_seen_at = excluded.last_seen_at RETURNING *`,
  );
  const byAddress = rows(chatRow).get<[channel: string, address: string]>(
    `SELECT * FROM chats WHERE channel = ?1 AND address = ?2`,
  );
  const byId = rows(chatRow).get<[id: number]>(`SELECT * FROM chats WHERE id = ?1`);
  const moveChat = createMoveChat(statements, forums.moveForum);
  return {
    ...forums,
    /** Records that the chat exists; its text is not stored here. A topic of a registered forum begins with what is registered there. */
    seenChat: (chat: SeenChat): Chat => returned(seen({ ...chat, forum: forumOf(chat.address) })),
    chat: byId,
    chatByAddress: byAddress,
    /** By row id or `<channel>:<address>`. */
    findChat(name: string): Chat | undefined {
      if (/^\d+$/.test(name)) return byId(Number(name));
      const at = name.indexOf(':');
      return at < 0 ? undefined : byAddress(name.slice(0, at), plainAddress(name.slice(at + 1)));
    },
    chats: rows(chatRow).all<[]>(`SELECT * FROM chats ORDER BY id`),
    /** Those that belong to no group, seen last first. */
    strangers: rows(chatRow.extend({ lastSeenAt: z.number() })).all<[limit: number]>(
      'SELECT * FROM chats WHERE group_id IS NULL ORDER BY last_seen_at DESC LIMIT ?1',
    ),
    /** Most recently used first. */
    chatsOf: rows(chatRow).all<[groupId: number]>(`SELECT * FROM chats WHERE group_id = ?1 ORDER BY last_seen_at DESC`),
    chatCount: total<[groupId: number]>('SELECT count(*) FROM chats WHERE group_id = ?1'),
    assignChat: run<[id: number, groupId: number]>(
      'UPDATE chats SET group_id = ?2, owner_address = NULL WHERE id = ?1',
    ),
    /** Into the main group as long as this person is the owner. */
    assignOwnerChat: run<[id: number, groupId: number, owner: string]>(
      'UPDATE chats SET group_id = ?2, owner_address = ?3 WHERE id = ?1',
    ),
    /** Chats that are in the main group for somebody who is the owner no more: neither paired nor this one, whom the settings name. */
    chatsOfFormerOwners: rows(chatRow).all<[channel: string | null, address: string | null]>(
      `SELECT c.* FROM chats c WHERE c.owner_address IS NOT NULL AND NOT (c.channel IS ?1 AND c.owner_address IS ?2)
       AND NOT EXISTS (SELECT 1 FROM senders s WHERE s.channel = c.channel AND s.address = c.owner_address AND s.is_owner = 1)`,
    ),
    releaseChat: run<[id: number]>('UPDATE chats SET group_id = NULL, owner_address = NULL WHERE id = ?1'),
    setSenders: run<[id: number, policy: Chat['sendersPolicy'], listed: string[]]>(
      'UPDATE chats SET senders_policy = ?2, listed_senders = ?3 WHERE id = ?1',
    ),
    setProgress: run<[id: number, mode: Chat['progress']]>('UPDATE chats SET progress = ?2 WHERE id = ?1'),
    /** Starts a new session; messages up to `after` no longer become context. */
    newSession: run<[id: number, after: number]>(
      'UPDATE chats SET session_number = session_number + 1, context_after = ?2 WHERE id = ?1',
    ),
    moveChat,
  };
}

/** The platform gave a chat another address (e.g. a Telegram group became a supergroup). Call it in a transaction. */
function createMoveChat(statements: Statements, moveForum: ReturnType<typeof createForums>['moveForum']) {
  const { run } = statements;
  const move = run<[channel: string, from: string, to: string]>(
    'UPDATE OR IGNORE chats SET address = ?3 WHERE channel = ?1 AND address = ?2',
  );
  const moveOwner = run<[channel: string, from: string, to: string]>(
    'UPDATE chats SET owner_address = ?3 WHERE channel = ?1 AND owner_address = ?2',
  );
  // Somebody may have written at both addresses: each is a chat then, and the new one begins with what the old one is registered for.
  const inherit = run<[channel: string, from: string, to: string]>(
    `UPDATE chats SET (group_id, senders_policy, listed_senders, owner_address) =
       (SELECT group_id, senders_policy, listed_senders, owner_address FROM chats WHERE channel = ?1 AND address = ?2)
     WHERE channel = ?1 AND address = ?3 AND group_id IS NULL AND EXISTS (SELECT 1 FROM chats WHERE channel = ?1 AND address = ?2)`,
  );
  const movePerson = createMovePerson(statements);
  const has = statements.exists<[channel: string, address: string]>(
    'SELECT 1 FROM chats WHERE channel = ?1 AND address = ?2',
  );
  // A group that became another one counts its messages anew: what has an old number now must not be taken for a message that came before.
  const renumber = run<[channel: string, address: string]>(
    `UPDATE messages SET platform_id = 'before-' || platform_id
     WHERE chat_id = (SELECT id FROM chats WHERE channel = ?1 AND address = ?2 AND kind = 'group')`,
  );
  const dropStub = run<[channel: string, address: string]>(
    `DELETE FROM chats WHERE channel = ?1 AND address = ?2 AND group_id IS NULL
       AND NOT EXISTS (SELECT 1 FROM messages WHERE chat_id = chats.id)
       AND NOT EXISTS (SELECT 1 FROM outbox WHERE chat_id = chats.id)`,
  );
  return (channel: string, from: string, to: string): void => {
    // Somebody may have written at the new address before we heard of the move: a chat without a group and without messages.
    if (has(channel, from)) dropStub(channel, to);
    renumber(channel, from);
    move(channel, from, to);
    inherit(channel, from, to);
    moveForum(channel, from, to);
    // A direct chat has the address of its person, who may be the owner.
    movePerson(channel, from, to);
    moveOwner(channel, from, to);
  };
}

/** When both addresses are known already, the owner's mark goes to the new one: left behind, it would lock the owner out. */
function createMovePerson({ run }: Statements) {
  const has = (address: string) => `EXISTS (SELECT 1 FROM senders WHERE channel = ?1 AND address = ${address})`;
  const rename = run<[channel: string, from: string, to: string]>(
    `UPDATE senders SET address = ?3 WHERE channel = ?1 AND address = ?2 AND NOT ${has('?3')}`,
  );
  const takeMark = run<[channel: string, from: string, to: string]>(
    `UPDATE senders SET is_owner = 1 WHERE channel = ?1 AND address = ?3
       AND (SELECT is_owner FROM senders WHERE channel = ?1 AND address = ?2) = 1`,
  );
  const dropMark = run<[channel: string, from: string, to: string]>(
    `UPDATE senders SET is_owner = 0 WHERE channel = ?1 AND address = ?2 AND is_owner = 1 AND ?2 <> ?3 AND ${has('?3')}`,
  );
  return (channel: string, from: string, to: string): void => {
    if (rename(channel, from, to)) return;
    takeMark(channel, from, to);
    dropMark(channel, from, to);
  };
}

function createSenders({ run, rows, value, exists, named }: Statements) {
  const seen = named.rows(senderRow).get<[seen: SeenSender]>(
    `INSERT INTO senders (channel, address, name, username, seen_in) VALUES (@channel, @address, @name, @username, @chatId)
     ON CONFLICT (channel, address) DO UPDATE SET name = excluded.name, username = excluded.username, seen_in = coalesce(excluded.seen_in, seen_in)
     RETURNING *`,
  );
  return {
    /** Those who wrote in this chat last, latest first; at most 1,000. */
    peopleIn: rows(person).all<[chatId: number]>(
      'SELECT address, name, username FROM senders WHERE seen_in = ?1 ORDER BY id DESC LIMIT 1000',
    ),
    /** What somebody who wrote anywhere on the channel called themselves last; undefined for who has an address only. */
    nameOf: value<[channel: string, address: string], string>(
      'SELECT name FROM senders WHERE channel = ?1 AND address = ?2 AND name <> address',
    ),
    seenSender: (sender: SeenSender): Sender => returned(seen({ chatId: null, ...sender })),
    /** Makes this sender the only owner on the channel. */
    makeOwner: run<[channel: string, address: string]>(
      `UPDATE senders SET is_owner = (address = ?2) WHERE id IN (SELECT id FROM senders WHERE channel = ?1 AND is_owner = 1
         UNION ALL SELECT id FROM senders WHERE channel = ?1 AND address = ?2)`,
    ),
    isOwner: exists<[channel: string, address: string]>(
      'SELECT 1 FROM senders WHERE channel = ?1 AND address = ?2 AND is_owner = 1',
    ),
    hasOwner: exists<[channel: string]>('SELECT 1 FROM senders WHERE channel = ?1 AND is_owner = 1'),
  };
}

/** An upsert with RETURNING always gives its row. */
function returned<T>(row: T | undefined): T {
  if (row === undefined) throw new Error('an upsert returned no row');
  return row;
}
