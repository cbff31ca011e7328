// Full-text search over a group's own chats, newest first, in bounded time however many messages there are. The terms of the index have the group
// in front of them; matches are read a stretch of messages at a time, and between two stretches other work of this process goes on.
import type { z } from 'zod';
import { flag, type Statements } from '../core/statements.js';
import { historyResponse } from '../wire.js';
import { type SearchIndex, scoped } from './search-index.js';
import { fold, MAX_CHARS, type QueryTerm, readQuery } from './search-words.js';

/** `untrusted`: passed on from elsewhere, or said by somebody who may not ask. */
const searchHit = historyResponse.shape.results.element.extend({ untrusted: flag });
type SearchHit = z.infer<typeof searchHit>;
/** `note`: why there may be more than `results`. */
type SearchAnswer = { results: SearchHit[]; note?: string };

/** Words of the index that begin like the last one of a query; beyond, the texts are looked at. */
const MAX_BEGINNINGS = 16;
/** Characters of a message in a hit, and of all hits. */
const MAX_CHARS_SHOWN = 4_000;
const MAX_CHARS_IN_ALL = 60_000;
const PAGE = 100;
/** Messages that one statement looks through: at first, and at most. */
const STRETCH = 8_000;
const MAX_STRETCH = 32_000;
/** How long one turn works, ms, and all of a search. */
const TURN_MS = 4;
const MAX_MS = 300;
/** How long messages of the last moments are waited for before it. */
const MAX_CATCH_UP_MS = 1_000;

const NOTES = {
  noWord: 'The query has no word in it.',
  manyWords: 'The query has too many words: all of them must occur. Use fewer.',
  behind: 'Older messages are still being indexed after an update: there may be more, search again in some minutes.',
  stopped: 'The search was ended before it had looked through all messages: use rarer words.',
  long: 'There is more than fits here: use more words, or a lower limit.',
};

export function createSearch(statements: Statements, index: SearchIndex) {
  const { rows, value, values } = statements;
  const choicesOf = createChoices(statements);
  const newestId = value<[], number | null>('SELECT max(id) FROM messages');
  const matches = values<[query: string, from: number, to: number], number>(
    `SELECT rowid FROM messages_fts WHERE messages_fts MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC LIMIT ${PAGE}`,
  );
  const ownHit = rows(searchHit).get<[groupId: number, id: number]>(
    `SELECT chats.title AS chat, m.sender_name AS sender, m.sent_at, (m.forwarded OR NOT m.may_ask) AS untrusted,
       iif(m.forwarded, '[forwarded] ', '') || substr(m.text, 1, ${MAX_CHARS}) AS text
     FROM messages m JOIN chats ON chats.id = m.chat_id WHERE m.id = ?2 AND chats.group_id = ?1`,
  );

  /** Newest first. All words of `query` must occur, "words in quotes" beside each other; nothing in it is an operator. */
  return async function search(groupId: number, query: string, limit: number): Promise<SearchAnswer> {
    const before = createTurns();
    while (index.stepNew() && before.usedMs() < MAX_CATCH_UP_MS) await before.giveWay();
    const turns = createTurns();
    const read = readQuery(query);
    if (!read) return { results: [], note: NOTES.manyWords };
    const { terms, patterns } = read;
    if (terms.length === 0) return { results: [], note: NOTES.noWord };
    const behind = index.isBehind(groupId) && { note: NOTES.behind };
    const needed = terms.map((term) => choicesOf(groupId, term));
    if (needed.some(({ choices }) => choices.length === 0)) return { results: [], ...behind };
    const match = needed.map(({ choices }) => `(${choices.map(quote).join(' OR ')})`).join(' AND ');
    const tests = [...patterns, ...needed.flatMap(({ pattern }) => pattern ?? [])];
    const results: SearchHit[] = [];
    let [left, stretch] = [MAX_CHARS_IN_ALL, STRETCH];
    for (let to = newestId() ?? 0; to > 0; ) {
      const from = Math.max(1, to - stretch + 1);
      const ids = matches(match, from, to);
      to = (ids.length === PAGE ? (ids.at(-1) ?? from) : from) - 1;
      if (ids.length === 0) stretch = Math.min(stretch * 2, MAX_STRETCH);
      for (const id of ids) {
        const hit = ownHit(groupId, id);
        if (hit && (tests.length === 0 || matchesAll(tests, hit.text))) {
          const text = hit.text.slice(0, MAX_CHARS_SHOWN);
          left -= text.length;
          if (left < 0) return { results, note: NOTES.long };
          if (results.push({ ...hit, text }) === limit) return { results, ...behind };
        }
        await turns.giveWay();
      }
      await turns.giveWay();
      if (turns.usedMs() > MAX_MS) return { results, note: NOTES.stopped };
    }
    return { results, ...behind };
  };
}

function createChoices({ value }: Statements) {
  const nextTerm = value<[from: string], string>('SELECT term FROM temp.message_terms WHERE term >= ?1 LIMIT 1');

  /** Undefined: so many words begin so that the texts must be looked at. */
  function wordsFrom(start: string): string[] | undefined {
    const words: string[] = [];
    for (let word = nextTerm(start); word?.startsWith(start); word = nextTerm(`${word}\u0001`)) {
      if (words.push(word) > MAX_BEGINNINGS) return undefined;
    }
    return words;
  }

  /** What the index must have of a term, one of them, and what the text must match besides. */
  return function choicesOf(groupId: number, { term, prefix }: QueryTerm): { choices: string[]; pattern?: RegExp } {
    const own = scoped(groupId, term);
    if (!prefix) return { choices: [own] };
    const all = scoped(groupId, prefix.beginning);
    if (all === `${own}~`) return { choices: [own, all] };
    const words = wordsFrom(own);
    return words ? { choices: words } : { choices: [own, all], pattern: prefix.pattern };
  };
}

function matchesAll(patterns: RegExp[], text: string): boolean {
  const folded = fold(text);
  return patterns.every((pattern) => pattern.test(folded));
}

/** Lets other work of this process go on whenever this has worked for some milliseconds. */
function createTurns() {
  let [began, used] = [performance.now(), 0];
  const worked = () => performance.now() - began;
  return {
    usedMs: () => used + worked(),
    async giveWay() {
      if (worked() < TURN_MS) return;
      used += worked();
      await new Promise((resolve) => setImmediate(resolve));
      began = performance.now();
    },
  };
}

const quote = (term: string) => `"${term}"`;
