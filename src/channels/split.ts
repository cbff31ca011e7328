// Splits Markdown into parts that are each valid by themselves and within a channel's limit; nothing of the text is lost. Pure.
import type { MarkedToken, Token, Tokens } from 'marked';
import { markdownToTelegramHtml, telegramPlainText } from './format.js';
import { known, parseBlocks } from './markdown-walk.js';

export interface SplitOptions {
  /** The most one part may measure. */
  limit: number;
  /** How long a part of Markdown is in the channel's own count. Must not shrink when text is added. */
  measure(markdown: string): number;
}

/** Parts in order; one part when it fits; none for blank text. A code fence that is cut is closed and opened again. */
export function splitMarkdown(text: string, options: SplitOptions): string[] {
  if (text.trim() === '') return [];
  if (options.measure(text) <= options.limit) return [text];
  const blocks = parseBlocks(text);
  const definitions = (blocks ?? []).filter((block) => block.type === 'def');
  const pieces = blocks ? blocks.flatMap((block) => splitBlock(block, options)) : plainPieces(text, options);
  const parts = packMarkdown(pieces, options)
    .flatMap(joinWhenUnchanged)
    .flatMap((part) => (options.measure(part) <= options.limit ? [part] : plainPieces(part, options)))
    .map((part) => part.replace(/^\n+/, '').trimEnd())
    .filter((part) => part !== '')
    .map((part) => withDefinitions(part, definitions, options));
  // A cut can change what the marks around it mean, in more ways than anybody lists. Better all marks shown than a word lost.
  return keepsWords(parts, text) ? parts : plainPieces(text, options);
}

/** Whether what a reader sees of the text is in the parts, in its order; addresses and marks may come in between. */
function keepsWords(parts: string[], text: string): boolean {
  const words = (markdown: string) => shown(markdown).replace(/[^\p{L}\p{M}\p{N}\p{Extended_Pictographic}]/gu, '');
  const wanted = words(text);
  let at = 0;
  for (const character of parts.map(words).join('')) if (wanted.startsWith(character, at)) at += character.length;
  return at === wanted.length;
}

/** What a reader sees of Markdown, without the spaces: what must be the same before and after a cut. */
const shown = (markdown: string) => telegramPlainText(markdownToTelegramHtml(markdown)).replace(/\s+/g, '');

/** Pieces that would mean something else side by side (one ends in an open fence) stay apart. */
function joinWhenUnchanged(pieces: string[]): string[] {
  const joined = pieces.join('');
  return shown(joined) === pieces.map(shown).join('') ? [joined] : pieces;
}

/** `[x][1]` needs its `[1]: https://…` in the same part; definitions are not shown, so they do not count. */
function withDefinitions(part: string, definitions: Tokens.Def[], { limit, measure }: SplitOptions): string {
  const lower = part.toLowerCase();
  const needed = definitions.filter(({ tag }) => lower.includes(`[${tag}]`));
  const whole = [part, ...needed.map(({ raw }) => raw.trim())].join('\n\n');
  return measure(whole) <= limit ? whole : part;
}

/** Groups pieces as long as they fit together; one that does not fit anywhere is a group of its own. */
function pack(pieces: string[], limit: number, sizeOf: (piece: string) => number): string[][] {
  const groups: string[][] = [];
  let left = 0;
  for (const piece of pieces) {
    const size = sizeOf(piece);
    if (groups.length === 0 || size > left) {
      groups.push([]);
      left = limit;
    }
    groups.at(-1)?.push(piece);
    left -= size;
  }
  return groups;
}

/** Two more for the blank line that stands between blocks. */
const packMarkdown = (pieces: string[], { limit, measure }: SplitOptions) =>
  pack(pieces, limit, (piece) => measure(piece) + 2);

function splitBlock(block: MarkedToken, options: SplitOptions): string[] {
  if (block.type === 'def') return [];
  if (options.measure(block.raw) + 2 <= options.limit) return [block.raw];
  if (block.type === 'code') return splitFence(block.text, block.lang ?? '', options);
  if (block.type === 'list') return block.items.flatMap((item, index) => splitItem(item, block.start, index, options));
  if (block.type === 'blockquote') return splitInside(block.text, options, quoted);
  if (block.type === 'paragraph' || block.type === 'heading') {
    const lines = packMarkdown(splitInline(block.tokens, options), options);
    return lines.map((pieces) => `${asParagraph(pieces.join('').trim())}\n\n`);
  }
  return plainPieces(block.raw, options);
}

/** Cuts what is within a block; `wrap` makes the block again of each part. */
function splitInside(text: string, options: SplitOptions, wrap: (part: string, index: number) => string): string[] {
  return splitMarkdown(text, { ...options, measure: (part) => options.measure(wrap(part, 0)) + 2 }).map(wrap);
}

