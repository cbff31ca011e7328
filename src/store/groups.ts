// Groups, the chats routed to them, and the people in those chats.
import { z } from 'zod';
import type { Chat, Group, SendersPolicy } from '../types.js';
import type { ErrorClass } from '../wire.js';
import type { Db } from './index.js';

export type Groups = ReturnType<typeof createGroups>;

const GROUP = `id, folder, is_main AS isMain, model, parked_class AS parkedClass, parked_until AS parkedUntil,
  park_count AS parkCount`;
const CHAT = `id, channel, address, kind, title, group_id AS groupId, session_number AS sessionNumber,
  senders_policy AS sendersPolicy, listed_senders AS listedSenders`;
type GroupRow = Omit<Group, 'isMain'> & { isMain: number };
type ChatRow = Omit<Chat, 'listedSenders'> & { listedSenders: string };
const toGroup = (row: GroupRow): Group => ({ ...row, isMain: row.isMain === 1 });
const toChat = (row: ChatRow): Chat => ({
  ...row,
  listedSenders: z.array(z.string()).parse(JSON.parse(row.listedSenders)),
});

export interface SeenChat {
  channel: string;
  address: string;
  kind: 'direct' | 'group';
  title: string;
  now: number;
}

export interface SeenSender {
  channel: string;
  address: string;
  name: string;
  username: string | null;
}

export function createGroups(db: Db) {
  const parking = createParking(db);
  const byId = db.prepare<[number], GroupRow>(`SELECT ${GROUP} FROM groups WHERE id = ?`);
  const byFolder = db.prepare<[string], GroupRow>(`SELECT ${GROUP} FROM groups WHERE folder = ?`);
  const all = db.prepare<[], GroupRow>(`SELECT ${GROUP} FROM groups ORDER BY id`);
  const insert = db.prepare<{ folder: string; isMain: number; now: number }>(
    'INSERT INTO groups (folder, is_main, created_at) VALUES (@folder, @isMain, @now) ON CONFLICT (folder) DO NOTHING',
  );
  const get = (id: number): Group | undefined => {
    const row = byId.get(id);
    return row && toGroup(row);
  };
  return {
    ...parking,
    ...createChats(db),
    ...createSenders(db),
    get,
    all: (): Group[] => all.all().map(toGroup),
    /** Returns the group of this folder, made if it is new. */
    ensure(folder: string, isMain: boolean, now: number): Group {
      insert.run({ folder, isMain: isMain ? 1 : 0, now });
      const row = byFolder.get(folder);
      if (!row) throw new Error(`group ${folder} vanished`);
      return toGroup(row);
    },
  };
}

function createParking(db: Db) {
  const park = db.prepare<{ id: number; parkedClass: ErrorClass; until: number }>(
    'UPDATE groups SET parked_class = @parkedClass, parked_until = @until, park_count = park_count + 1 WHERE id = @id',
  );
  const unpark = db.prepare<{ id: number }>(
    'UPDATE groups SET parked_class = NULL, parked_until = NULL, park_count = 0 WHERE id = @id AND parked_class IS NOT NULL',
  );
  const retryParked = db.prepare<{ now: number }>(
    'UPDATE groups SET parked_until = @now WHERE parked_class IS NOT NULL',
  );
  return {
    /** Runs of the group wait until `until`; then one is tried, and a success unparks. */
    park: (id: number, parkedClass: ErrorClass, until: number): void => void park.run({ id, parkedClass, until }),
    /** Returns whether the group was parked. */
    unpark: (id: number): boolean => unpark.run({ id }).changes > 0,
    /** Lets every parked group try again at once (after a restart or a settings change). */
    retryParked: (now: number): void => void retryParked.run({ now }),
  };
}

