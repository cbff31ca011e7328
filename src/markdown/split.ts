// Splits Markdown into parts that are each valid by themselves and within a channel's limit; nothing of the text is lost. Pure.
import { setImmediate } from 'node:timers/promises';
import type { MarkedToken, Tokens } from 'marked';
import { isBlank } from '../core/visible.js';
import { shownText } from './format.js';
import { cutText, definitionsFor } from './segments.js';
import { known, parseSegments } from './walk.js';

export { cutText };

interface SplitOptions {
  /** The most one part may measure. */
  limit: number;
  /** How long a part of Markdown is in the channel's own count. Must not shrink when text is added. */
  measure(markdown: string): number;
}

/**
 * Parts in order; one part when it fits; none for blank text. A code fence that is cut is closed and opened again. Others run between
 * its steps: the text may be long, and made to take long.
 */
export async function splitMarkdown(text: string, options: SplitOptions): Promise<string[]> {
  if (isBlank(text)) return [];
  if (text.length <= 2 * options.limit && options.measure(text) <= options.limit) return [text];
  const pieces: string[] = [];
  const definitions = new Map<string, string>();
  for (const { segment, blocks } of parseSegments(text)) {
    await setImmediate();
    pieces.push(...(await splitSegment(segment, blocks, options)));
    for (const block of blocks) if (block.type === 'def') definitions.set(block.tag, block.raw.trim());
  }
  const parts: string[] = [];
  for (const group of await packMarkdown(pieces, options)) {
    for (const joined of await joinWhenUnchanged(group)) {
      const fitting = options.measure(joined) <= options.limit ? [joined] : await plainPieces(joined, options);
      const whole = fitting.map(trim).filter(Boolean);
      parts.push(...whole.map((part) => withDefinitions(part, definitions, options)));
      await setImmediate();
    }
  }
  return parts;
}

const trim = (part: string) => part.replace(/^\n+/, '').trimEnd();

async function splitSegment(text: string, blocks: MarkedToken[], options: SplitOptions): Promise<string[]> {
  // Definitions go with the parts that refer to them; in another one they would be shown.
  const isDefinition = ({ type }: MarkedToken) => type === 'def';
  const segment = blocks.some(isDefinition)
    ? blocks.flatMap((block) => (isDefinition(block) ? [] : block.raw)).join('')
    : text;
  if (segment.trim() === '') return [];
  if (options.measure(segment) + 2 <= options.limit) return [segment];
  const pieces = await splitEach(blocks, (block) => splitBlock(block, options));
  // A cut can change what the marks around it mean, in more ways than anybody lists. Better all marks shown than a word lost.
  return (await keepsWords(pieces, segment)) ? pieces : plainPieces(segment, options);
}

/** Whether what a reader sees of the text is in the parts, in its order; addresses and marks may come in between. */
async function keepsWords(parts: string[], text: string): Promise<boolean> {
  const words = (shown: string) => shown.replace(/[^\p{L}\p{M}\p{N}\p{Extended_Pictographic}]/gu, '');
  const wanted = words(await shownText(text));
  let at = 0;
  for (const character of words(await shownTogether(parts))) {
    if (wanted.startsWith(character, at)) at += character.length;
  }
  return at === wanted.length;
}

async function shownTogether(pieces: string[]): Promise<string> {
  return (await splitEach(pieces, async (piece) => [await shownText(trim(piece))])).join('');
}

/** What all items are split into, one item after the other, with a pause before each in which others run. */
async function splitEach<T>(items: T[], split: (item: T, index: number) => string[] | Promise<string[]>) {
  const pieces: string[] = [];
  for (const [index, item] of items.entries()) {
    await setImmediate();
    pieces.push(...(await split(item, index)));
  }
  return pieces;
}

/** Pieces that would mean something else side by side (one ends in an open fence) stay apart. */
async function joinWhenUnchanged(pieces: string[]): Promise<string[]> {
  const joined = pieces.join('');
  return pieces.length === 1 || (await shownText(trim(joined))) === (await shownTogether(pieces)) ? [joined] : pieces;
}

/** `[x][1]` needs its `[1]: https://…` in the same part; definitions are not shown, so they do not count. */
function withDefinitions(part: string, definitions: Map<string, string>, { limit, measure }: SplitOptions): string {
  const lines = new Set(part.split('\n').map((line) => line.trim()));
  const needed = [...definitionsFor(part, definitions).values()].filter((raw) => !lines.has(raw));
  if (needed.length === 0) return part;
  // In front, because a part may end in an open fence.
  const whole = [...needed, part].join('\n\n');
  return measure(whole) <= limit ? whole : part;
}

/** Groups pieces as long as they fit together; one that does not fit anywhere is a group of its own. */
async function pack(pieces: string[], limit: number, sizeOf: (piece: string) => number): Promise<string[][]> {
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
    await setImmediate();
  }
  return groups;
}

