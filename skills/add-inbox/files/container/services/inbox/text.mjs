// Text of mails for people and models: one line of it, HTML as plain text. Pure.
import { compile } from 'html-to-text';

/** More takes seconds when somebody means it badly. */
const MAX_HTML_CHARS = 200_000;

const toText = compile({
  wordwrap: false,
  limits: { maxDepth: 200, ellipsis: '…' },
  selectors: [
    { selector: 'a', options: { hideLinkHrefIfSameAsText: true } },
    // Their addresses are mostly counters.
    { selector: 'img', format: 'skip' },
    ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } })),
  ],
});

/** HTML as plain text. @param {string} html */
export const htmlToText = (html) => toText(html.slice(0, MAX_HTML_CHARS)).replaceAll('\u00a0', ' ').trim();

/**
 * One line without control characters and without marks that turn the direction of writing.
 * @param {unknown} text
 * @param {number} maxChars
 */
export function oneLine(text, maxChars) {
  const clean = String(text ?? '')
    .slice(0, 4 * maxChars)
    .replace(/[\p{Cc}\u2028\u2029\s]+/gu, ' ')
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '')
    .trim();
  return clean.length > maxChars ? `${clean.slice(0, maxChars - 1).toWellFormed()}…` : clean.toWellFormed();
}

/** @typedef {{ name?: string | undefined, address?: string | undefined }} EnvelopeAddress */

const MAX_PEOPLE = 20;

/**
 * Senders or recipients, `Anna <anna@example.org>`, the first of them.
 * @param {EnvelopeAddress[] | undefined} people
 * @returns {string[]}
 */
export function peopleOf(people = []) {
  const shown = people.slice(0, MAX_PEOPLE).map(({ name, address }) => {
    const [who, where] = [oneLine(name, 80), oneLine(address, 200)];
    return who && who !== where ? `${who} <${where}>` : where;
  });
  return people.length > MAX_PEOPLE ? [...shown, `… ${people.length - MAX_PEOPLE} more`] : shown;
}
