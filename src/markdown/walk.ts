// Walks Markdown tokens once and lets a target say how each piece looks. Knows no target's rules.
import { setImmediate } from 'node:timers/promises';
import { decodeHTMLStrict } from 'entities';
import type { MarkedToken, Token, Tokens } from 'marked';
import { isBlank } from '../core/visible.js';
import { createLexer, type Definitions } from './rules.js';
import { definitionsFor, definitionsIn, segmentsOf } from './segments.js';

/** How one output format writes the pieces. `inner` is already rendered; `text` is raw and must be escaped. */
export interface MarkdownTarget {
  text(text: string): string;
  strong(inner: string): string;
  emphasis(inner: string): string;
  strike(inner: string): string;
  code(text: string): string;
  /** `href` as it was written, but for character references. */
  link(href: string, inner: string, title: string): string;
  lineBreak(): string;
  paragraph(inner: string): string;
  heading(level: number, inner: string): string;
  codeBlock(text: string, language: string): string;
  quote(inner: string, depth: number): string;
  list(items: { marker: string; blocks: string[] }[], ordered: boolean, depth: number): string;
  table(header: string[], rows: string[][]): string;
  /** How what is in a table's cells is written, where that is not as elsewhere. */
  cells?: MarkdownTarget;
  /** The same for headings. */
  headings?: MarkdownTarget;
  rule(): string;
  /** Joins blocks that follow each other. */
  join(blocks: string[]): string;
}

const MAX_DEPTH = 20;

/**
 * Block tokens by segments, parsed when they are asked for: each takes some milliseconds. A segment that would take too long is one
 * block of kind `html`, shown as it is written.
 */
export function* parseSegments(markdown: string): Generator<{ segment: string; blocks: MarkedToken[] }> {
  // As the parser does: what it takes as lines must be what is cut and counted here.
  const text = markdown.replace(/\r\n?/g, '\n');
  let definitions: ReturnType<typeof definitionsIn> | undefined;
  const used = new Set<string>();
  for (const { text: segment, fenced } of segmentsOf(text)) {
    definitions ??= definitionsIn(segment.length < text.length ? text : '');
    yield {
      segment,
      blocks: !fenced && isTooNested(segment) ? asWritten(segment) : parseSegment(segment, definitions, used),
    };
  }
}

function parseSegment(
  segment: string,
  definitions: ReturnType<typeof definitionsIn>,
  used: Set<string>,
): MarkedToken[] {
  const links = definitionsFor(segment, definitions);
  try {
    const first = parse(segment, links, { used, countsAll: true });
    if (!first || first.defined.size === 0) return first?.tokens ?? asWritten(segment);
    // Only now it is known which of its definitions somebody refers to.
    const isUsed = ([label]: [string, unknown]) => used.has(label);
    return parse(segment, [...links].filter(isUsed), { used, countsAll: false })?.tokens ?? asWritten(segment);
  } catch (error) {
    if (error instanceof RangeError) return asWritten(segment);
    throw error;
  }
}

/** Undefined when it would take too long. */
function parse(segment: string, links: Iterable<[string, { href: string; title: string }]>, definitions: Definitions) {
  const { lexer, defined } = createLexer(definitions);
  lexer.tokens.links = Object.fromEntries(links);
  lexer.blockTokens(segment, lexer.tokens);
  if (lexer.inlineQueue.some(({ src }) => hasTooManyMarks(src))) return undefined;
  for (const { src, tokens } of lexer.inlineQueue) lexer.inlineTokens(src, tokens);
  return { tokens: known(lexer.tokens), defined };
}

