// Refuses to mix what skills change with what somebody else changed: beside the last commit there may only be what skills added or took
// away, this command cut off half-way, or others a moment ago.
import { SetupError } from './progress.mjs';
import { changedPaths, checkCheckout, committed, partSuffix } from './skill-git.mjs';
import { removeLine } from './skill-lists.mjs';
import { removeDependency } from './skill-package.mjs';
import { fileState, linesOf, readSkills, textOf } from './skill-tree.mjs';

/** Beside its target while it is written; a fixed name, so that the next try takes away what a killed one left. */
export const temporaryOf = (/** @type {string} */ path) => path + partSuffix;

/**
 * Throws SetupError that names the paths in the way.
 * @param {string} root
 */
export function checkClean(root) {
  checkCheckout(root);
  const skills = readSkills(root);
  const foreign = changedPaths(root).filter((path) => !isOfSkills(root, path, skills));
  if (foreign.length === 0) return;
  const shown = foreign.slice(0, 5).join(', ') + (foreign.length > 5 ? ` and ${foreign.length - 5} more` : '');
  throw new SetupError(
    `Not committed yet: ${shown}. Commit that (or \`git stash -u\`), then run this again: what a skill changes must stand by itself.`,
  );
}

/**
 * @param {string} root
 * @param {string} path
 * @param {import('./skill-format.mjs').Skill[]} skills
 */
function isOfSkills(root, path, skills) {
  const target = path.endsWith(partSuffix) ? path.slice(0, -partSuffix.length) : path;
  const files = skills.flatMap((skill) => skill.files).filter(({ to }) => to === target);
  const lines = skills.flatMap(linesOf).filter(({ file }) => file === target);
  const dependencies = skills.flatMap((skill) => Object.entries(skill.dependencies));
  if (target !== path) return files.length + lines.length > 0 || target === 'package.json';
  if (files.length > 0) return files.some((file) => fileState(root, file) !== 'other');
  // npm's to write, from package.json.
  if (path === 'package-lock.json') return dependencies.length > 0;
  if (lines.length === 0 && path !== 'package.json') return false;
  return sameBut(root, path, (text) => {
    const rest = lines.reduce((left, { line }) => removeLine(left, line), text);
    if (path !== 'package.json') return rest;
    return dependencies.reduce((left, [name, version]) => removeDependency(left, name, version), rest);
  });
}

/**
 * Whether the file is as committed, but for what `strip` takes out of both.
 * @param {string} root
 * @param {string} path
 * @param {(text: string) => string} strip
 */
function sameBut(root, path, strip) {
  const before = committed(root, path)?.toString();
  const now = textOf(root, path);
  return before !== undefined && now !== undefined && strip(before) === strip(now);
}
