// Search in memory files: the index names the newest versions that have all words, then their lines are looked at.
import { setImmediate } from 'node:timers/promises';
import { scoped } from '../groups/search-index.js';
import { fold, matches, type Query, type QueryTerm, readQuery } from '../groups/search-words.js';
import type { HistoryResponse } from '../wire.js';
import type { Store } from './store.js';

type Hit = NonNullable<HistoryResponse['memory']>[number];

const MAX_FILES = 50;
/** Of one file, and characters of one line. */
const MAX_LINES = 3;
const MAX_CHARS = 500;
/** How long one turn works, ms, and all of a search. */
const TURN_MS = 4;
const MAX_MS = 300;

/** Files that changed last come first. Of each the lines that have all words, else those that have most of them. */
export const createMemorySearch =
  ({ memory }: Pick<Store, 'memory'>) =>
  async (groupId: number, text: string, limit: number): Promise<Hit[]> => {
    const query = readQuery(text);
    if (!query || query.terms.length === 0) return [];
    const match = query.terms.map((term) => `(${choicesOf(groupId, term).join(' OR ')})`).join(' AND ');
    const until = performance.now() + MAX_MS;
    const hits: Hit[] = [];
    for (const id of memory.matching(match, MAX_FILES)) {
      const version = memory.get(id);
      const content = version?.groupId === groupId && version.hash ? memory.content(version.hash) : undefined;
      if (!version || content === undefined) continue;
      const lines = await bestLines(query, content, until);
      hits.push(...lines.map(({ line, shown }) => ({ file: version.path, line, text: shown })));
      if (hits.length >= limit || performance.now() > until) break;
    }
    return hits.slice(0, limit);
  };

const choicesOf = (groupId: number, { term, prefix }: QueryTerm): string[] =>
  [term, ...(prefix ? [prefix.beginning] : [])].map((one) => `"${scoped(groupId, one)}"`);

async function bestLines(query: Query, content: string, until: number) {
  const found: { line: number; shown: string; words: number }[] = [];
  let turn = performance.now();
  for (const [at, line] of content.split('\n').entries()) {
    if (performance.now() - turn > TURN_MS) {
      await setImmediate();
      turn = performance.now();
      if (turn > until) break;
    }
    const folded = fold(line);
    const some = query.terms.filter(({ term }) => folded.includes(term)).length;
    if (some === 0) continue;
    const words = matches(query, line) ? query.terms.length + 1 : some;
    found.push({ line: at + 1, shown: line.trim().slice(0, MAX_CHARS), words });
  }
  const most = Math.max(...found.map(({ words }) => words));
  return found.filter(({ words }) => words === most).slice(0, MAX_LINES);
}
