// Puts the terms of messages into the search index, a few milliseconds at a time: new messages, changed ones, all of a chat that came to another
// group, and after an update those of years. What is to be done are rows (`search_todo`), so that it goes on after any end of the process.
import { once } from 'node:events';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import type { Db } from '../core/db.js';
import { MAX_CHARS, termsOf } from './search-words.js';

const todo = z.object({ id: z.number(), chatId: z.number(), fromId: z.number(), untilId: z.number() });
const message = z.object({ id: z.number(), text: z.string(), groupId: z.number().nullable() });

/** How long one step takes messages in, ms, and how many pages of the index it joins after that: it holds the event loop. */
const STEP_MS = 3;
const MERGE_PAGES = 16;
const PAUSE_MS = 5;
/** New messages are indexed together: the search itself does not wait for this. */
const GATHER_MS = 1_000;

export type SearchIndex = ReturnType<typeof createSearchIndex>;

export function createSearchIndex({ statements, transaction }: Pick<Db, 'statements' | 'transaction'>) {
  const { rows, run, exists } = statements;
  const newest = rows(todo).get<[]>('SELECT * FROM search_todo ORDER BY id DESC LIMIT 1');
  const next = rows(message).get<[chatId: number, fromId: number, untilId: number]>(
    `SELECT m.id, substr(m.text, 1, ${MAX_CHARS}) AS text, c.group_id FROM messages m JOIN chats c ON c.id = m.chat_id
     WHERE m.chat_id = ?1 AND m.id BETWEEN ?2 AND ?3 ORDER BY m.id DESC LIMIT 1`,
  );
  const put = run<[id: number, terms: string]>('INSERT OR REPLACE INTO messages_fts (rowid, terms) VALUES (?1, ?2)');
  const remove = run<[id: number]>('DELETE FROM messages_fts WHERE rowid = ?1');
  // SQLite would join the parts of the index by itself in pieces of any size (up to 370 ms with a million messages): the migration turned that off.
  const merge = run<[]>(`INSERT INTO messages_fts (messages_fts, rank) VALUES ('merge', ${MERGE_PAGES})`);
  const goOn = run<[id: number, untilId: number]>('UPDATE search_todo SET until_id = ?2 WHERE id = ?1');
  const done = run<[id: number]>('DELETE FROM search_todo WHERE id = ?1');

  function indexNext(work: z.infer<typeof todo>): void {
    const found = next(work.chatId, work.fromId, work.untilId);
    if (found?.groupId) put(found.id, [...termsOf(found.text)].map((term) => scoped(found.groupId, term)).join(' '));
    else if (found) remove(found.id);
    if (found && found.id > work.fromId) goOn(work.id, found.id - 1);
    else done(work.id);
  }

  /** Newest first, so that what people search soon is there soon. */
  function step(onlyNew: boolean): boolean {
    return transaction(() => {
      const end = performance.now() + STEP_MS;
      let work = newest();
      while (work && !(onlyNew && work.fromId < work.untilId) && performance.now() < end) {
        indexNext(work);
        work = newest();
      }
      merge();
      return work !== undefined && !(onlyNew && work.fromId < work.untilId);
    });
  }
  return {
    /** Some milliseconds of work; false when nothing is left. */
    step: () => newest() !== undefined && step(false),
    /** The same of messages that were stored or changed just now. */
    stepNew: () => newest() !== undefined && step(true),
    /** Whether messages of this group are not in the index yet. */
    isBehind: exists<[groupId: number]>(
      'SELECT 1 FROM chats c WHERE c.group_id = ?1 AND EXISTS (SELECT 1 FROM search_todo t WHERE t.chat_id = c.id) LIMIT 1',
    ),
  };
}

/** A term of a group: a search sees no other group's. */
export const scoped = (groupId: number | null, term: string): string => `${groupId}:${term}`;

interface IndexingDeps {
  store: { searchIndex: SearchIndex; signals: Db['signals'] };
  clock: Pick<Clock, 'sleep'>;
}

/** Keeps the index up to date until it is stopped. */
export function startIndexing({ store, clock }: IndexingDeps): { stop(): Promise<void> } {
  const over = new AbortController();
  const { signal } = over;
  const loop = async () => {
    while (!signal.aborted) {
      if (store.searchIndex.step()) await clock.sleep(PAUSE_MS, signal);
      else {
        await once(store.signals, 'message', { signal }).catch(() => undefined);
        await clock.sleep(GATHER_MS, signal);
      }
    }
  };
  const finished = loop();
  return {
    async stop() {
      over.abort();
      await finished;
    },
  };
}