function asWritten(segment: string): MarkedToken[] {
  const text = segment.replace(/\\([!-/:-@[-`{-~])/g, '$1');
  return [{ type: 'html', raw: text, text, block: true, pre: false }];
}

/** Marks of emphasis and brackets in one paragraph; the parser's time grows at least with the square of their number. */
const MAX_EMPHASIS = 250;
const MAX_BRACKETS = 1_500;
/** Cells of a table: rows that are not there count too, the parser fills them in. */
const MAX_CELLS = 2_000;

/** More nesting in a line, or cells in a table, than the parser may be given. */
function isTooNested(segment: string): boolean {
  const lines = segment.split('\n');
  return lines.some((line) => {
    if (/^(?:[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t]))){10}|^[ \t]{40}|[ \t]{300}/.test(line)) return true;
    return /^[\s|:-]*-[\s|:-]*$/.test(line) && line.split('|').length * lines.length > MAX_CELLS;
  });
}

/** More marks than it may be given in one paragraph, item or cell, as the parser itself has parted them. */
function hasTooManyMarks(text: string): boolean {
  // Escaped ones cost nothing, and counting them would show the backslashes of a text that we escaped ourselves.
  const emphasis = text.match(/(?<!\\)[*_~]+/g)?.length ?? 0;
  const brackets = text.match(/(?<!\\)[[\]`<]/g)?.length ?? 0;
  // A long run without spaces such as `a.a.a.…`: at each of its characters the parser looks for an e-mail address again.
  const [run = ''] = /[\w.!#$%&'*+/=?^`{|}~-]{2000,}/.exec(text) ?? [];
  return emphasis > MAX_EMPHASIS || brackets > MAX_BRACKETS || /[^a-z\d]/i.test(run.slice(1));
}

/** At once: for what is not much longer than a segment. */
export function renderMarkdown(markdown: string, target: MarkdownTarget): string {
  return target.join([...renderSegments(markdown, target)].flat());
}

/** The same with a pause after each segment, in which others run. */
export async function renderInSlices(markdown: string, target: MarkdownTarget): Promise<string> {
  const blocks: string[] = [];
  for (const rendered of renderSegments(markdown, target)) {
    blocks.push(...rendered);
    await setImmediate();
  }
  return target.join(blocks);
}

function* renderSegments(markdown: string, target: MarkdownTarget): Generator<string[]> {
  // Half a character is no text: servers refuse it.
  const text = markdown.replace(/\p{Surrogate}/gu, '\uFFFD');
  for (const { blocks } of parseSegments(text)) yield renderBlocks(blocks, target, { list: 0, quote: 0 });
}

type Depth = Record<'list' | 'quote', number>;

function renderBlocks(tokens: Token[], target: MarkdownTarget, depth: Depth): string[] {
  if (depth.list + depth.quote > MAX_DEPTH) return [target.text(tokens.map((token) => token.raw).join(''))];
  return known(tokens)
    .map((token) => renderBlock(token, target, depth))
    .filter((block) => block !== '');
}

function renderBlock(token: MarkedToken, target: MarkdownTarget, depth: Depth): string {
  if (token.type === 'space' || token.type === 'def') return '';
  if (token.type === 'heading') return target.heading(token.depth, inline(token.tokens, target.headings ?? target));
  if (token.type === 'paragraph') return target.paragraph(inline(token.tokens, target));
  // An empty fence, or all of it in the line that opens it.
  if (token.type === 'code' && isBlank(token.text)) return target.paragraph(target.text(token.raw.trim()));
  if (token.type === 'code') return target.codeBlock(token.text, (token.lang ?? '').split(/\s/)[0] ?? '');
  if (token.type === 'blockquote') {
    const inner = renderBlocks(token.tokens, target, { ...depth, quote: depth.quote + 1 });
    return target.quote(target.join(inner), depth.quote);
  }
  if (token.type === 'list') return renderList(token, target, depth);
  if (token.type === 'table') {
    if (isBlank([token.header, ...token.rows].flat().reduce((all, { text }) => all + text, '')))
      return target.paragraph(target.text(token.raw.trim()));
    const cells = (row: Tokens.TableCell[]) => row.map((cell) => inline(cell.tokens, target.cells ?? target));
    return target.table(cells(token.header), token.rows.map(cells));
  }
  if (token.type === 'hr') return target.rule();
  if (token.type === 'html') return target.paragraph(target.text(token.raw.trimEnd()));
  return inline([token], target);
}

function renderList({ items, ordered, start }: Tokens.List, target: MarkdownTarget, depth: Depth): string {
  const rendered = items.map((item, index) => {
    const task = item.task ? (item.checked ? '☑ ' : '☐ ') : '';
    const [first = '', ...rest] = renderBlocks(item.tokens, target, { ...depth, list: depth.list + 1 });
    return { marker: ordered ? `${Number(start) + index}.` : '•', blocks: [task + first, ...rest] };
  });
  return target.list(rendered, ordered, depth.list);
}

const inline = (tokens: Token[], target: MarkdownTarget): string =>
  known(tokens)
    .map((token) => renderInline(token, target))
    .join('');

function renderInline(token: MarkedToken, target: MarkdownTarget): string {
  if (token.type === 'strong') return target.strong(inline(token.tokens, target));
  if (token.type === 'em') return target.emphasis(inline(token.tokens, target));
  if (token.type === 'del') return target.strike(inline(token.tokens, target));
  if (token.type === 'codespan') return target.code(token.text);
  // The list item shows its own box.
  if (token.type === 'checkbox') return '';
  if (token.type === 'link') return renderLink(token, inline(token.tokens, target), target);
  if (token.type === 'image') return renderLink(token, target.text(decodeEntities(token.text || token.href)), target);
  if (token.type === 'text')
    return token.tokens ? inline(token.tokens, target) : target.text(decodeEntities(token.text));
  if (token.type === 'escape') return target.text(token.text);
  // The only tag that models write on purpose, in table cells.
  if (token.type === 'br' || /^<br\s*\/?>$/i.test(token.raw)) return target.lineBreak();
  return target.text(token.raw);
}

const renderLink = ({ href, title }: Tokens.Link | Tokens.Image, inner: string, target: MarkdownTarget): string =>
  target.link(decodeEntities(href), inner, decodeEntities(title ?? ''));

/** Character references as Markdown reads them (https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references); unknown ones stay as they are. */
const decodeEntities = (text: string): string =>
  text.replace(/&(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z][a-z\d]{1,31});/gi, (whole) => {
    const decoded = decodeHTMLStrict(whole);
    return /\p{Cc}|\p{Cs}/u.test(decoded) ? whole : decoded;
  });

/** marked's own types leave room for the tokens of extensions; without any there are none. */
export const known = (tokens: Token[]): MarkedToken[] =>
  tokens.filter((token): token is MarkedToken => token.type !== '');