const quoted = (part: string) => `${part.trimEnd().replace(/^/gm, '> ')}\n\n`;

/** A list written `1. 1. 1.` counts on by itself; cut, each item needs its own number. */
function splitItem(item: Tokens.ListItem, start: number | '', index: number, options: SplitOptions): string[] {
  const raw = start === '' ? item.raw : item.raw.replace(/^(\s*)\d+/, (_number, space) => `${space}${start + index}`);
  const whole = raw.endsWith('\n') ? raw : `${raw}\n`;
  if (options.measure(whole) + 2 <= options.limit) return [whole];
  const [marker = '', bullet = ''] = /^\s*([-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?/.exec(raw) ?? [];
  const inset = ' '.repeat(bullet.length + 1);
  return splitInside(item.text, options, (part, n) =>
    n > 0 ? `\n${part}\n\n` : `\n${marker}${part.replace(/\n(?=.)/g, `\n${inset}`)}\n\n`,
  );
}

function splitFence(code: string, language: string, { limit, measure }: SplitOptions): string[] {
  const ticks = '`'.repeat(Math.max(3, ...[...code.matchAll(/`+/g)].map((match) => match[0].length + 1)));
  // A `~~~` fence may have backticks behind it, this one may not.
  const fence = (text: string) => `\n${ticks}${language.replaceAll('`', '')}\n${text}\n${ticks}\n\n`;
  const room = Math.max(limit - measure(fence('')) - 4, 16);
  const lines = code.split(/(?<=\n)/).flatMap((line) => cutText(line, Math.floor(room / 2)));
  return pack(lines, room, (line) => line.length).map((chunk) => fence(chunk.join('').replace(/\n$/, '')));
}

const MARKS: Partial<Record<string, string>> = { strong: '**', em: '*', del: '~~' };

/** Inline pieces that each stand alone: text is cut between sentences or words, a span that is cut is closed and opened again. */
function splitInline(tokens: Token[], options: SplitOptions): string[] {
  const room = Math.floor(options.limit / 4);
  return known(tokens).flatMap((token) => {
    if (options.measure(token.raw) <= room) return [token.raw];
    if (token.type === 'text') return cutText(token.raw, room);
    const mark = MARKS[token.type];
    if (mark === undefined || !('text' in token)) return cutText(token.raw, room).map(escapeMarkdown);
    return cutText(token.text, room).map((piece) => `${mark}${escapeMarkdown(piece.trim())}${mark} `);
  });
}

/** The same words at the start of a paragraph: what would begin a list, a fence, a definition… there is escaped. */
function asParagraph(text: string): string {
  const same = shown(`x ${text}`) === `x${shown(text)}`;
  return same ? text : text.replace(/^\d+(?=[.)])|^(?=[!-/:-@[-`{-~])/, '$&\\');
}

function plainPieces(text: string, options: SplitOptions, room = Math.floor(options.limit / 2)): string[] {
  return cutText(text, room).flatMap((piece) => {
    if (piece.trim() === '') return [];
    const escaped = escapeMarkdown(piece);
    if (options.measure(escaped) <= options.limit || room < 16) return [escaped];
    return plainPieces(piece, options, Math.floor(room / 2));
  });
}

/** Makes every character of a text mean itself in Markdown. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_{}[\]()#+\-.!|~>&<"':;,/=?@%^$]/g, '\\$&')
    .replace(/^( {4,}|\t)/gm, (indent) => '\u00a0'.repeat(indent.length));
}

/**
 * Cuts text into pieces of at most `room` UTF-16 units, at the last line end, sentence end or space that leaves a piece at least half
 * full, else between characters as people see them (never inside a surrogate pair).
 */
export function cutText(text: string, room: number): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (rest.length > room) {
    const at = cutPoint(rest, room);
    pieces.push(rest.slice(0, at));
    rest = rest.slice(at);
  }
  if (rest !== '') pieces.push(rest);
  return pieces;
}

function cutPoint(text: string, room: number): number {
  const head = text.slice(0, room);
  for (const pattern of [/\n(?=[^\n]*$)/, /[.!?…]\s(?=[^.!?…]*$)/, /\s(?=\S*$)/]) {
    const match = pattern.exec(head);
    if (match && match.index + match[0].length >= room / 2) return match.index + match[0].length;
  }
  const straddling = new Intl.Segmenter().segment(text.slice(0, room + 40)).containing(room);
  return straddling?.index || (/[\ud800-\udbff]$/.test(head) ? room - 1 : room);
}
