// What a text and a query are to the search: terms of the index, and, where terms are not enough, a pattern that the text must match. Pure.
// Words in scripts that put no spaces between them become single characters and pairs of neighbours, so that a word is found inside a sentence;
// other words are kept whole, with their first letters as a term of their own. Signs count where they belong to a word: C++, .NET, #tag.

/** Of a text that is indexed: more would hold the event loop. */
export const MAX_CHARS = 40_000;
const MAX_TERM_CHARS = 48;
/** A shorter word is found as it is written, a longer one also where another begins with it. */
const MIN_PREFIX = 3;

const UNSPACED = String.raw`\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}\p{scx=Hang}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}`;
const LETTER = String.raw`[\p{L}\p{N}\p{M}]`;
const SPACED = `(?:(?![${UNSPACED}])${LETTER})`;
const PICTURE = String.raw`(?:(?![\x00-\x7f])[\p{So}\p{Sc}\p{Extended_Pictographic}])`;
/** A sign before a word, the word, what follows it; or a run of characters without spaces. */
const PARTS = new RegExp(
  String.raw`(?:(?<!${LETTER}|[.#@$])([.#@$]))?(${SPACED}+)(\+{2,3}(?!\+)|[+#](?![+#\p{L}\p{N}]))?|((?:(?=[${UNSPACED}])${LETTER})+|${PICTURE}+)`,
  'gu',
);
const START = `(?<!${SPACED})`;
const END = `(?!${SPACED})`;
/** What may stand between two words that the query has beside each other. */
const GAP = String.raw`[^\p{L}\p{N}]{1,5}`;
const SOFT = /^[\s\-/,;:!?()[\]{}<>|"'*~]*[\s\-/,;:][\s\-/,;:!?()[\]{}<>|"'*~]*$/u;

/** Accents, points of Hebrew and Arabic, what has no width, colours of skin. */
const UNSEEN = /[\u0300-\u036f]|[\u0591-\u05c7]|[\u064b-\u065f]|\p{Cf}|[\ufe00-\ufe0f]|[\u{1f3fb}-\u{1f3ff}]/gu;

/** One form for what people see as the same: width, case, accents and points, quotes, dashes, marks that are not seen. */
export function fold(text: string): string {
  const plain = text.slice(0, MAX_CHARS).replaceAll('\0', ' ').normalize('NFKC').slice(0, MAX_CHARS);
  if (/^[\x00-\x7f]*$/.test(plain)) return plain.toLowerCase();
  return plain
    .toUpperCase()
    .toLowerCase()
    .normalize('NFD')
    .replace(UNSEEN, '')
    .normalize('NFC')
    .replaceAll('ς', 'σ')
    .replace(/[‘’‚‛′]/g, "'")
    .replace(/[“”„«»「」『』]/g, '"')
    .replace(/[‐-―−]/g, '-');
}

interface Part {
  /** Letters and digits. */
  word: string;
  /** The same with the signs that belong to it. */
  signed: string;
  unspaced: boolean;
  at: number;
  end: number;
}

const partsOf = (folded: string): Part[] =>
  [...folded.matchAll(PARTS)].map(({ 0: signed, 2: word, 4: run, index }) => ({
    word: word ?? run ?? '',
    signed,
    unspaced: word === undefined,
    at: index,
    end: index + signed.length,
  }));

const cut = (word: string) => word.slice(0, MAX_TERM_CHARS);
/** Words of four letters or more that begin so. */
const beginning = (word: string) => `${word.slice(0, MIN_PREFIX)}~`;

/** Neighbours, or the only character. */
function pairsOf(run: string): string[] {
  const characters = [...run];
  return characters.length === 1 ? characters : characters.slice(1).map((one, at) => `${characters[at]}${one}`);
}

/** The terms by which a text is found, each once. */
export function termsOf(text: string): Set<string> {
  const terms = new Set<string>();
  for (const { word, signed, unspaced } of partsOf(fold(text))) {
    if (unspaced) {
      for (const character of word) terms.add(character);
      for (const pair of pairsOf(word)) terms.add(pair);
      continue;
    }
    terms.add(cut(word));
    if (signed !== word) terms.add(cut(signed));
    if (word.length > MIN_PREFIX) terms.add(beginning(word));
  }
  return terms;
}

/** `prefix`: words that begin so count too; `beginning` is the term that all of them have. */
export type QueryTerm = { term: string; prefix?: { beginning: string; pattern: RegExp } };
/** A text has all of `terms`, and where the terms do not say enough it matches `patterns`, in the form that `fold` makes. */
export type Query = { terms: QueryTerm[]; patterns: RegExp[] };
/** Patterns and matches of more would hold the event loop. */
const MAX_WORDS = 32;
const MAX_TERMS = 64;

/** Words, and "words in quotes" that stand beside each other; nothing else has a meaning of its own. Undefined: they are too many. */
export function readQuery(query: string): Query | undefined {
  const folded = fold(query);
  if (partsOf(folded).length > MAX_WORDS) return undefined;
  const clauses = [...folded.matchAll(/"([^"]+)"|([^\s"]+)/gu)].map(([, phrase, chunk = '']) =>
    phrase === undefined ? clauseOf(chunk, false) : clauseOf(phrase, true),
  );
  const terms = new Map(clauses.flatMap((clause) => clause.terms).map((term) => [term.term, term]));
  if (terms.size > MAX_TERMS) return undefined;
  return { terms: [...terms.values()], patterns: clauses.flatMap((clause) => clause.patterns) };
}

