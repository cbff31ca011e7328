// Splits Markdown into parts that are each valid by themselves and within a channel's limit; nothing of the text is lost. Pure.
import type { Token } from 'marked';
import { markdownToTelegramHtml, telegramPlainText } from './format.js';
import { isToken, parseBlocks } from './markdown-walk.js';

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
  const parts = splitBlocks(text, options);
  // A cut can change what the marks around it mean, in more ways than anybody lists. Better all marks shown than a word lost.
  return keepsWords(parts, text) ? parts : plainPieces(text, options).filter((part) => part.trim() !== '');
}

/** Whether what a reader sees of the text is in the parts, in its order; addresses and marks may come in between. */
function keepsWords(parts: string[], text: string): boolean {
  const words = (markdown: string) => shown(markdown).replace(/[^\p{L}\p{M}\p{N}\p{Extended_Pictographic}]/gu, '');
  const wanted = words(text);
  let at = 0;
  for (const character of parts.map(words).join('')) if (wanted.startsWith(character, at)) at += character.length;
  return at === wanted.length;
}

function splitBlocks(text: string, options: SplitOptions): string[] {
  const blocks = parseBlocks(text);
  const shown = blocks?.filter((block) => block.type !== 'def');
  const pieces = shown ? shown.flatMap((block) => splitBlock(block, options)) : plainPieces(text, options);
  return pack(pieces, options)
    .flatMap(joinWhenUnchanged)
    .flatMap((part) => (options.measure(part) <= options.limit ? [part] : plainPieces(part, options)))
    .map((part) => part.replace(/^\n+/, '').trimEnd())
    .filter((part) => part !== '')
    .map((part) => withDefinitions(part, blocks ?? [], options));
}

/** What a reader sees of Markdown, without the spaces: what must be the same before and after a cut. */
const shown = (markdown: string) => telegramPlainText(markdownToTelegramHtml(markdown)).replace(/\s+/g, '');

/** Pieces that would mean something else side by side (one ends in an open fence) stay apart. */
function joinWhenUnchanged(pieces: string[]): string[] {
  const joined = pieces.join('');
  return shown(joined) === pieces.map(shown).join('') ? [joined] : pieces;
}

/** `[x][1]` needs its `[1]: https://…` in the same part; definitions are not shown, so they do not count. */
function withDefinitions(part: string, blocks: Token[], { limit, measure }: SplitOptions): string {
  const lower = part.toLowerCase();
  const needed = blocks.filter((block) => isToken(block, 'def') && lower.includes(`[${block.tag}]`));
  const whole = [part, ...needed.map((block) => block.raw.trim())].join('\n\n');
  return measure(whole) <= limit ? whole : part;
}

