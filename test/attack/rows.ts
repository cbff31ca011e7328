// The store of a running daemon, written and read from outside: rows that nobody could send through the page, and what the timeline says.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { z } from 'zod';
import type { Scene } from '../e2e/talk.js';

export function withStore<T>({ daemon }: Scene, work: (db: Database.Database) => T): T {
  const db = new Database(join(daemon.home, 'data/pinch.db'));
  try {
    return work(db);
  } finally {
    db.close();
  }
}

const count = z.number();
/** One number that a query gives. */
export const numberOf = (scene: Scene, query: string, ...values: (string | number)[]): number =>
  withStore(scene, (db) =>
    count.parse(
      db
        .prepare(query)
        .pluck()
        .get(...values),
    ),
  );

/** A group with a chat of its own, in a channel that nobody set up. */
export function addGroup(scene: Scene, folder: string): void {
  withStore(scene, (db) => {
    const at = Date.now();
    db.prepare('INSERT OR IGNORE INTO groups (folder, created_at) VALUES (?, ?)').run(folder, at);
    db.prepare(
      `INSERT OR IGNORE INTO chats (channel, address, kind, title, group_id, created_at, last_seen_at)
       VALUES ('test', ?1, 'direct', ?1, (SELECT id FROM groups WHERE folder = ?1), ?2, ?2)`,
    ).run({ 1: folder, 2: at });
  });
}

export interface Written {
  text: string;
  /** `web:owner`, or `test:<group>` after `addGroup`. */
  chat?: string;
  sender?: string;
  role?: 'owner' | 'member' | null;
  mayAsk?: boolean;
  forwarded?: boolean;
  direction?: 'in' | 'out';
  platformId?: string;
  edited?: boolean;
  replyTo?: { platformId: string; sender: string; text: string };
  media?: Record<string, unknown>[];
  /** The run that works with it; without one the next run of its chat takes it. */
  runId?: number;
}

/** A message as a channel would have stored it; returns its id. */
export function addMessage(scene: Scene, written: Written): number {
  const { text, chat = 'web:owner', sender = 'Eve', role = 'owner', mayAsk = true, forwarded = false } = written;
  const { direction = 'in', platformId = `m${Math.random()}`, edited = false, replyTo, media = [], runId } = written;
  const [channel, address] = chat.split(':');
  return withStore(scene, (db) =>
    db
      .transaction(() => {
        const insert = db.prepare(
          `INSERT INTO messages (chat_id, direction, platform_id, sender_id, sender_name, text, reply_to, media, sent_at, received_at, edited, role, may_ask, forwarded)
         VALUES ((SELECT id FROM chats WHERE channel = @channel AND address = @address), @direction, @platformId,
           (SELECT id FROM senders WHERE channel = @channel AND address = @address), @sender, @text, @replyTo, @media,
           @now, @now, @edited, @role, @mayAsk, @forwarded)`,
        );
        const flags = { edited: Number(edited), mayAsk: Number(mayAsk), forwarded: Number(forwarded) };
        const quoted = replyTo ? JSON.stringify(replyTo) : null;
        const about = { channel, address, direction, platformId, sender, text, role, now: Date.now() };
        const row = insert.run({ ...about, ...flags, replyTo: quoted, media: JSON.stringify(media) });
        const id = Number(row.lastInsertRowid);
        if (runId !== undefined)
          db.prepare('INSERT INTO run_messages (run_id, message_id, handed) VALUES (?, ?, 1)').run(runId, id);
        return id;
      })
      .immediate(),
  );
}

/** The bytes of a message's file, at the host. */
export function putMedia({ daemon }: Scene, messageId: number, index: number, bytes: Buffer): void {
  const folder = join(daemon.home, 'data/media');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${messageId}-${index}`), bytes);
}

/** A message with one file that lies at the host, in a chat of a group of its own; returns its id. */
export function addMedia(scene: Scene, group: string, bytes: number): number {
  addGroup(scene, group);
  const media = [{ kind: 'document', fileName: 'a.bin', mimeType: 'x/y', sizeBytes: bytes, ref: 'r', fetched: true }];
  const id = addMessage(scene, { chat: `test:${group}`, text: 'a file', role: null, media });
  putMedia(scene, id, 0, Buffer.alloc(bytes, 7));
  return id;
}

/** That many messages in a chat of the main group. */
export function fillHistory(scene: Scene, times: number): void {
  addGroup(scene, 'main');
  const words = ['the', 'that', 'there', 'then', 'they', 'meeting', 'tomorrow', 'a', 'b', 'c', 'd'];
  withStore(scene, (db) => {
    const insert = db.prepare(
      `INSERT INTO messages (chat_id, direction, platform_id, sender_name, text, sent_at, received_at)
       VALUES ((SELECT id FROM chats WHERE channel = 'test' AND address = 'main'), 'in', ?, 'Eve', ?, 1, 1)`,
    );
    const text = (n: number) =>
      [n % 2 ? 'odd' : 'even', ...words.map((word, at) => ((n >> at) & 1 ? word : `th${n * at}`))].join(' ');
    db.transaction(() => {
      for (let n = 0; n < times; n += 1) insert.run(`h${n}`, text(n));
    })();
  });
}

/** How the main group's containers may reach other hosts, from now on. */
export const setEgressMode = (scene: Scene, mode: string): unknown =>
  withStore(scene, (db) => db.prepare(`UPDATE groups SET egress_mode = ? WHERE folder = 'main'`).run(mode));

type OfRun = Scene & { runId: number };

const event = z.object({ kind: z.string(), detail: z.string().transform((text): unknown => JSON.parse(text)) });
/** The timeline of the run that attacks. */
export const eventsOf = (scene: OfRun): z.infer<typeof event>[] =>
  withStore(scene, (db) =>
    z.array(event).parse(db.prepare('SELECT kind, detail FROM events WHERE run_id = ? ORDER BY id').all(scene.runId)),
  );

/** Bytes of it. */
export const timelineBytes = (scene: OfRun): number =>
  numberOf(scene, 'SELECT coalesce(sum(length(detail)), 0) FROM events WHERE run_id = ?', scene.runId);

/** Lines in it about connections to the outside. */
export const egressLines = (scene: OfRun): number =>
  numberOf(scene, `SELECT count(*) FROM events WHERE run_id = ? AND kind = 'egress'`, scene.runId);

/** Messages of that run that may still go out. */
export const queuedOf = (scene: OfRun): number =>
  numberOf(scene, `SELECT count(*) FROM outbox WHERE state = 'queued' AND run_id = ?`, scene.runId);

/** The most lines within a minute that say in the timeline of one run that a bound was reached. A run right after another may have none. */
export const refusals = (scene: Scene): number => {
  const inMinute = `SELECT count(*) FROM events b WHERE b.kind = 'refused' AND b.run_id = a.run_id AND b.at BETWEEN a.at AND a.at + 59000`;
  return numberOf(scene, `SELECT max((${inMinute})) FROM events a WHERE a.kind = 'refused'`);
};

/** Files that lie in the outbox. */
export const outboxFiles = ({ daemon }: Scene): string[] => {
  const folder = join(daemon.home, 'data/outbox');
  return existsSync(folder) ? readdirSync(folder) : [];
};
