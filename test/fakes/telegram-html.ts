// Telegram's HTML parse mode: text and entities out, or the real server's error with its byte offset. Pure.
// What the server silently repairs or lets pass although the manual forbids it comes back as a warning, so tests can be strict.
import { type EntityKind, finishText, type ParsedText, type Range } from './telegram-entities.js';
import { badRequest } from './telegram-params.js';

interface OpenTag {
  name: string;
  argument: string;
  offset: number;
}

interface Cursor {
  html: string;
  at: number;
  text: string;
  open: OpenTag[];
  ranges: Range[];
  warnings: string[];
  /** Half a surrogate pair was written as a reference; two halves do not make a whole, the server reads UTF-8. */
  hasSurrogate: boolean;
}

const STYLE_TAGS: Record<string, EntityKind> = {
  b: 'bold',
  strong: 'bold',
  i: 'italic',
  em: 'italic',
  u: 'underline',
  ins: 'underline',
  s: 'strikethrough',
  strike: 'strikethrough',
  del: 'strikethrough',
  'tg-spoiler': 'spoiler',
  span: 'spoiler',
  code: 'code',
  pre: 'pre',
  a: 'text_link',
  'tg-emoji': 'custom_emoji',
  blockquote: 'blockquote',
};
const NAMED: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"' };

/** Throws `ApiError` 400 `Bad Request: can't parse entities: …` exactly where the real server does. */
export function parseHtml(html: string): ParsedText {
  const cursor: Cursor = { html, at: 0, text: '', open: [], ranges: [], warnings: [], hasSurrogate: false };
  while (cursor.at < html.length) {
    const char = html[cursor.at];
    if (char === '<') {
      if (html[cursor.at + 1] === '/') readEndTag(cursor);
      else readStartTag(cursor);
      continue;
    }
    if (char === '>') cursor.warnings.push(`bare ">" at byte offset ${byteOffset(html, cursor.at)}`);
    if (char === '&') {
      const decoded = readReference(cursor);
      cursor.hasSurrogate ||= /\p{Surrogate}/u.test(decoded);
      cursor.text += decoded;
      continue;
    }
    cursor.text += char;
    cursor.at += 1;
  }
  const unclosed = cursor.open.at(-1);
  if (unclosed) throw cannotParse(`Can't find end tag corresponding to start tag "${unclosed.name}"`);
  if (cursor.hasSurrogate) {
    throw cannotParse(
      'Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units',
    );
  }
  return finishText(cursor.text, cursor.ranges, cursor.warnings);
}

function cannotParse(why: string) {
  return badRequest(`can't parse entities: ${why}`);
}

function byteOffset(html: string, at: number): number {
  return Buffer.byteLength(html.slice(0, at));
}

/** Reads the reference at the cursor; an unknown one is literal text, as on the real server, and a warning. */
function readReference(cursor: Cursor): string {
  const decoded = decodeReference(cursor.html, cursor.at);
  if (!decoded) {
    cursor.warnings.push(`bare "&" at byte offset ${byteOffset(cursor.html, cursor.at)}`);
    cursor.at += 1;
    return '&';
  }
  if (!decoded.closed) cursor.warnings.push(`"&…" without ";" at byte offset ${byteOffset(cursor.html, cursor.at)}`);
  cursor.at = decoded.end;
  return decoded.text;
}

