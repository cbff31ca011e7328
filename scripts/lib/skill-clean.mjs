// Refuses to mix a skill's changes with somebody's own: the working tree must be as committed, but for what this same command
// left behind when it was cut off, or did a moment ago.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './progress.mjs';
import { changedPaths, checkCheckout, committed, partSuffix } from './skill-git.mjs';

/** Beside its target while it is written; a fixed name, so that the next try takes away what a killed one left. */
export const temporaryOf = (/** @type {string} */ path) => path + partSuffix;

/**
 * Throws SetupError that names the paths in the way.
 * @param {string} root
 * @param {import('./skill-plan.mjs').Plan} plan
 */
export function checkClean(root, plan) {
  checkCheckout(root);
  const own = new Set([...plan.files, ...[...plan.files, ...plan.edits.keys()].map(temporaryOf)]);
  // npm's to write, from package.json.
  if (plan.edits.has('package.json')) own.add('package-lock.json');
  const foreign = changedPaths(root).filter((path) => !own.has(path) && !isPartOf(root, path, plan.edits.get(path)));
  if (foreign.length === 0) return;
  const shown = foreign.slice(0, 5).join(', ') + (foreign.length > 5 ? ` and ${foreign.length - 5} more` : '');
  throw new SetupError(
    `Not committed yet: ${shown}. Commit that (or \`git stash -u\`), then run this again: what a skill changes must stand by itself.`,
  );
}

/**
 * True when finishing from here gives the same as starting from the commit.
 * @param {string} root
 * @param {string} path
 * @param {((text: string) => string) | undefined} edit
 */
function isPartOf(root, path, edit) {
  const before = edit && committed(root, path);
  return before !== undefined && edit?.(before.toString()) === edit?.(readFileSync(join(root, path), 'utf8'));
}
