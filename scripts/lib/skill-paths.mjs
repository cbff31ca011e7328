// Which paths a skill may name: plain ones inside the repository, with no symbolic link on the way.
import { lstatSync } from 'node:fs';
import { join } from 'node:path';

/** Not in version control, or not a skill's to fill. */
const closed = ['node_modules', 'dist', 'data', 'groups', 'skills'];

/**
 * Why a path is refused; undefined when it is fine. Hidden names are out: `.git` runs programs, `.env` holds keys.
 * @param {unknown} path
 */
export function pathProblem(path) {
  const parts = typeof path === 'string' ? path.split('/') : [];
  if (!parts.every((part) => /^[\w@][\w@.+-]*$/.test(part)) || parts.length === 0)
    return `${JSON.stringify(path)} is not a plain path inside the repository: write it like src/channels/slack.ts`;
  const first = parts[0]?.toLowerCase() ?? '';
  if (closed.includes(first) || parts.includes('node_modules')) return `${first}/ is not a place for a skill's files`;
  return undefined;
}

/**
 * The first part of `path` below `root` that is a symbolic link, or a file where a folder must be.
 * @param {string} root
 * @param {string} path
 * @returns {string | undefined}
 */
export function symlinkOn(root, path) {
  const parts = path.split('/');
  for (let count = 1; count <= parts.length; count += 1) {
    const part = parts.slice(0, count).join('/');
    const stat = lstatSync(join(root, part), { throwIfNoEntry: false });
    if (!stat) return undefined;
    if (stat.isSymbolicLink() || (count < parts.length && !stat.isDirectory())) return part;
  }
  return undefined;
}
