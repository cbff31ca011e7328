// Where the parser reads Markdown otherwise than people mean it: link definitions that nobody refers to, single tildes, marks of emphasis
// beside Chinese, Japanese and Korean. Pure.
import { Hooks, Lexer, type Links, Tokenizer, type Tokens } from 'marked';
import { labelOf } from './segments.js';

/** Letters of scripts that put no spaces between words, with their own punctuation. */
const CJK =
  '[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Bopomofo}\\u3000-\\u303f\\uff00-\\uffef\\ufe30-\\ufe4f]';
const isCjk = (character: string): boolean => new RegExp(`^${CJK}$`, 'u').test(character);
const CJK_PUNCTUATION = new RegExp(`(?=${CJK})[\\p{P}\\p{S}]`, 'gu');
/** A mark stands between punctuation and such a letter: for the parser the punctuation would be the end of a word. */
const BEFORE_CJK = new RegExp(`[\\p{P}\\p{S}](?=(?<!\\*)\\*+${CJK})`, 'gu');
const AFTER_CJK = new RegExp(`(?<=${CJK}\\*+)(?!\\*)[\\p{P}\\p{S}]`, 'gu');
/** A letter of the same length in UTF-16 units. */
const asLetters = (text: string): string => 'x'.repeat(text.length);

/** What the parser looks for the closing marks of emphasis in: punctuation of or beside these scripts is a letter there. */
class EmphasisMask extends Hooks {
  override emStrongMask(src: string): string {
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

  override emStrong(src: string, mask: string, before = ''): Tokens.Em | Tokens.Strong | undefined {
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
