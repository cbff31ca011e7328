// Stars and underscores that are no marks of emphasis, though Markdown takes them so: in products, powers, formulas, names of Python. Pure.

/** Letters of scripts that put no spaces between words, with their own punctuation. */
export const CJK =
  '[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Bopomofo}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}\\u3000-\\u303f\\uff00-\\uffef\\ufe30-\\ufe4f]';

const WORD = `(?:(?!${CJK})[\\p{L}\\p{N}])`;
const ENDS_WORD = new RegExp(`(?:${WORD}|[)\\]])$`, 'u');
const BEGINS_WORD = new RegExp(`^(?:${WORD}|[(])`, 'u');

interface Stars {
  at: number;
  size: number;
  line: number;
  /** Within a word, or between two brackets. */
  within: boolean;
  before: string;
  after: string;
}

function starsOf(text: string): Stars[] {
  let line = 0;
  return [...text.matchAll(/\*+|\n/g)].flatMap(({ 0: found, index: at }) => {
    if (found === '\n') {
      line += 1;
      return [];
    }
    const size = found.length;
    const [before, after] = [text.slice(Math.max(0, at - 2), at), text.slice(at + size, at + size + 2)];
    return [{ at, size, line, within: ENDS_WORD.test(before) && BEGINS_WORD.test(after), before, after }];
  });
}

/** `2*3*4`, `x*y + z*w`: another one within a word is on the same line. Of `un**believ**able` it is in the same word. */
function isOperator(stars: Stars[], index: number, text: string): boolean {
  const one = stars[index];
  if (!one?.within || one.size > 2) return false;
  const isPair = one.size === 2;
  const [previous, next] = [stars[index - 1], stars[index + 1]].map((other) =>
    other?.size === one.size && other.line === one.line ? other : undefined,
  );
  const opensWord = previous && !ENDS_WORD.test(previous.before);
  if (/^\d/.test(one.after) && (/\d$/.test(one.before) || isPair)) return !opensWord || !isPair;
  const isPartOf = (other: Stars | undefined) =>
    other?.within && (!isPair || /\s/.test(text.slice(Math.min(one.at, other.at), Math.max(one.at, other.at))));
  return Boolean(isPartOf(previous) || isPartOf(next));
}

const NAMES = [
  // `__init__.py`, `obj.__dict__`, `__call__()`.
  '(?<=[\\w./])NAME(?!\\w)|(?<!\\w)NAME(?=[(/]|\\.\\w)'.replaceAll('NAME', '__[a-z]{1,20}(?:_[a-z]{1,20}){0,3}__'),
  '(?<!\\w)__(?:all|call|class|del|dict|dirname|doc|enter|eq|exit|file|filename|future|getattr|getitem|hash|import|init|iter|len|main|mocks|module|name|new|next|post_init|proto|pycache|repr|setattr|slots|snapshots|str|tests|typename|version)__(?!\\w)',
];
const NAME = new RegExp(NAMES.join('|'), 'g');
const FORMULA = /\$(?=[^\s$])[^$\n]*[^\s$\\]\$(?![\p{L}\p{N}])|\$\$[^$]+\$\$/gu;
const asLetters = (text: string): string => text.replace(/[*_]/g, 'x');

/** The text, of the same length in UTF-16 units, with letters in place of what is no mark. */
export function maskNoMarks(text: string): string {
  const stars = starsOf(text);
  const operators = new Set(stars.filter((_, index) => isOperator(stars, index, text)).map(({ at }) => at));
  return text
    .replace(/\*+/g, (mark, at: number) => (operators.has(at) ? asLetters(mark) : mark))
    .replace(NAME, asLetters)
    .replace(FORMULA, (whole) => (/[\\^_]/.test(whole) ? asLetters(whole) : whole));
}
