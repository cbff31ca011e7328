// Texts that people and containers chose, on their way into our own lists, notices and terminals: one short line, nothing invisible in it.

/** Marks that nobody sees: they turn the direction of writing, or hide letters. */
const INVISIBLE = /[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu;
const BREAKS = /[\p{Cc}\p{Zl}\p{Zp}\s]+/gu;

/** One line of at most `max` characters. Never throws; harmless when repeated. */
export function oneLine(text: string, max: number): string {
  const line = text.replace(INVISIBLE, '').replace(BREAKS, ' ').trim();
  const characters = [...line];
  return characters.length <= max
    ? line
    : `${characters
        .slice(0, max - 1)
        .join('')
        .trimEnd()}…`;
}

/** The same for our Markdown: shown as it is written, it makes no bold text, no link and no code. */
export const shownLine = (text: string, max: number): string => oneLine(text, max).replace(/[\\`*_~[\]<>#|&]/g, '\\$&');

/** Words of a container or a provider in a notice: short, as code, with nothing to click, and marked as not ours. */
export const quoted = (text: string): string =>
  `Reported from there: \`${oneLine(text, 200).replaceAll('`', "'").replaceAll('://', ': //')}\``;

/** Lines stay; what a terminal would obey, or would show as something else, is gone. */
export const printable = (text: string): string =>
  text
    .replace(INVISIBLE, '')
    .replace(/\r\n?|[\u0085\u2028\u2029]/g, '\n')
    .replace(/(?![\n\t])\p{Cc}/gu, '');