/** Two more for the blank line that stands between blocks. What shows little of its text must not grow without end either. */
const packMarkdown = (pieces: string[], { limit, measure }: SplitOptions) =>
  pack(pieces, limit, (piece) => Math.max(measure(piece) + 2, piece.length / 2));

async function splitBlock(block: MarkedToken, options: SplitOptions): Promise<string[]> {
  if (block.type === 'def') return [];
  if (options.measure(block.raw) + 2 <= options.limit) return [block.raw];
  if (block.type === 'code' && !isBlank(block.text)) return splitFence(block.text, block.lang ?? '', options);
  if (block.type === 'list')
    return splitEach(block.items, (item, index) => splitItem(item, block.start, index, options));
  if (block.type === 'blockquote') return splitInside(block.text, options, quoted);
  if (block.type === 'paragraph' || block.type === 'heading') {
    const pieces = await splitEach(known(block.tokens), (token) => splitToken(token, options));
    const lines = await packMarkdown(pieces, options);
    return splitEach(lines, async (line) => [`${await asParagraph(line.join('').trim())}\n\n`]);
  }
  return plainPieces(block.raw, options);
}

type Wrap = (part: string, index: number) => string;

/** Cuts what is within a block; `wrap` makes the block again of each part. */
async function splitInside(text: string, options: SplitOptions, wrap: Wrap): Promise<string[]> {
  const parts = await splitMarkdown(text, { ...options, measure: (part) => options.measure(wrap(part, 0)) + 2 });
  return parts.map(wrap);
}

const quoted = (part: string) => `${part.trimEnd().replace(/^/gm, '> ')}\n\n`;

/** A list written `1. 1. 1.` counts on by itself; cut, each item needs its own number. */
async function splitItem(item: Tokens.ListItem, start: number | '', index: number, options: SplitOptions) {
  const raw = start === '' ? item.raw : item.raw.replace(/^(\s*)\d+/, (_number, space) => `${space}${start + index}`);
  const whole = raw.endsWith('\n') ? raw : `${raw}\n`;
  if (options.measure(whole) + 2 <= options.limit) return [whole];
  const [marker = '', bullet = ''] = /^\s*([-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?/.exec(raw) ?? [];
  const inset = ' '.repeat(bullet.length + 1);
  return splitInside(item.text, options, (part, n) =>
    n > 0 ? `\n${part}\n\n` : `\n${marker}${part.replace(/\n(?=.)/g, `\n${inset}`)}\n\n`,
  );
}

async function splitFence(code: string, language: string, { limit, measure }: SplitOptions): Promise<string[]> {
  let longest = 2;
  for (const [run] of code.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  const ticks = '`'.repeat(longest + 1);
  // A `~~~` fence may have backticks behind it, this one may not.
  const fence = (text: string) => `\n${ticks}${language.replaceAll('`', '')}\n${text}\n${ticks}\n\n`;
  const room = Math.max(limit - measure(fence('')) - 4, 16);
  const lines = code.split(/(?<=\n)/).flatMap((line) => cutText(line, Math.floor(room / 2)));
  const chunks = await pack(lines, room, (line) => line.length);
  return chunks.map((chunk) => fence(chunk.join('').replace(/\n$/, '')));
}

const MARKS: Partial<Record<string, string>> = { strong: '**', em: '*', del: '~~' };

/** Inline pieces that each stand alone: text is cut between sentences or words, a span that is cut is closed and opened again. */
function splitToken(token: MarkedToken, options: SplitOptions): string[] {
  const room = Math.floor(options.limit / 4);
  if (options.measure(token.raw) <= room) return [token.raw];
  if (token.type === 'text') return cutText(token.raw, room);
  const mark = MARKS[token.type];
  if (mark === undefined || !('text' in token)) return cutText(token.raw, room).map(escapeMarkdown);
  return cutText(token.text, room).map((piece) => `${mark}${escapeMarkdown(piece.trim())}${mark} `);
}

/** The same words at the start of a paragraph: what would begin a list, a fence, a definition… there is escaped. */
async function asParagraph(text: string): Promise<string> {
  const same = (await shownText(`x ${text}`)) === `x${await shownText(text)}`;
  return same ? text : text.replace(/^\d+(?=[.)])|^(?=[!-/:-@[-`{-~])/, '$&\\');
}

async function plainPieces(
  text: string,
  options: SplitOptions,
  room = Math.floor(options.limit / 2),
): Promise<string[]> {
  return splitEach(cutText(text, room), (piece) => {
    if (piece.trim() === '') return [];
    const escaped = escapeMarkdown(piece);
    const fits = options.measure(escaped) <= options.limit || room < 16;
    return fits ? [escaped] : plainPieces(piece, options, Math.floor(room / 2));
  });
}

/** Makes every character of a text mean itself in Markdown. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_{}[\]()#+\-.!|~>&<"':;,/=?@%^$]/g, '\\$&')
    .replace(/^( {4,}|\t)/gm, (indent) => '\u00a0'.repeat(indent.length));
}