function createChats(db: Db) {
  const upsert = db.prepare<SeenChat, ChatRow>(
    `INSERT INTO chats (channel, address, kind, title, created_at, last_seen_at) VALUES (@channel, @address, @kind, @title, @now, @now)
     ON CONFLICT (channel, address) DO UPDATE SET title = excluded.title, last_seen_at = excluded.last_seen_at RETURNING ${CHAT}`,
  );
  const byId = db.prepare<[number], ChatRow>(`SELECT ${CHAT} FROM chats WHERE id = ?`);
  const byAddress = db.prepare<[string, string], ChatRow>(
    `SELECT ${CHAT} FROM chats WHERE channel = ? AND address = ?`,
  );
  const all = db.prepare<[], ChatRow>(`SELECT ${CHAT} FROM chats ORDER BY id`);
  const ofGroup = db.prepare<[number], ChatRow>(
    `SELECT ${CHAT} FROM chats WHERE group_id = ? ORDER BY last_seen_at DESC`,
  );
  const assign = db.prepare<{ id: number; groupId: number }>('UPDATE chats SET group_id = @groupId WHERE id = @id');
  const policy = db.prepare<{ id: number; policy: SendersPolicy; listed: string }>(
    'UPDATE chats SET senders_policy = @policy, listed_senders = @listed WHERE id = @id',
  );
  const nextSession = db.prepare<{ id: number; after: number }>(
    'UPDATE chats SET session_number = session_number + 1, context_after = @after WHERE id = @id',
  );
  const move = db.prepare<{ channel: string; from: string; to: string }>(
    'UPDATE OR IGNORE chats SET address = @to WHERE channel = @channel AND address = @from',
  );
  const chatOf = (row: ChatRow | undefined): Chat | undefined => row && toChat(row);
  return {
    /** Records that the chat exists; its text is not stored here. */
    seenChat(seen: SeenChat): Chat {
      const row = upsert.get(seen);
      if (!row) throw new Error('chat upsert returned no row');
      return toChat(row);
    },
    chat: (id: number): Chat | undefined => chatOf(byId.get(id)),
    chatByAddress: (channel: string, address: string): Chat | undefined => chatOf(byAddress.get(channel, address)),
    chats: (): Chat[] => all.all().map(toChat),
    /** Most recently used first. */
    chatsOf: (groupId: number): Chat[] => ofGroup.all(groupId).map(toChat),
    assignChat: (id: number, groupId: number): void => void assign.run({ id, groupId }),
    setSenders: (id: number, sendersPolicy: SendersPolicy, listed: string[]): void =>
      void policy.run({ id, policy: sendersPolicy, listed: JSON.stringify(listed) }),
    /** Starts a new session; messages up to `after` no longer become context. */
    newSession: (id: number, after: number): void => void nextSession.run({ id, after }),
    /** The platform gave the chat another address (e.g. a Telegram group became a supergroup). */
    moveChat: (channel: string, from: string, to: string): void => void move.run({ channel, from, to }),
  };
}

function createSenders(db: Db) {
  const upsert = db.prepare<SeenSender, { id: number; isOwner: number }>(
    `INSERT INTO senders (channel, address, name, username) VALUES (@channel, @address, @name, @username)
     ON CONFLICT (channel, address) DO UPDATE SET name = excluded.name, username = excluded.username
     RETURNING id, is_owner AS isOwner`,
  );
  const makeOwner = db.prepare<{ channel: string; address: string }>(
    'UPDATE senders SET is_owner = (address = @address) WHERE channel = @channel',
  );
  const hasOwner = db.prepare<[string], { n: number }>(
    'SELECT count(*) AS n FROM senders WHERE channel = ? AND is_owner = 1',
  );
  return {
    seenSender(seen: SeenSender): { id: number; isOwner: boolean } {
      const row = upsert.get(seen);
      if (!row) throw new Error('sender upsert returned no row');
      return { id: row.id, isOwner: row.isOwner === 1 };
    },
    /** Makes this sender the only owner on the channel. */
    makeOwner: (channel: string, address: string): void => void makeOwner.run({ channel, address }),
    hasOwner: (channel: string): boolean => (hasOwner.get(channel)?.n ?? 0) > 0,
  };
}