function decodeReference(html: string, at: number): { text: string; end: number; closed: boolean } | undefined {
  const match = /&(?:#x([0-9a-f]*)|#([0-9]*)|([a-z]*));?/iy;
  match.lastIndex = at;
  const found = match.exec(html);
  if (!found) return undefined;
  const [whole, hex, decimal, name] = found;
  const end = at + whole.length;
  const closed = whole.endsWith(';');
  if (name !== undefined) {
    const text = NAMED[name];
    return text === undefined ? undefined : { text, end, closed };
  }
  const code = hex !== undefined ? Number.parseInt(hex, 16) : Number.parseInt(decimal ?? '', 10);
  const tooLong = whole.length - (closed ? 1 : 0) >= 10;
  if (Number.isNaN(code) || code === 0 || code >= 0x10ffff || tooLong) return undefined;
  return { text: String.fromCodePoint(code), end, closed };
}

function skip(cursor: Cursor, pattern: RegExp): string {
  const sticky = new RegExp(pattern.source, 'y');
  sticky.lastIndex = cursor.at;
  const found = sticky.exec(cursor.html)?.[0] ?? '';
  cursor.at += found.length;
  return found;
}

function readStartTag(cursor: Cursor): void {
  const where = `at byte offset ${byteOffset(cursor.html, cursor.at)}`;
  cursor.at += 1;
  const name = skip(cursor, /[^ \t\r\n\v>]*/).toLowerCase();
  if (cursor.at >= cursor.html.length) throw cannotParse(`Unclosed start tag ${where}`);
  if (!Object.hasOwn(STYLE_TAGS, name)) throw cannotParse(`Unsupported start tag "${name}" ${where}`);
  let argument = '';
  for (;;) {
    skip(cursor, /[ \t\r\n\v]*/);
    if (cursor.html[cursor.at] === '>') break;
    const attribute = readAttribute(cursor, name, where);
    argument = usedArgument(name, attribute) ?? argument;
  }
  cursor.at += 1;
  if (name === 'span' && argument !== 'spoiler') {
    throw cannotParse(`Tag "span" must have class "tg-spoiler" ${where}`);
  }
  cursor.open.push({ name, argument, offset: cursor.text.length });
}

function readAttribute(cursor: Cursor, tag: string, where: string): { name: string; value: string } {
  if (cursor.at >= cursor.html.length) throw cannotParse(`Unclosed start tag ${where}`);
  const isBlockquote = tag === 'blockquote';
  // A bare attribute may end at ">" only where one is known (`<blockquote expandable>`).
  const name = skip(cursor, isBlockquote ? /[^ \t\r\n\v=>]*/ : /[^ \t\r\n\v=]*/);
  if (name === '') throw cannotParse(`Empty attribute name in the tag "${tag}" ${where}`);
  skip(cursor, /[ \t\r\n\v]*/);
  if (cursor.html[cursor.at] !== '=') {
    if (isBlockquote && name === 'expandable') return { name, value: '1' };
    throw cannotParse(`Expected equal sign in declaration of an attribute of the tag "${tag}" ${where}`);
  }
  cursor.at += 1;
  skip(cursor, /[ \t\r\n\v]*/);
  const quote = cursor.html[cursor.at];
  if (quote === undefined) throw cannotParse(`Unclosed start tag "${tag}" ${where}`);
  const value = quote === '"' || quote === "'" ? readQuoted(cursor, quote) : readToken(cursor);
  if (cursor.at >= cursor.html.length) throw cannotParse(`Unclosed start tag ${where}`);
  return { name, value };
}

function readToken(cursor: Cursor): string {
  const where = byteOffset(cursor.html, cursor.at);
  const token = skip(cursor, /[A-Za-z0-9.-]*/).toLowerCase();
  if (!/[ \t\r\n\v>]/.test(cursor.html[cursor.at] ?? ' ')) {
    throw cannotParse(`Unexpected end of name token at byte offset ${where}`);
  }
  return token;
}

function readQuoted(cursor: Cursor, quote: string): string {
  cursor.at += 1;
  let value = '';
  while (cursor.at < cursor.html.length && cursor.html[cursor.at] !== quote) {
    if (cursor.html[cursor.at] === '&') value += readReference(cursor);
    else value += cursor.html[cursor.at++] ?? '';
  }
  cursor.at += 1;
  return value;
}

function usedArgument(tag: string, { name, value }: { name: string; value: string }): string | undefined {
  if (tag === 'a' && name === 'href') return value;
  if (tag === 'code' && name === 'class' && value.startsWith('language-')) return value.slice('language-'.length);
  if (tag === 'span' && name === 'class' && value.startsWith('tg-')) return value.slice('tg-'.length);
  if (tag === 'tg-emoji' && name === 'emoji-id') return value;
  if (tag === 'blockquote' && name === 'expandable') return '1';
  return undefined;
}

function readEndTag(cursor: Cursor): void {
  const where = `at byte offset ${byteOffset(cursor.html, cursor.at)}`;
  const top = cursor.open.at(-1);
  if (!top) throw cannotParse(`Unexpected end tag ${where}`);
  cursor.at += 2;
  const name = skip(cursor, /[^ \t\r\n\v>]*/).toLowerCase();
  skip(cursor, /[ \t\r\n\v]*/);
  if (cursor.html[cursor.at] !== '>') throw cannotParse(`Unclosed end tag ${where}`);
  cursor.at += 1;
  if (name === '') cursor.warnings.push(`nameless end tag ${where}`);
  else if (name !== top.name) {
    throw cannotParse(`Unmatched end tag ${where}, expected "</${top.name}>", found "</${name}>"`);
  }
  cursor.open.pop();
  const length = cursor.text.length - top.offset;
  if (length > 0) closeRange(cursor, top, length);
}

function closeRange(cursor: Cursor, tag: OpenTag, length: number): void {
  const range: Range = { kind: STYLE_TAGS[tag.name] ?? 'bold', argument: tag.argument, offset: tag.offset, length };
  const inner = cursor.ranges.at(-1);
  const isSame = inner?.offset === range.offset && inner.length === range.length;
  // <pre><code class="language-x"> (or the other way round) is one entity with a language.
  if (tag.name === 'pre' && isSame && inner.kind === 'code' && inner.argument !== '') {
    inner.kind = 'pre';
    return;
  }
  if (tag.name === 'code' && isSame && inner.kind === 'pre' && tag.argument !== '') {
    inner.argument = tag.argument;
    return;
  }
  if (tag.name === 'blockquote' && tag.argument === '1') range.kind = 'expandable_blockquote';
  if (tag.name === 'tg-emoji' && !/^[1-9]\d{0,18}$/.test(tag.argument)) {
    throw cannotParse('Invalid custom emoji identifier specified');
  }
  if (tag.name === 'a' && !resolveLink(cursor, range)) return;
  cursor.ranges.push(range);
}

/** A link without a usable address is dropped by the server, its text stays. */
function resolveLink(cursor: Cursor, range: Range): boolean {
  const url = range.argument === '' ? cursor.text.slice(range.offset) : range.argument;
  const user = /^tg:\/\/user\?id=(\d+)$/.exec(url)?.[1];
  if (user !== undefined) {
    range.kind = 'text_mention';
    range.argument = user;
    return true;
  }
  const checked = checkLink(url);
  if (checked === undefined) {
    cursor.warnings.push(`link dropped, "${url}" is no usable address`);
    return false;
  }
  range.argument = checked;
  return true;
}

/** http, https, tg and ton addresses; a bare host name gets http. */
function checkLink(url: string): string | undefined {
  const hasScheme = /^[a-z][a-z0-9+.-]*:/i.test(url) && !/^[^/]*:\d+(\/|$)/.test(url);
  const address = hasScheme ? url : `http://${url}`;
  // The URL class would trim white space at the end of a host name; the server takes no such host.
  if (!URL.canParse(address) || /^[^:]*:\/*[^/?#]*\s/.test(address)) return undefined;
  const { protocol, hostname } = new URL(address);
  if (protocol === 'tg:' || protocol === 'ton:') return address;
  if (protocol !== 'http:' && protocol !== 'https:') return undefined;
  return hostname.includes('.') || hostname.startsWith('[') ? address : undefined;
}
