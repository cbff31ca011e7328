// Where the parser reads Markdown otherwise than people mean it: link definitions that nobody refers to, single tildes, marks of emphasis
// beside Chinese, Japanese and Korean, lines below a text, rows with too many cells. Pure.
import { Hooks, Lexer, type Links, Tokenizer, type Tokens } from 'marked';
import { CJK, maskNoMarks } from './no-marks.js';
import { labelOf } from './segments.js';
import { fitRows } from './table.js';

const isCjk = (character: string): boolean => new RegExp(`^${CJK}$`, 'u').test(character);
const CJK_PUNCTUATION = new RegExp(`(?=${CJK})[\\p{P}\\p{S}]`, 'gu');
/** A mark stands between punctuation and such a letter: for the parser the punctuation would be the end of a word. */
const BEFORE_CJK = new RegExp(`[\\p{P}\\p{S}](?=(?<!\\*)\\*+${CJK})`, 'gu');
const AFTER_CJK = new RegExp(`(?<=${CJK}\\*+)(?!\\*)[\\p{P}\\p{S}]`, 'gu');
/** A letter of the same length in UTF-16 units. */
const asLetters = (text: string): string => 'x'.repeat(text.length);

/** What the parser looks for the closing marks of emphasis in: punctuation of or beside these scripts is a letter there. */
class EmphasisMask extends Hooks {
  override emStrongMask(whole: string): string {
    const src = maskNoMarks(whole);
    if (!new RegExp(CJK, 'u').test(src)) return src;
    const isMark = (text: string) => text === '*' || text === '_';
    const letter = (text: string) => (isMark(text) ? text : asLetters(text));
    return src.replace(BEFORE_CJK, letter).replace(AFTER_CJK, letter).replace(CJK_PUNCTUATION, asLetters);
  }
}

/** What one parse is told of the definitions of links, and what it finds out. Labels are as the parser compares them. */
export interface Definitions {
  /** Labels that a reference was read for, in this piece of the text or an earlier one. */
  used: Set<string>;
  /** Every definition counts, as the parser has it. Otherwise those that nobody refers to, or that are there already, are text. */
  countsAll: boolean;
}

function isHeading({ raw, depth, text }: Tokens.Heading): boolean {
  const [line = ''] = raw.split('\n').slice(-1);
  return line.trim().length > 2 && (depth === 1 || !/\n|[.!?:;,。！？：；，…]$/.test(text));
}

class Rules extends Tokenizer {
  private readonly definitions: Definitions;
  readonly defined = new Set<string>();
  constructor(definitions: Definitions) {
    super();
    this.definitions = definitions;
  }

  override def(src: string): Tokens.Def | undefined {
    const found = super.def(src);
    if (!found) return undefined;
    // Of a footnote (`[^1]: …`), which the parser does not know.
    if (found.tag.startsWith('^')) return undefined;
    const { used, countsAll } = this.definitions;
    const isShown = !used.has(found.tag) || this.defined.has(found.tag);
    this.defined.add(found.tag);
    return isShown && !countsAll ? undefined : found;
  }

  override reflink(src: string, links: Links): Tokens.Link | Tokens.Image | Tokens.Text | undefined {
    const found = super.reflink(src, links);
    const { reflink, nolink } = this.rules.inline;
    const [, text = '', label = ''] = reflink.exec(src) ?? nolink.exec(src) ?? [];
    if (found && found.type !== 'text') this.definitions.used.add(labelOf(label || text));
    return found;
  }

  /** GitHub strikes through with one tilde too; people write `10~15` and `~/bin`. */
  override del(...call: Parameters<Tokenizer['del']>): Tokens.Del | undefined {
    return call[0].startsWith('~~') ? super.del(...call) : undefined;
  }

  /** What is written below a line to part it from the next, or to sign, makes no heading of that line. */
  override lheading(src: string): Tokens.Heading | undefined {
    const found = super.lheading(src);
    return found && isHeading(found) ? found : undefined;
  }

  override paragraph(src: string): Tokens.Paragraph | undefined {
    const found = /\n {0,3}-{3,} *(?:\n|$)/.test(src) ? super.lheading(src) : undefined;
    const text = found && !isHeading(found) && found.text.includes('\n') ? found.raw.replace(/[^\n]*$/, '') : src;
    return super.paragraph(text);
  }

  /** Cells beyond those of the heading are kept in the last one; the parser leaves them out. */
  override table(src: string): Tokens.Table | undefined {
    const lines = fitRows(src);
    const found = super.table(lines?.join('\n') ?? src);
    return lines && found ? { ...found, raw: src.split('\n', found.raw.split('\n').length).join('\n') } : found;
  }

  override emStrong(src: string, mask: string, before = ''): Tokens.Em | Tokens.Strong | undefined {
    if (mask.at(-src.length) !== src[0]) return undefined;
    const [, after = ''] = /^\*+(.)/su.exec(src) ?? [];
    const isBeside = isCjk(after) || (after.trim() !== '' && isCjk(before));
    return super.emStrong(src, mask, isBeside ? '' : before);
  }
}

/** A parser for one piece of text. `defined`: the labels of the definitions that it came upon. */
export function createLexer(definitions: Definitions): { lexer: Lexer; defined: ReadonlySet<string> } {
  const tokenizer = new Rules(definitions);
  const lexer = new Lexer({ gfm: true, breaks: true, tokenizer, hooks: new EmphasisMask() });
  return { lexer, defined: tokenizer.defined };
}
