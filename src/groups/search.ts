// Full-text search over a group's own chats that holds nothing else up, whatever is asked of however many messages. FTS5 would gather all
// places of all words with a common beginning before it gave the first, and rank every match: both grow with the store. So beginnings are
// turned into a bounded list of words, matches come newest first, and a page of them at a time.
import type { Statements } from '../core/statements.js';

export interface SearchHit {
  chat: string;
  sender: string;
  sentAt: number;
  text: string;
}

const MAX_WORDS = 8;
/** Words of the index that the words of one query may stand for, in all. */
const MAX_TERMS = 64;
/** Of one message. */
const MAX_CHARS = 4_000;
const PAGE = 1_000;
/** Matches of all groups that are looked through for the group's own. */
const MAX_PAGES = 20;

export function createSearch({ all, value, values }: Statements) {
  const nextTerm = value<[from: string], string>('SELECT term FROM temp.message_terms WHERE term >= ?1 LIMIT 1');
  const matches = values<[query: string, before: number], number>(
    `SELECT rowid FROM messages_fts WHERE messages_fts MATCH ?1 AND rowid < ?2 ORDER BY rowid DESC LIMIT ${PAGE}`,
  );
  const ownOf = all<[groupId: number, ids: number[], limit: number], SearchHit>(
    `SELECT chats.title AS chat, m.sender_name AS sender, m.sent_at AS sentAt,
       iif(m.forwarded, '[forwarded] ', '') || substr(m.text, 1, ${MAX_CHARS}) AS text
     FROM json_each(?2) match JOIN messages m ON m.id = match.value JOIN chats ON chats.id = m.chat_id
     WHERE chats.group_id = ?1 ORDER BY m.id DESC LIMIT ?3`,
  );

  /** The word and, in the index's order, those that begin with it. */
  function termsOf(word: string, limit: number): string[] {
    const terms = new Set([word]);
    const start = fold(word);
    if (/[^\p{L}\p{N}]/u.test(start)) return [word];
    for (let term = nextTerm(start); term?.startsWith(start) && terms.size < limit; term = nextTerm(`${term}\u0001`))
      terms.add(term);
    return [...terms];
  }

  /** Newest first. Every word of `query` must occur, or one that begins with it; FTS5 operators in it have no power. */
  return async function search(groupId: number, query: string, limit: number): Promise<SearchHit[]> {
    const words = query.split(/\s+/u).map(bare).filter(Boolean).slice(0, MAX_WORDS);
    if (words.length === 0) return [];
    const share = Math.floor(MAX_TERMS / words.length);
    const match = words.map((word) => `(${termsOf(word, share).map(quote).join(' OR ')})`).join(' AND ');
    const hits: SearchHit[] = [];
    let before = Number.MAX_SAFE_INTEGER;
    for (let page = 0; page < MAX_PAGES && hits.length < limit; page += 1) {
      const ids = matches(match, before);
      hits.push(...ownOf(groupId, ids, limit - hits.length));
      before = ids.at(-1) ?? 0;
      if (ids.length < PAGE) break;
      // Others come in between.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return hits;
  };
}

/** Without what stands around a word. */
const bare = (word: string) => word.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '');
const quote = (term: string) => `"${term.replaceAll('"', '""')}"`;

/** As the index has them (unicode61, diacritics removed). */
const fold = (word: string) => word.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
