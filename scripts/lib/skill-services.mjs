// What skills bring into the owner's services.json. Nothing else in that file changes, and an entry that the owner changed stays as it is. Knows
// nothing about what an entry means.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupError } from './progress.mjs';
import { filled, isFrom, listOf, placeholdersIn, withoutService, withService } from './skill-entries.mjs';

/**
 * @typedef {import('./skill-format.mjs').Skill} Skill
 * @typedef {{ file: string, before: string | undefined, after: string | undefined, names: string[], notes: string[] }} ServicesPlan
 * `before`, `after`: the text of the file, undefined when there is none; `names`: of the services that come or go
 */

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
  // Nothing is left in it; a link of the owner's still leads somewhere.
  if (after === undefined && !lstatSync(file).isSymbolicLink()) return rmSync(file);
  mkdirSync(dirname(target), { recursive: true });
  const part = `${target}.skill-part`;
  rmSync(part, { force: true });
  writeFileSync(part, after ?? '{}\n', { mode: 0o600, flag: 'wx' });
  renameSync(part, target);
}
