// Whether every skill is well made: data, manual, and whether they get along with this checkout and each other.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './progress.mjs';
import { readSkill, skillName, skillNames } from './skill-format.mjs';
import { listFor, lists } from './skill-lists.mjs';
import { addDependency } from './skill-package.mjs';
import { withRequired } from './skill-plan.mjs';
import { linesOf, textOf } from './skill-tree.mjs';

/** @typedef {import('./skill-format.mjs').Skill} Skill */

/** The sections of a SKILL.md, in this order. */
export const sections = ['When to use', 'Preflight', 'Apply', 'Configure', 'Verify', 'Remove', 'Report'];
const MAX_LINES = 150;
/** Longer ones are cut off where Claude Code lists its skills. */
const MAX_DESCRIPTION_CHARS = 1_024;

/**
 * One line per problem, each with the skill's name.
 * @param {string} root
 * @returns {string[]}
 */
export function checkSkills(root) {
  /** @type {Skill[]} */
  const skills = [];
  const problems = skillNames(root).flatMap((name) =>
    asProblems(name, () => {
      if (!skillName.test(name)) return ['is not a name: use lower-case letters, digits and -'];
      const skill = readSkill(root, name);
      skills.push(skill);
      return [...manualProblems(skill), ...dataProblems(root, skill)];
    }),
  );
  return [...problems, ...commonProblems(skills)];
}

/** @param {string} name @param {() => string[]} look */
function asProblems(name, look) {
  try {
    return look().map((problem) => `${name}: ${problem}`);
  } catch (error) {
    if (error instanceof SetupError) return [`${name}: ${error.message}`];
    throw error;
  }
}

/** @param {Skill} skill */
function manualProblems({ name, manual }) {
  const [, head = '', body = ''] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(manual) ?? [];
  const field = (/** @type {string} */ key) => new RegExp(`^${key}: *(.*)$`, 'm').exec(head)?.[1] ?? '';
  const description = field('description');
  const parts = body
    .split(/^## /m)
    .slice(1)
    .map((part) => ({ title: part.split('\n', 1)[0], text: part.replace(/^.*\n?/, '') }));
  const titles = parts.map(({ title }) => title).join(' · ');
  const problems = [
    field('name') !== name && `SKILL.md: \`name\` in the front matter must be ${name}`,
    !description.includes('Use when') && 'SKILL.md: `description` must say what it does and then "Use when …"',
    / #|: /.test(description) && 'SKILL.md: `description` holds `: ` or ` #`, which YAML reads as something else',
    description.length > MAX_DESCRIPTION_CHARS &&
      `SKILL.md: \`description\` is longer than ${MAX_DESCRIPTION_CHARS} characters`,
    manual.split('\n').length - 1 > MAX_LINES && `SKILL.md is longer than ${MAX_LINES} lines`,
    titles !== sections.join(' · ') &&
      `SKILL.md: its sections must be ${sections.join(' · ')}, not ${titles || 'none'}`,
    ...parts.map(({ title, text }) => text.trim() === '' && `SKILL.md: the section ${title} is empty`),
  ];
  return problems.filter((problem) => problem !== false);
}

/** @param {string} root @param {Skill} skill */
function dataProblems(root, skill) {
  const { name, files, dependencies } = skill;
  const problems = linesOf(skill).flatMap(({ file, line }) =>
    asProblems(file, () => {
      listFor(file, line);
      return existsSync(join(root, file)) ? [] : [`${lists[file]?.what} is not in this checkout`];
    }),
  );
  const packages = textOf(root, 'package.json') ?? '{}';
  for (const [dependency, version] of Object.entries(dependencies))
    problems.push(...asProblems(dependency, () => otherVersion(packages, dependency, version)));
  const folder = join(root, 'skills', name, 'files');
  const present = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
  const named = new Set(files.map(({ from }) => join(root, from)));
  for (const entry of present) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isDirectory() && !named.has(path))
      problems.push(`${path.slice(root.length + 1)} is not named in skill.json`);
  }
  withRequired(root, [name]);
  return problems;
}

/** @param {string} packages @param {string} dependency @param {string} version @returns {string[]} */
function otherVersion(packages, dependency, version) {
  addDependency(packages, dependency, version);
  return [];
}

/**
 * Two skills that write the same path, or pin a package differently, cannot both be applied.
 * @param {Skill[]} skills
 */
function commonProblems(skills) {
  /** @type {Map<string, { name: string, value: string }>} */
  const claims = new Map();
  /** @type {string[]} */
  const problems = [];
  /** @param {string} name @param {string} what @param {string} value */
  const claim = (name, what, value) => {
    const first = claims.get(what) ?? { name, value };
    claims.set(what, first);
    if (first.value !== value) problems.push(`${name}: ${what} is different in ${first.name}`);
  };
  for (const { name, files, dependencies, services } of skills) {
    for (const { to, content } of files) claim(name, to, content.toString('base64'));
    for (const [dependency, version] of Object.entries(dependencies)) claim(name, dependency, version);
    for (const service of Object.keys(services)) claim(name, `the service ${service}`, name);
  }
  return problems;
}
