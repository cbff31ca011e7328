// "Has anything changed since?" as a hash over file contents (times lie after a git checkout). Knows nothing about what is built.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './paths.mjs';

/**
 * The files below `folder` that count, sorted. Hidden files, folders of packages and tests are left out.
 * @param {string} folder absolute
 * @returns {string[]} absolute paths; none when there is no such folder
 */
export function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.') || entry.name === 'node_modules') return [];
    if (entry.isDirectory()) return filesBelow(path);
    return entry.name.endsWith('.test.ts') ? [] : [path];
  });
}

/**
 * Hash of names and contents; a missing file counts as such.
 * @param {string[]} files absolute
 * @param {string[]} [more] further inputs
 * @returns {string} 64 hex digits
 */
export function hashOf(files, more = []) {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`\0${relative(root, file)}\0`);
    if (existsSync(file)) hash.update(readFileSync(file));
  }
  for (const input of more) hash.update(`\0${input}`);
  return hash.digest('hex');
}

/** @param {string} file @param {string} hash */
export function isStamped(file, hash) {
  return existsSync(file) && readFileSync(file, 'utf8').trim() === hash;
}

/** A new file each time: whole or not at all, and never through a link to another checkout's. @param {string} file @param {string} hash */
export function stamp(file, hash) {
  const next = `${file}.${process.pid}`;
  writeFileSync(next, `${hash}\n`);
  renameSync(next, file);
}
