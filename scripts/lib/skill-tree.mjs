// What is there of a skill: there is no list of applied skills, the tree itself tells.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSkill, skillNames } from './skill-format.mjs';
import { wasOnce } from './skill-git.mjs';
import { hasLine, imageList } from './skill-lists.mjs';
import { dependenciesOf } from './skill-package.mjs';

/** @typedef {import('./skill-format.mjs').Skill} Skill @typedef {import('./skill-format.mjs').SkillFile} SkillFile */

/** What its manual says it does. @param {Skill} skill */
export const descriptionOf = ({ manual }) => /^description: *(.*?)(?: Use when.*)?$/m.exec(manual)?.[1] ?? '';

/** @param {string} root */
export const readSkills = (root) => skillNames(root).map((name) => readSkill(root, name));

/**
 * Lines of a skill with the file each belongs into, the image's packages too.
 * @param {Skill} skill
 */
export const linesOf = ({ lines, image }) => [...lines, ...image.map((line) => ({ file: imageList, line }))];

/** @param {string} root @param {string} path */
export function textOf(root, path) {
  const file = join(root, path);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/**
 * `earlier`: what the skill wrote before it was updated, untouched since.
 * @param {string} root
 * @param {SkillFile} file
 * @returns {'absent' | 'same' | 'earlier' | 'other'}
 */
export function fileState(root, { from, to, content }) {
  const target = join(root, to);
  if (!existsSync(target)) return 'absent';
  if (readFileSync(target).equals(content)) return 'same';
  return wasOnce(root, from, to) ? 'earlier' : 'other';
}

/**
 * How much of a skill is there. `text`: it has nothing to apply.
 * @param {string} root
 * @param {Skill} skill
 * @returns {'applied' | 'applied, changed since' | 'partly applied' | 'not applied' | 'text'}
 */
export function skillState(root, skill) {
  const files = skill.files.map((file) => fileState(root, file));
  const lines = linesOf(skill).map(({ file, line }) => hasLine(textOf(root, file) ?? '', line));
  const versions = dependenciesOf(textOf(root, 'package.json') ?? '{}');
  const packages = Object.entries(skill.dependencies).map(([name, version]) => versions[name] === version);
  const own = [...files.map((state) => state !== 'absent'), ...lines];
  if (own.length + packages.length === 0) return 'text';
  // A package by itself proves nothing: others use it as well.
  if (own.length > 0 ? !own.includes(true) : !packages.includes(true)) return 'not applied';
  if ([...own, ...packages].includes(false)) return 'partly applied';
  return files.every((state) => state === 'same') ? 'applied' : 'applied, changed since';
}

/**
 * Whether anything of it is there.
 * @param {string} root
 * @param {Skill} skill
 */
export const isThere = (root, skill) => !['not applied', 'text'].includes(skillState(root, skill));