/** Groups pieces as long as they fit into one part. */
function pack(pieces: string[], { limit, measure }: SplitOptions): string[][] {
  const parts: string[][] = [];
  let part: string[] = [];
  let size = 0;
  for (const piece of pieces) {
    // Two more for the blank line that stands between blocks.
    const added = measure(piece) + 2;
    if (part.length > 0 && size + added > limit) {
      parts.push(part);
      part = [];
      size = 0;
    }
    part.push(piece);
    size += added;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

function splitBlock(block: Token, options: SplitOptions): string[] {
  if (options.measure(block.raw) + 2 <= options.limit) return [block.raw];
  if (isToken(block, 'code')) return splitFence(block.text, block.lang ?? '', options);
  if (isToken(block, 'list'))
    return block.items.flatMap((item, index) =>
      splitItem(numbered(item.raw, block.start, index), item.tokens, options),
    );
  if (isToken(block, 'blockquote')) {
    const inner = splitMarkdown(block.text, { ...options, measure: (part) => options.measure(quoted(part)) + 2 });
    return inner.map((part) => `${quoted(part)}\n\n`);
  }
  if (isToken(block, 'paragraph') || isToken(block, 'heading'))
    return [...packLines(splitInline(block.tokens, options), options), '\n\n'];
  return plainPieces(block.raw, options);
}

const quoted = (text: string) => text.trimEnd().replace(/^/gm, '> ');

/** A list written `1. 1. 1.` counts on by itself; cut, each item needs its own number. */
function numbered(raw: string, start: number | '', index: number): string {
  return start === '' ? raw : raw.replace(/^(\s*)\d+/, (_number, space) => `${space}${start + index}`);
}

function splitItem(raw: string, tokens: Token[], options: SplitOptions): string[] {
  const whole = raw.endsWith('\n') ? raw : `${raw}\n`;
  if (options.measure(whole) + 2 <= options.limit) return [whole];
  const marker = /^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?/.exec(raw)?.[0] ?? '';
  const [first, ...rest] = tokens
    .filter((token) => token.type !== 'checkbox')
    .flatMap((token) =>
      isToken(token, 'text') && 'tokens' in token && token.tokens
        ? packLines(splitInline(token.tokens, options), options)
        : splitBlock(token, options),
    );
  return [`\n${marker}${(first ?? '').replace(/^\[[ xX]\]\s+/, '')}\n`, ...rest.map((piece) => `\n${piece}\n`)];
}

function splitFence(code: string, language: string, options: SplitOptions): string[] {
  const ticks = '`'.repeat(Math.max(3, ...[...code.matchAll(/`+/g)].map((match) => match[0].length + 1)));
  // A `~~~` fence may have backticks behind it, this one may not.
  const fence = (lines: string) => `\n${ticks}${language.replaceAll('`', '')}\n${lines}\n${ticks}\n\n`;
  const room = options.limit - 4;
  const lines = code
    .split('\n')
    .flatMap((line) => (line.length > room / 2 ? cutText(line, Math.floor(room / 2)) : [line]));
  const chunks: string[] = [];
  let chunk: string[] = [];
  let size = 0;
  for (const line of lines) {
    if (chunk.length > 0 && size + line.length + 1 > room) {
      chunks.push(chunk.join('\n'));
      [chunk, size] = [[], 0];
    }
    chunk.push(line);
    size += line.length + 1;
  }
  return [...chunks, chunk.join('\n')].map(fence);
}

/** Inline pieces that each stand alone: text is cut between sentences or words, a span that is cut is closed and opened again. */
function splitInline(tokens: Token[], options: SplitOptions): string[] {
  const room = Math.floor(options.limit / 4);
  return tokens.flatMap((token) => {
    if (token.type === 'checkbox') return [];
    if (options.measure(token.raw) <= room) return [token.raw];
    const wrap = isToken(token, 'strong')
      ? '**'
      : isToken(token, 'em')
        ? '*'
        : isToken(token, 'del')
          ? '~~'
          : undefined;
    if (wrap && 'text' in token)
      return cutText(token.text, room).map((piece) => `${wrap}${escapeMarkdown(piece.trim())}${wrap} `);
    if (isToken(token, 'text')) return cutText(token.raw, room);
    return cutText(token.raw, room).map(escapeMarkdown);
  });
}

/** Joins inline pieces to paragraphs of at most the limit. */
function packLines(pieces: string[], options: SplitOptions): string[] {
  return pack(pieces, options).map((group) => `${asParagraph(group.join('').trim())}\n\n`);
}

/** The same words at the start of a paragraph: what would begin a list, a fence, a definition… there is escaped. */
function asParagraph(text: string): string {
  const wanted = shown(`x ${text}`).slice(1);
  const escaped = text.replace(/^\d+(?=[.)])|^(?=[!-/:-@[-`{-~])/, (start) => `${start}\\`);
  const same = [text, escaped].find((candidate) => shown(candidate) === wanted);
  return same ?? escapeMarkdown(telegramPlainText(markdownToTelegramHtml(`x ${text}`)).slice(2));
}

function plainPieces(text: string, options: SplitOptions, room = Math.floor(options.limit / 2)): string[] {
  return cutText(text, room).flatMap((piece) => {
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
    const at = cutPoint(rest.slice(0, room), room / 2);
    pieces.push(rest.slice(0, at));
    rest = rest.slice(at);
  }
  if (rest !== '') pieces.push(rest);
  return pieces;
}

function cutPoint(head: string, least: number): number {
  for (const pattern of [/\n(?=[^\n]*$)/, /[.!?…]\s(?=[^.!?…]*$)/, /\s(?=\S*$)/]) {
    const match = pattern.exec(head);
    if (match && match.index + match[0].length >= least) return match.index + match[0].length;
  }
  // Only the last few characters matter for where a character ends.
  const tail = Math.max(0, head.length - 40);
  const start = isLowSurrogate(head.charCodeAt(tail)) ? tail + 1 : tail;
  const segments = [...new Intl.Segmenter().segment(head.slice(start))];
  const last = segments.at(-1);
  return last && segments.length > 1
    ? start + last.index
    : head.length - (isHighSurrogate(head.charCodeAt(head.length - 1)) ? 1 : 0);
}

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit < 0xdc00;
const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit < 0xe000;
