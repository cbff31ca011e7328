// Entries of services.json, as a skill brings them with gaps for what the owner gives, and as they stand in the text of that file. Pure.
import { SetupError } from './progress.mjs';

/** @typedef {Record<string, unknown>} Entry */

const PLACEHOLDER = /<([A-Z][A-Z0-9_]*)>/g;

/** Names of the variables that stand in it as `<NAME>`. @param {unknown} entry */
export const placeholdersIn = (entry) => [
  ...new Set([...JSON.stringify(entry).matchAll(PLACEHOLDER)].map(([, name = '']) => name)),
];

/**
 * What the text of the file lists. Throws SetupError when it is none.
 * @param {string | undefined} text
 * @returns {Record<string, unknown>}
 */
export function listOf(text) {
  if (text === undefined) return {};
  const list = parsed(text);
  if (typeof list === 'object' && list !== null && !Array.isArray(list)) return { ...list };
  throw new SetupError('services.json is not a JSON object: correct it first; docs/services.md shows one.');
}

/** @param {string} text @returns {unknown} undefined when it is no JSON */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * With the owner's values in the gaps.
 * @param {Entry} template
 * @param {Record<string, string | undefined>} values
 * @returns {Entry}
 */
export function filled(template, values) {
  const fill = (/** @type {string} */ _key, /** @type {unknown} */ value) =>
    typeof value === 'string' ? value.replace(PLACEHOLDER, (_all, name) => values[name] ?? '') : value;
  return JSON.parse(JSON.stringify(template, fill));
}

/** Whether an entry is the skill's, whatever the owner gave for its placeholders. @param {Entry} template @param {unknown} entry */
export function isFrom(template, entry) {
  const pattern = inOrder(template)
    .split(PLACEHOLDER)
    // Of the pieces every second one is the name of a placeholder.
    .map((piece, at) => (at % 2 === 1 ? '(?:[^"\\\\]|\\\\.)+' : piece.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')));
  return new RegExp(`^${pattern.join('')}$`).test(inOrder(entry));
}

/** As JSON, whatever the order in which its fields were written. @param {unknown} value */
const inOrder = (value) =>
  JSON.stringify(value, (_key, one) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );

/** @param {string} name @param {unknown} entry */
const rowOf = (name, entry) =>
  `\n  ${JSON.stringify(name)}: ${JSON.stringify(entry, null, 2).replaceAll('\n', '\n  ')}`;

/** The text with the entry behind all others. @param {string | undefined} text @param {string} name @param {Entry} entry */
export function withService(text = '{\n}\n', name, entry) {
  const end = text.slice(0, text.lastIndexOf('}')).trimEnd().length;
  const isFirst = Object.keys(listOf(text)).length === 0;
  return `${text.slice(0, end)}${isFirst ? '' : ','}${rowOf(name, entry)}${text.slice(end)}`;
}

/** The text without the entry; undefined when nothing is left. @param {string} text @param {string} name */
export function withoutService(text, name) {
  const { [name]: entry, ...others } = listOf(text);
  if (Object.keys(others).length === 0) return undefined;
  const row = rowOf(name, entry);
  const without = [`,${row}`, `${row},`].map((piece) => text.replace(piece, () => ''));
  const asBefore = without.find((rest) => JSON.stringify(parsed(rest)) === JSON.stringify(others));
  // The owner laid it out anew.
  return asBefore ?? `${JSON.stringify(others, null, 2)}\n`;
}
