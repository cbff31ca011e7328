// What skills bring into the owner's services.json: entries in which the owner fills in the gaps. Nothing else in that file changes, and an
// entry that the owner changed stays as it is. Knows nothing about what an entry means.
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupError } from './progress.mjs';

/**
 * @typedef {import('./skill-format.mjs').Skill} Skill
 * @typedef {Record<string, unknown>} Entry
 * @typedef {{ file: string, before: string | undefined, after: string | undefined, names: string[], notes: string[] }} ServicesPlan
 * `before`, `after`: the text of the file, undefined when there is none; `names`: of the services that come or go
 */

const PLACEHOLDER = /<([A-Z][A-Z0-9_]*)>/g;

/** Names of the variables that stand in it as `<NAME>`. @param {unknown} entry */
export const placeholdersIn = (entry) => [
  ...new Set([...JSON.stringify(entry).matchAll(PLACEHOLDER)].map(([, name = '']) => name)),
];

/**
 * What the owner has to give before the services of these skills can be written: those that are there need nothing.
 * @param {string} home
 * @param {Skill[]} skills
 * @param {Record<string, string | undefined>} values
 */
export function missingValues(home, skills, values) {
  const list = listOf(textIn(home, skills));
  return skills.flatMap(({ services, env }) => {
    const absent = Object.entries(services).filter(([name]) => !Object.hasOwn(list, name));
    const names = placeholdersIn(absent).filter((name) => !values[name]);
    return env.filter(({ name }) => names.includes(name));
  });
}

/**
 * Throws SetupError when services.json cannot be read.
 * @param {string} home
 * @param {Skill[]} skills
 * @param {Record<string, string | undefined>} values of placeholders
 * @returns {ServicesPlan}
 */
export function planServices(home, skills, values) {
  const plan = emptyPlan(home, skills);
  for (const { name, template, env } of entriesOf(skills)) {
    const list = listOf(plan.after);
    if (Object.hasOwn(list, name)) {
      if (!isFrom(template, list[name]))
        plan.notes.push(
          `services.json has another service "${name}": it stays as it is. Without it there, this command writes the skill's.`,
        );
      continue;
    }
    const missing = env.filter((one) => placeholdersIn(template).includes(one.name) && !values[one.name]);
    if (missing.length > 0) {
      const wanted = missing.map((one) => `${one.name} (${one.how}, such as ${one.example})`).join(' and ');
      plan.notes.push(
        `The service "${name}" is not in services.json yet: put ${wanted} before this command or into .env, and run it again.`,
      );
      continue;
    }
    plan.names.push(name);
    plan.after = withService(plan.after, name, filled(template, values));
  }
  return plan;
}

/**
 * @param {string} home
 * @param {Skill[]} skills
 * @returns {ServicesPlan}
 */
export function planWithoutServices(home, skills) {
  const plan = emptyPlan(home, skills);
  for (const { name, template } of entriesOf(skills)) {
    const list = listOf(plan.after);
    if (plan.after === undefined || !Object.hasOwn(list, name)) continue;
    if (isFrom(template, list[name])) {
      plan.names.push(name);
      plan.after = withoutService(plan.after, name);
    } else plan.notes.push(`The service "${name}" was changed, so it stays in services.json: delete it there.`);
  }
  return plan;
}

/** @param {string} home @param {Skill[]} skills @returns {ServicesPlan} */
function emptyPlan(home, skills) {
  const before = textIn(home, skills);
  return { file: join(home, 'services.json'), before, after: before, names: [], notes: [] };
}

/** @param {Skill[]} skills */
const entriesOf = (skills) =>
  skills.flatMap(({ services, env }) => Object.entries(services).map(([name, template]) => ({ name, template, env })));

/** @param {string} home @param {Skill[]} skills without services the file is none of their business */
function textIn(home, skills) {
  const file = join(home, 'services.json');
  return entriesOf(skills).length > 0 && existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** @param {string | undefined} text @returns {Record<string, unknown>} */
function listOf(text) {
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

/** @param {Entry} template @param {Record<string, string | undefined>} values @returns {Entry} */
function filled(template, values) {
  const fill = (/** @type {string} */ _key, /** @type {unknown} */ value) =>
    typeof value === 'string' ? value.replace(PLACEHOLDER, (_all, name) => values[name] ?? '') : value;
  return JSON.parse(JSON.stringify(template, fill));
}

/** Whether an entry is the skill's, whatever the owner gave for its placeholders. @param {Entry} template @param {unknown} entry */
function isFrom(template, entry) {
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
function withService(text = '{\n}\n', name, entry) {
  const end = text.slice(0, text.lastIndexOf('}')).trimEnd().length;
  const isFirst = Object.keys(listOf(text)).length === 0;
  return `${text.slice(0, end)}${isFirst ? '' : ','}${rowOf(name, entry)}${text.slice(end)}`;
}

/** The text without the entry; undefined when nothing is left. @param {string} text @param {string} name */
function withoutService(text, name) {
  const { [name]: entry, ...others } = listOf(text);
  if (Object.keys(others).length === 0) return undefined;
  const row = rowOf(name, entry);
  const without = [`,${row}`, `${row},`].map((piece) => text.replace(piece, () => ''));
  const asBefore = without.find((rest) => JSON.stringify(parsed(rest)) === JSON.stringify(others));
  // The owner laid it out anew.
  return asBefore ?? `${JSON.stringify(others, null, 2)}\n`;
}

/** The file's change, as those of the checkout are shown. @param {ServicesPlan} plan @returns {import('./skill-plan.mjs').Change[]} */
export const changeOf = ({ before, after }) =>
  before === after ? [] : [{ path: 'services.json', before: bytes(before), after: bytes(after), mode: 0o600 }];

/** @param {string | undefined} text */
const bytes = (text) => (text === undefined ? undefined : Buffer.from(text));

/**
 * Writes the file whole or not at all. Throws SetupError when it is no longer what the plan was made for.
 * @param {ServicesPlan} plan
 */
export function writeServices({ file, before, after }) {
  if (before === after) return;
  // The owner may keep it elsewhere and link to it.
  const target = existsSync(file) ? realpathSync(file) : file;
  const now = existsSync(target) ? readFileSync(target, 'utf8') : undefined;
  if (now !== before) throw new SetupError('services.json was changed meanwhile and is as it was: run this again.');
  if (after === undefined) return rmSync(file);
  mkdirSync(dirname(target), { recursive: true });
  const part = `${target}.skill-part`;
  rmSync(part, { force: true });
  writeFileSync(part, after, { mode: 0o600, flag: 'wx' });
  renameSync(part, target);
}
