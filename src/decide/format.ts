// Markdown as models write it, turned into what a screen shows: one walk over the tokens, one table of renderers per target
// (format-targets.ts). Pure; knows nothing about chats or the network.
import { Marked, type MarkedToken, type Token, type Tokens } from 'marked';
import { plainText, type Target, telegramTarget, webTarget } from './format-targets.js';

/** Longer texts, and texts nested deeper than anybody reads, are shown as they are. */
const MAX_MARKDOWN_CHARS = 2_000_000;
const TOO_DEEP = /^(?:[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)])[ \t])){24}|^[ \t]{100,}(?:[-+*>]|\d)/m;
/** A run in which the lexer looks for an e-mail address again at every character: quadratic time on 100 kB without a space. */
const ADDRESS_RUN = /^[\w.!#$%&'*+/=?^`{|}~-]{2000,}/;

export interface TelegramText {
  /** For `parse_mode: HTML`. */
  html: string;
  /** What a reader sees: `html` after entity parsing. */
  visible: string;
  /** To compare with Telegram's 4,096 UTF-16 units: the visible length, or more where the markup would be too long to send. */
  size: number;
}

/** Markup beyond this is refused by Telegram's servers (about 35,000 bytes in all). */
const MAX_HTML_PER_VISIBLE = 16_000 / 4_096;

/** Telegram's HTML subset. Never throws: what cannot be parsed is shown as plain text. */
export function markdownToTelegram(markdown: string): TelegramText {
  const html = render(markdown, telegramTarget);
  const visible = plainText(html);
  return { html, visible, size: Math.max(visible.length, Math.ceil(html.length / MAX_HTML_PER_VISIBLE)) };
}

/** HTML for our page: tags from a fixed list, every text escaped, links only http, https and mailto. Never throws. */
export function markdownToSafeHtml(markdown: string): string {
  return render(markdown, webTarget);
}

/** Block tokens whose `raw` joined give `cleanMarkdown` of the text; undefined when it is to be shown as plain text. Never throws. */
export function lexMarkdown(markdown: string): Token[] | undefined {
  const source = cleanMarkdown(markdown);
  if (source.length > MAX_MARKDOWN_CHARS || TOO_DEEP.test(source)) return undefined;
  try {
    return createLexer().lexer(source);
  } catch {
    // RangeError: nesting that used up the stack.
    return undefined;
  }
}

/** One kind of line end, no half characters. */
export function cleanMarkdown(markdown: string): string {
  return markdown.replace(/\r\n?/g, '\n').replace(/[\p{Surrogate}\0]/gu, '\uFFFD');
}

function createLexer(): Marked {
  return new Marked({
    gfm: true,
    tokenizer: {
      // A definition is invisible and acts at a distance: in a chat it is better read than lost, above all when a text is split.
      def: () => undefined,
      inlineText(source) {
        const run = ADDRESS_RUN.exec(source)?.[0];
        return run === undefined ? false : { type: 'text', raw: run, text: run, escaped: false };
      },
    },
  });
}

function render(markdown: string, target: Target): string {
  const tokens = lexMarkdown(markdown);
  try {
    if (tokens) return target.blocks(renderBlocks(tokens, target, { depth: 0, inQuote: false }));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return target.paragraph(target.text(cleanMarkdown(markdown)).trim());
}

interface Position {
  /** How many lists we are in. */
  depth: number;
  inQuote: boolean;
}

const KNOWN: ReadonlySet<string> = new Set<MarkedToken['type']>(
  'blockquote br checkbox code codespan def del em escape heading hr html image link list list_item paragraph space strong table text'.split(
    ' ',
  ) as never,
);

export function isMarked(token: Token): token is MarkedToken {
  return KNOWN.has(token.type);
}

function renderBlocks(tokens: Token[], target: Target, at: Position): string[] {
  return tokens.map((token) => (isMarked(token) ? renderBlock(token, target, at) : '')).filter((block) => block !== '');
}

function renderBlock(token: MarkedToken, target: Target, at: Position): string {
  switch (token.type) {
    case 'heading':
      return target.heading(renderInline(token.tokens, target), token.depth);
    case 'paragraph':
      return target.paragraph(renderInline(token.tokens, target).trim());
    case 'text':
      return token.tokens ? renderInline(token.tokens, target).trim() : target.text(decodeEntities(token.text));
    case 'html':
      return target.paragraph(target.text(token.raw).trim());
    case 'code':
      return target.codeBlock(token.text, /^[\w+#.-]{1,40}/.exec(token.lang ?? '')?.[0] ?? '');
    case 'blockquote':
      return target.quote(renderBlocks(token.tokens, target, { ...at, inQuote: true }), at.inQuote);
    case 'list':
      return renderList(token, target, at);
    case 'table':
      return renderTable(token, target);
    case 'hr':
      return target.rule;
    default:
      return '';
  }
}

function renderList(list: Tokens.List, target: Target, at: Position): string {
  const first = list.start === '' ? 1 : list.start;
  const items = list.items.map((item, index) => ({
    number: list.ordered ? first + index : undefined,
    checked: item.task ? item.checked === true : undefined,
    blocks: renderBlocks(item.tokens, target, { ...at, depth: at.depth + 1 }),
  }));
  return target.list(items, at.depth);
}

function renderTable(table: Tokens.Table, target: Target): string {
  const cells = (row: Tokens.TableCell[]) => row.map((cell) => renderInline(cell.tokens, target));
  return target.table(cells(table.header), table.rows.map(cells), table.align);
}

function renderInline(tokens: Token[], target: Target, inLink = false): string {
  return tokens.map((token) => (isMarked(token) ? renderSpan(token, target, inLink) : '')).join('');
}

function renderSpan(token: MarkedToken, target: Target, inLink: boolean): string {
  switch (token.type) {
    case 'strong':
    case 'em':
    case 'del':
      return target.mark(token.type, renderInline(token.tokens, target, inLink));
    case 'codespan':
      return target.code(token.text);
    case 'br':
      return target.lineBreak;
    case 'link':
      return renderLink(token, target, inLink);
    case 'image':
      return renderImage(token, target, inLink);
    case 'escape':
      return target.text(token.text);
    case 'html':
      return /^<br\s*\/?>$/i.test(token.raw) ? target.lineBreak : target.text(token.raw);
    case 'text':
      return target.text(decodeEntities(token.text));
    default:
      return '';
  }
}

function renderLink(token: Tokens.Link, target: Target, inLink: boolean): string {
  if (token.autolink) return inLink ? target.text(token.text) : target.link(target.text(token.text), token.href);
  const inner = renderInline(token.tokens, target, true) || target.text(token.href);
  const href = decodeEntities(token.href);
  if (inLink) return inner;
  // An address we do not link is still something the writer wanted to say.
  return target.link(inner, href) || `${inner} (${target.text(href)})`;
}

function renderImage(token: Tokens.Image, target: Target, inLink: boolean): string {
  const href = decodeEntities(token.href);
  const alt = target.text(decodeEntities(token.text) || href);
  return inLink ? alt : target.link(alt, href) || `${alt} (${target.text(href)})`;
}

const ENTITIES = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
  ['nbsp', '\u00a0'],
  ['hellip', '…'],
  ['mdash', '—'],
  ['ndash', '–'],
  ['rarr', '→'],
  ['larr', '←'],
  ['bull', '•'],
  ['middot', '·'],
  ['times', '×'],
  ['deg', '°'],
  ['euro', '€'],
  ['copy', '©'],
]);

/** Character references as characters, as Markdown reads them; unknown names stay as they are. */
function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-z]{2,8}));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES.get(name) ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    const valid = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return valid ? String.fromCodePoint(code) : '\uFFFD';
  });
}
