// Full-text search over a group's own chats, in bounded time however many messages there are. A prefix query of FTS5 would first collect every
// place of every word with that prefix, and ranking would look at every match. So each prefix becomes a bounded list of words of the index,
// and matches are read newest first, a page at a time.
import type { z } from 'zod';
import { flag, type Statements } from '../core/statements.js';
import { historyResponse } from '../wire.js';

/** `untrusted`: passed on from elsewhere, or said by somebody who may not ask. */
const searchHit = historyResponse.shape.results.element.extend({ untrusted: flag });
type SearchHit = z.infer<typeof searchHit>;

const MAX_WORDS = 8;
/** Words of the index that the words of one query may stand for, in all. */
const MAX_TERMS = 64;
/** A longer word is searched only if the index has it, or words that begin with it. */
const MAX_WORD_CHARS = 64;
/** Characters of a message in a hit. */
const MAX_CHARS = 4_000;
const PAGE = 1_000;
/** Matches of all groups that are looked through for the group's own. */
const MAX_PAGES = 20;

export function createSearch({ rows, value, values }: Statements) {
  const nextTerm = value<[from: string], string>('SELECT term FROM temp.message_terms WHERE term >= ?1 LIMIT 1');
  const matches = values<[query: string, before: number], number>(
    `SELECT rowid FROM messages_fts WHERE messages_fts MATCH ?1 AND rowid < ?2 ORDER BY rowid DESC LIMIT ${PAGE}`,
  );
  const ownOf = rows(searchHit).all<[groupId: number, ids: number[], limit: number]>(
    `SELECT chats.title AS chat, m.sender_name AS sender, m.sent_at, (m.forwarded OR NOT m.may_ask) AS untrusted,
       iif(m.forwarded, '[forwarded] ', '') || substr(m.text, 1, ${MAX_CHARS}) AS text
     FROM json_each(?2) match JOIN messages m ON m.id = match.value JOIN chats ON chats.id = m.chat_id
     WHERE chats.group_id = ?1 ORDER BY m.id DESC LIMIT ?3`,
  );

  /** The word and, in the index's order, those that begin with it. */
  function termsOf(word: string, limit: number): string[] {
    // The index may split the word at letters that it does not know. That makes a phrase, which is expensive to match when it is long.
    const terms = new Set(word.length > MAX_WORD_CHARS ? [] : [word]);
    const start = word.toLowerCase();
    for (let term = nextTerm(start); term?.startsWith(start) && terms.size < limit; term = nextTerm(`${term}\u0001`))
      terms.add(term);
    return [...terms];
  }

  /** Newest first. Every word of `query` must occur, or one that begins with it; FTS5 operators in it have no power. */
  return async function search(groupId: number, query: string, limit: number): Promise<SearchHit[]> {
    const words = wordsOf(query).slice(0, MAX_WORDS);
    const share = Math.floor(MAX_TERMS / words.length);
    const terms = words.map((word) => termsOf(word, share));
    if (terms.length === 0 || terms.some((some) => some.length === 0)) return [];
    const match = terms.map((some) => `(${some.map(quote).join(' OR ')})`).join(' AND ');
    const hits: SearchHit[] = [];
    let before = Number.MAX_SAFE_INTEGER;
    for (let page = 0; page < MAX_PAGES && hits.length < limit; page += 1) {
      const ids = matches(match, before);
      hits.push(...ownOf(groupId, ids, limit - hits.length));
      before = ids.at(-1) ?? 0;
      if (ids.length < PAGE) break;
      // Lets other work of this process go on between two pages.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return hits;
  };
}

/** Split where the index splits, so that `foo-bar` is two words and no phrase; without diacritics, as in the index (unicode61). */
function wordsOf(query: string): string[] {
  const plain = query
    .normalize('NFD')
    .replace(/[\u0300-\u036f]/g, '')
    .normalize('NFC');
  return [...new Set(plain.split(/[^\p{L}\p{N}]+/u).filter(Boolean))];
}

const quote = (term: string) => `"${term}"`;
