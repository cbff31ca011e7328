// The few questions to git. Nothing is written to the repository by it.
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { SetupError } from './progress.mjs';

/** Of a file's name while it is written. */
export const partSuffix = '.skill-part';

/** A hook's git would otherwise answer for its own repository, whatever the folder. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX)$/.test(name)),
);

/**
 * Exit code and output. Throws SetupError when there is no git.
 * @param {string} folder
 * @param {string[]} args
 */
export function git(folder, args) {
  const options = { cwd: folder, env: environment, maxBuffer: 256 * 1024 * 1024 };
  const { status, stdout, error } = spawnSync('git', args, options);
  if (error)
    throw new SetupError('git cannot be run: install it, it keeps what skills change apart from what you change.');
  return { code: status ?? 1, stdout };
}

/** Throws SetupError unless `root` is the top of a git checkout with a commit. @param {string} root */
export function checkCheckout(root) {
  const top = git(root, ['rev-parse', '--show-toplevel']);
  if (top.code !== 0 || realpathSync(top.stdout.toString().trim()) !== realpathSync(root)) {
    throw new SetupError(
      `${root} is not a git checkout of its own: run \`git init && git add -A && git commit -m Pinch\` there.`,
    );
  }
  if (git(root, ['rev-parse', '--verify', '-q', 'HEAD']).code !== 0)
    throw new SetupError('Nothing is committed here yet: run `git add -A && git commit -m Pinch`, then try again.');
}

/**
 * Paths that differ from the last commit, files nobody added included.
 * @param {string} root
 */
export function changedPaths(root) {
  const { stdout } = git(root, ['status', '--porcelain', '-z', '--untracked-files=all', '--no-renames']);
  return stdout
    .toString()
    .split('\0')
    .filter(Boolean)
    .map((entry) => entry.slice(3));
}

/** The file as committed; undefined when it is not. @param {string} root @param {string} path */
export function committed(root, path) {
  const { code, stdout } = git(root, ['show', `HEAD:${path}`]);
  return code === 0 ? stdout : undefined;
}

/**
 * Whether the history of `path` had this content once.
 * @param {string} root
 * @param {string} path
 * @param {string} file whose content is looked for
 */
export function wasOnce(root, path, file) {
  const id = git(root, ['hash-object', '--', file]).stdout.toString().trim();
  const history = git(root, ['log', '--format=', '--raw', '--no-abbrev', '--no-renames', '--', path]).stdout.toString();
  return id !== '' && history.includes(id);
}

/**
 * Of the words, those that stand quoted in a tracked file outside `excluded`, alone or before a slash.
 * @param {string} root
 * @param {string} word
 * @param {string[]} excluded paths
 */
export function isQuoted(root, word, excluded) {
  const pattern = `['"]${word.replace(/[.+*?[\]\\^$]/g, '\\$&')}(/[^'"]*)?['"]`;
  // What runs in a container has packages of its own.
  const others = ['skills', 'container', '*.json', '*.md', `*${partSuffix}`];
  const except = [...others, ...excluded].map((path) => `:(exclude)${path}`);
  return git(root, ['grep', '-qE', '--untracked', '-e', pattern, '--', '.', ...except]).code === 0;
}
