// What a person wrote in a mail: HTML as text, without the quoted mail and the signature below it. Pure.
import { compile } from 'html-to-text';

/** What is behind is the oldest quote. More takes seconds when somebody means it badly. */
const MAX_HTML_CHARS = 200_000;

const toText = compile({
  wordwrap: false,
  limits: { maxDepth: 200, ellipsis: '…' },
  selectors: [
    { selector: 'a', options: { hideLinkHrefIfSameAsText: true } },
    // Pictures come as files; their addresses are mostly counters.
    { selector: 'img', format: 'skip' },
    ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } })),
  ],
});

/** HTML as plain text; quotes become lines with `> `. Never throws. */
export const htmlToText = (html: string): string =>
  toText(html.slice(0, MAX_HTML_CHARS)).replaceAll('\u00a0', ' ').trim();

/** The line above a quoted mail, in the languages mail programs are mostly used in. */
const WROTE =
  /(?<!\p{L})(?:wrote|writes|schrieb|a écrit|escribió|ha scritto|schreef|skrev|kirjoitti|napisała?|escreveu|napsala?|írta|пишет|писала?)(?!\p{L}).{0,120}:\s*$|(?:写道|寫道|書きました|のメッセージ|작성)\s*[:：]\s*$/iu;
const ORIGINAL =
  /^\s*-{2,}\s*(?:original message|original-nachricht|ursprüngliche nachricht|message d'origine|mensaje original|messaggio originale|oorspronkelijk bericht|opprinnelig melding|mensagem original)\s*-{2,}\s*$/i;
/** Outlook puts the head of the mail above its text. */
const HEAD_FROM = /^\s*\*?(?:from|von|de|da|van|fra|från|od|lähettäjä)\s?\*?:\*?\s+\S/i;
const HEAD_SENT =
  /^\s*\*?(?:sent|date|gesendet|datum|envoyé|enviado|inviato|verzonden|sendt|skickat|wysłano|lähetetty|enviada)\b[^:]{0,10}:/i;
const MOBILE =
  /^(?:sent from my|sent from outlook|get outlook for|von meinem .{1,40} gesendet|gesendet von|envoyé de mon|enviado desde mi|inviato da)\b.{0,80}$/i;

const isQuoted = (line: string) => line.startsWith('>');
const isBlank = (line: string) => line.trim() === '';

/**
 * The words the sender wrote themselves. What is quoted below or above them goes, answers written between quoted lines keep these;
 * when nothing would be left, everything stays. `isReply`: it answers another mail, so a quote is a repetition. Never throws.
 */
export function ownWords(text: string, isReply: boolean): string {
  const lines = withoutSignature(text.replace(/\r\n?/g, '\n').split('\n'));
  const unquoted = isReply ? withoutLeadingQuote(withoutTrailingQuote(lines)) : lines;
  const own = withoutDevice(unquoted).join('\n').trim();
  return own || text.trim();
}

/** RFC 3676 section 4.3; some programs lose the space. */
function withoutSignature(lines: string[]): string[] {
  const at = lines.findIndex((line) => line === '-- ' || line === '--');
  return at === -1 ? lines : lines.slice(0, at);
}

function withoutDevice(lines: string[]): string[] {
  const last = lines.findLastIndex((line) => !isBlank(line));
  return last > 0 && MOBILE.test(lines[last]?.trim() ?? '') ? lines.slice(0, last) : lines;
}

function withoutTrailingQuote(lines: string[]): string[] {
  const head = lines.findIndex(
    (line, at) =>
      ORIGINAL.test(line) ||
      (HEAD_FROM.test(line) && lines.slice(at + 1, at + 4).some((next) => HEAD_SENT.test(next)) && isBreak(lines, at)),
  );
  const above = head === -1 ? lines : lines.slice(0, head);
  const last = above.findLastIndex((line) => !isBlank(line) && !isRule(line));
  if (last === -1 || !isQuoted(above[last] ?? '')) return above.slice(0, last + 1);
  const before = above.slice(0, last + 1).findLastIndex((line) => !isQuoted(line) && !isBlank(line));
  return above.slice(0, attributionStart(above, before));
}

const isRule = (line: string) => /^\s*[_-]{5,}\s*$/.test(line);
const isBreak = (lines: string[], at: number) =>
  at === 0 || isBlank(lines[at - 1] ?? '') || isRule(lines[at - 1] ?? '');

/** Where the words "On Monday … wrote:", which may be broken into three lines, begin that end at `last`; else the line behind it. */
function attributionStart(lines: string[], last: number): number {
  for (let first = last; first >= 0 && first > last - 3 && !isBlank(lines[first] ?? ''); first -= 1) {
    const joined = lines.slice(first, last + 1).join(' ');
    if (WROTE.test(joined) && (/\d/.test(joined) || joined.includes('@'))) return wholeParagraph(lines, first, last);
  }
  return WROTE.test(lines[last] ?? '') ? last : last + 1;
}

/** A broken attribution stands in a paragraph of its own of at most three lines. */
function wholeParagraph(lines: string[], first: number, last: number): number {
  const start = lines.slice(0, first).findLastIndex(isBlank) + 1;
  return last - start < 3 ? start : first;
}

function withoutLeadingQuote(lines: string[]): string[] {
  const first = lines.findIndex(isQuoted);
  if (first === -1) return lines;
  const above = lines.slice(0, first).findLastIndex((line) => !isBlank(line));
  if (above !== -1 && attributionStart(lines, above) !== lines.findIndex((line) => !isBlank(line))) return lines;
  const rest = lines.slice(first).findIndex((line) => !isQuoted(line) && !isBlank(line));
  const own = rest === -1 ? [] : lines.slice(first + rest);
  return own.some(isQuoted) || own.length === 0 ? lines : own;
}
