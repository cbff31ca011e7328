// Message entities: what the server makes of parsed ranges (trimming, code never nests, at most 100) and what it finds by
// itself in a user's text (mentions, bot commands, links). Pure; all offsets in UTF-16 code units.
import type { MessageEntity } from 'grammy/types';

export interface ParsedText {
  text: string;
  /** Sorted by offset, outer before inner. */
  entities: MessageEntity[];
  /** What the server silently repaired or let pass although the manual forbids it. */
  warnings: string[];
}

export type EntityKind =
  | 'bold'
  | 'italic'
  | 'underline'
  | 'strikethrough'
  | 'spoiler'
  | 'code'
  | 'pre'
  | 'text_link'
  | 'text_mention'
  | 'custom_emoji'
  | 'blockquote'
  | 'expandable_blockquote';

export interface Range {
  kind: EntityKind;
  /** Address, language, user id or emoji id, as the kind needs. */
  argument: string;
  offset: number;
  length: number;
}

const MAX_ENTITIES = 100;
/** Of two ranges over the same text the server lists the earlier of these first, and keeps it where both cannot be. */
const OUTER_FIRST: readonly EntityKind[] = [
  'blockquote',
  'expandable_blockquote',
  'pre',
  'code',
  'text_link',
  'text_mention',
  'bold',
  'italic',
  'underline',
  'strikethrough',
  'spoiler',
  'custom_emoji',
];
const rank = (range: Range) => OUTER_FIRST.indexOf(range.kind);
const isCode = (range: Range) => range.kind === 'code' || range.kind === 'pre';
const isQuote = (range: Range) => range.kind === 'blockquote' || range.kind === 'expandable_blockquote';

/** Applies the server's rules to a parsed text. */
export function finishText(text: string, found: Range[], warnings: string[] = []): ParsedText {
  const notes = [...warnings];
  const trimmed = trimText(text, sorted(cutAroundCode(dropNestedQuotes(found, notes), notes)));
  if (trimmed.ranges.length > MAX_ENTITIES) {
    notes.push(`${trimmed.ranges.length - MAX_ENTITIES} entities beyond the first ${MAX_ENTITIES} ignored`);
  }
  return { text: trimmed.text, entities: trimmed.ranges.slice(0, MAX_ENTITIES).map(toEntity), warnings: notes };
}

function sorted(ranges: Range[]): Range[] {
  return [...ranges].sort((a, b) => a.offset - b.offset || b.length - a.length || rank(a) - rank(b));
}

function dropNestedQuotes(ranges: Range[], notes: string[]): Range[] {
  let end = -1;
  return sorted(ranges).filter((range) => {
    if (!isQuote(range)) return true;
    if (range.offset < end) {
      notes.push(`nested blockquote dropped at ${range.offset}`);
      return false;
    }
    end = range.offset + range.length;
    return true;
  });
}

/** Nothing but a block quotation may overlap code: other ranges lose the part under it. */
function cutAroundCode(ranges: Range[], notes: string[]): Range[] {
  const codes = ranges
    .filter(isCode)
    .filter((code, index, all) => !all.slice(0, index).some((by) => overlaps(by, code)));
  const rest = ranges.filter((range) => !isCode(range));
  if (codes.length < ranges.length - rest.length) notes.push('code inside code dropped');
  const kept = rest.flatMap((range) => {
    const hits = isQuote(range) ? [] : codes.filter((code) => overlaps(code, range));
    if (hits.length > 0)
      notes.push(`${range.kind} cannot contain or be inside ${hits[0]?.kind}, cut at ${range.offset}`);
    return hits.reduce<Range[]>((pieces, hit) => pieces.flatMap((piece) => cutOut(piece, hit)), [range]);
  });
  return [...codes, ...kept];
}

function overlaps(a: Range, b: Range): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

function cutOut(range: Range, hole: Range): Range[] {
  if (!overlaps(range, hole)) return [range];
  const end = range.offset + range.length;
  const holeEnd = hole.offset + hole.length;
  const pieces: Range[] = [];
  if (range.offset < hole.offset) pieces.push({ ...range, length: hole.offset - range.offset });
  if (holeEnd < end) pieces.push({ ...range, offset: holeEnd, length: end - holeEnd });
  return pieces;
}

/** White space goes at the end, and at the start up to the first entity; entities of nothing but white space go too. */
function trimText(text: string, ranges: Range[]): { text: string; ranges: Range[] } {
  const end = text.trimEnd().length;
  const lead = /^[ \n]*/.exec(text)?.[0].length ?? 0;
  const start = Math.min(lead, end, ...ranges.map((range) => range.offset));
  const moved = ranges.map((range) => {
    const to = Math.min(range.offset + range.length, end);
    return { ...range, offset: range.offset - start, length: to - range.offset };
  });
  const kept = text.slice(start, end);
  const isVisible = (range: Range) => kept.slice(range.offset, range.offset + range.length).trim() !== '';
  return { text: kept, ranges: moved.filter((range) => range.length > 0 && isVisible(range)) };
}

function toEntity({ kind, argument, offset, length }: Range): MessageEntity {
  switch (kind) {
    case 'text_link':
      return { type: kind, offset, length, url: argument };
    case 'text_mention':
      return { type: kind, offset, length, user: { id: Number(argument), is_bot: false, first_name: argument } };
    case 'custom_emoji':
      return { type: kind, offset, length, custom_emoji_id: argument };
    case 'pre':
      return argument === '' ? { type: kind, offset, length } : { type: kind, offset, length, language: argument };
    default:
      return { type: kind, offset, length };
  }
}

/** What Telegram marks in a text a user typed: mentions, bot commands, web addresses. */
export function findEntities(text: string): MessageEntity[] {
  const found: MessageEntity[] = [];
  const add = (type: 'mention' | 'bot_command' | 'url', pattern: RegExp) => {
    for (const match of text.matchAll(pattern)) {
      const entity: MessageEntity = { type, offset: match.index, length: match[0].length };
      if (
        !found.some(
          (other) => entity.offset < other.offset + other.length && other.offset < entity.offset + entity.length,
        )
      ) {
        found.push(entity);
      }
    }
  };
  add('url', /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)]/g);
  add('bot_command', /(?<![\p{L}\p{N}_/<>])\/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\p{L}\p{N}_/<>@])/gu);
  add('mention', /(?<![\p{L}\p{N}_@])@[A-Za-z0-9_]{3,32}(?![\p{L}\p{N}_])/gu);
  return found.sort((a, b) => a.offset - b.offset);
}
