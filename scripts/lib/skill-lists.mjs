// The lists a skill may add whole lines to, and how a line gets in and out without another byte changing. Pure.
import { SetupError } from './progress.mjs';

/**
 * @typedef {{ what: string, pattern: RegExp, key: (line: string) => string }} List
 * `pattern` tells the list's lines from the rest of the file, `key` is what they are sorted by.
 */

const byModule = (/** @type {string} */ line) => /'(.*)'/.exec(line)?.[1] ?? line;

/** Debian packages of the agent's image, one a line. */
export const imageList = 'container/packages.txt';

/** @type {Record<string, List>} */
export const lists = {
  'src/channels/index.ts': {
    what: 'the list of channels',
    pattern: /^export \{ \w+ \} from '\.\/[\w-]+\.js';$/,
    key: byModule,
  },
  'src/runs/media-readers.ts': {
    what: 'the list of what reads media',
    pattern: /^export \{ \w+ \} from '\.\/[\w-]+\.js';$/,
    key: byModule,
  },
  'src/sandbox/runtimes.ts': {
    what: 'the list of runtimes',
    pattern: /^export \{ \w+ \} from '\.\/[\w-]+\.js';$/,
    key: byModule,
  },
  'container/agent-runner/src/tools/families.ts': {
    what: "the list of the agent's tools",
    pattern: /^export \{ \w+ \} from '\.\/[\w-]+\.js';$/,
    key: byModule,
  },
  [imageList]: { what: "the packages of the agent's image", pattern: /^[a-z0-9][a-z0-9+.-]+$/, key: (line) => line },
};

/**
 * The list of a file. Throws SetupError when it is none, or when the line does not belong there.
 * @param {string} file
 * @param {string} line
 */
export function listFor(file, line) {
  const list = lists[file];
  if (!list) {
    throw new SetupError(
      `${file} takes no lines from skills: only ${Object.keys(lists).join(', ')} do. Put the code into a new file.`,
    );
  }
  if (!list.pattern.test(line)) throw new SetupError(`\`${line}\` does not belong into ${list.what} (${file}).`);
  return list;
}

/** @param {string} text @param {string} line */
export const hasLine = (text, line) => text.split('\n').includes(line);

/**
 * The text with the line before the first of its list that sorts behind it: so the order of additions leaves no trace.
 * @param {string} file
 * @param {string} text
 * @param {string} line
 */
export function addLine(file, text, line) {
  const rows = text.split('\n');
  if (rows.includes(line)) return text;
  const { pattern, key } = listFor(file, line);
  const mine = key(line);
  const places = [...rows.keys()].filter((at) => pattern.test(rows[at] ?? ''));
  const behind = places.find((at) => key(rows[at] ?? '') > mine);
  // An empty list begins where the file ends; the last row is what follows the last line's end.
  const end = rows.at(-1) === '' ? rows.length - 1 : rows.length;
  const last = places.at(-1);
  return rows.toSpliced(behind ?? (last === undefined ? end : last + 1), 0, line).join('\n');
}

/** The text without the line. @param {string} text @param {string} line */
export function removeLine(text, line) {
  const rows = text.split('\n');
  const at = rows.indexOf(line);
  return at === -1 ? text : rows.toSpliced(at, 1).join('\n');
}