/** Whether a text has all that the query asks for, for texts that are in no index. */
export function matches({ terms, patterns }: Query, text: string): boolean {
  const folded = fold(text);
  if (terms.length === 0 || !terms.every(({ term }) => folded.includes(term))) return false;
  const own = termsOf(text);
  const isThere = ({ term, prefix }: QueryTerm) => own.has(term) || prefix?.pattern.test(folded);
  return terms.every(isThere) && patterns.every((pattern) => pattern.test(folded));
}

function clauseOf(text: string, phrase: boolean): Query {
  const parts = partsOf(text);
  const last = parts.at(-1);
  if (!last) return { terms: [], patterns: [] };
  const isLong = last.word.length >= MIN_PREFIX;
  const open = !phrase && !last.unspaced && (isLong || parts.length > 1) && last.signed.endsWith(last.word);
  const pattern = patternOf(text, parts, open);
  const terms = parts.flatMap((part): QueryTerm[] => {
    if (part.unspaced) return pairsOf(part.word).map((term) => ({ term }));
    const term = cut(part.signed);
    if (!open || part !== last) return [{ term }];
    // Of one or two letters too many words begin so: the pattern says it.
    return isLong ? [{ term, prefix: { beginning: beginning(part.word), pattern } }] : [];
  });
  const enough = parts.length === 1 && (last.unspaced ? [...last.word].length <= 2 : last.word.length < MAX_TERM_CHARS);
  return { terms, patterns: enough ? [] : [pattern] };
}

/** Where the query has spaces or dashes between two words, anything but letters may stand; other signs must be there. */
function patternOf(text: string, parts: Part[], open: boolean): RegExp {
  const source = parts.map(({ signed, at }, index) => {
    const before = text.slice(parts[index - 1]?.end ?? at, at);
    return `${SOFT.test(before) ? GAP : literal(before)}${literal(signed)}`;
  });
  const [first, last] = [parts.at(0), parts.at(-1)];
  const start = first?.unspaced || first?.signed !== first?.word ? '' : START;
  const end = open || last?.unspaced ? '' : last?.signed.endsWith(last.word) ? END : '(?![+#])';
  return new RegExp(`${start}${source.join('')}${end}`, 'u');
}

const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, (sign) => `\\${sign}`);
