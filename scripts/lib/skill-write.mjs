// Writes a plan, and has npm install what it needs. Whatever line it is killed at, running it again finishes it.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { runQuietly, say } from './progress.mjs';
import { temporaryOf } from './skill-clean.mjs';
import { dependenciesOf } from './skill-package.mjs';

/** @typedef {import('./skill-plan.mjs').Change} Change @typedef {import('./skill-plan.mjs').Plan} Plan */

/** @param {string} file @param {Buffer} content @param {number} mode */
function write(file, content, mode) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

/**
 * Carries a plan out. Throws SetupError, with package.json as it was, when npm cannot install what it needs.
 * @param {string} root
 * @param {Plan} plan
 * @param {{ install: boolean }} options
 */
export async function carryOut(root, { changes, dependencies, files, edits }, { install }) {
  const [packages, others] = [true, false].map((wanted) =>
    changes.filter(({ path }) => (path === 'package.json') === wanted),
  );
  // New packages are there before the code that needs them; they go after it.
  const adding = packages.some(({ before, after }) => (before?.length ?? 0) < (after?.length ?? 0));
  if (!adding) for (const one of others) writeChange(root, one);
  for (const one of packages) writeChange(root, one);
  if (install && dependencies.length > 0 && !isInstalled(root, dependencies)) await npmInstall(root, packages);
  if (adding) for (const one of others) writeChange(root, one);
  for (const part of leftovers(root, { files, edits })) rmSync(part);
}

/** @param {string} root @param {Change} change */
function writeChange(root, { path, after, mode }) {
  const file = join(root, path);
  if (after) {
    const part = join(root, temporaryOf(path));
    write(part, after, mode);
    renameSync(part, file);
    return;
  }
  rmSync(file, { force: true });
  // git keeps no empty folders, so none of them was there before.
  for (let folder = dirname(file); folder !== root && readdirSync(folder).length === 0; folder = dirname(folder))
    rmdirSync(folder);
}

/**
 * What a killed run left beside the plan's files.
 * @param {string} root
 * @param {Pick<Plan, 'files' | 'edits'>} plan
 */
export function leftovers(root, { files, edits }) {
  const parts = [...files, ...edits.keys()].map((path) => join(root, temporaryOf(path)));
  return parts.filter((part) => existsSync(part));
}

/**
 * Whether the lock file knows what package.json asks for, and node_modules what the lock file says.
 * @param {string} root
 * @param {[string, string][]} dependencies
 */
export function isInstalled(root, dependencies) {
  const wanted = dependenciesOf(readFileSync(join(root, 'package.json'), 'utf8'));
  const lock = join(root, 'package-lock.json');
  const locked = existsSync(lock) ? (JSON.parse(readFileSync(lock, 'utf8')).packages?.['']?.dependencies ?? {}) : {};
  return dependencies.every(([name]) => locked[name] === wanted[name] && installedVersion(root, name) === wanted[name]);
}

/** @param {string} root @param {string} name @returns {string | undefined} */
function installedVersion(root, name) {
  const file = join(root, 'node_modules', name, 'package.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined;
}

/** @param {string} root @param {Change[]} packages put back when npm fails */
async function npmInstall(root, packages) {
  const lock = join(root, 'package-lock.json');
  const before = existsSync(lock) ? readFileSync(lock) : undefined;
  const env = { ...process.env };
  // The same extent as is there, whatever the machine's own settings are.
  delete env.NODE_ENV;
  const extent = existsSync(join(root, 'node_modules', 'vitest')) ? '--include=dev' : '--omit=dev';
  say('Installing packages…');
  try {
    await runQuietly('npm', ['install', extent, '--no-audit', '--no-fund'], {
      cwd: root,
      env,
      failure: '`npm install` failed: see the lines above. package.json is as it was; run the same command again.',
    });
  } catch (error) {
    for (const { path, before: content, mode } of packages) if (content) write(join(root, path), content, mode);
    if (before) writeFileSync(lock, before);
    throw error;
  }
}
