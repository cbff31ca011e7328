// What an update asks of git, and the little that it has git do. No hook of the checkout runs.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runQuietly, SetupError } from './progress.mjs';
import { changedPaths, checkCheckout } from './skill-git.mjs';

const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX)$/.test(name)),
);
/** A fork with commits of its own cannot be fast-forwarded, whatever its owner wants elsewhere. */
const own = ['core.hooksPath=/dev/null', 'commit.gpgsign=false', 'advice.detachedHead=false', 'merge.ff=true'].flatMap(
  (setting) => ['-c', setting],
);

/**
 * @param {string} folder
 * @param {string[]} args
 * @returns {{ code: number, stdout: string, stderr: string }} without the end of the last line
 */
export function ask(folder, args) {
  const options = {
    cwd: folder,
    env: environment,
    encoding: /** @type {const} */ ('utf8'),
    maxBuffer: 256 * 1024 * 1024,
  };
  const { status, stdout, stderr, error } = spawnSync('git', [...own, ...args], options);
  if (error) throw new SetupError('git cannot be run: install it, updates come by it.');
  return { code: status ?? 1, stdout: stdout.trimEnd(), stderr: stderr.trimEnd() };
}

/** What git prints. Throws SetupError with what it complains of. @param {string} folder @param {string[]} args */
export function git(folder, ...args) {
  const { code, stdout, stderr } = ask(folder, args);
  if (code === 0) return stdout;
  throw new SetupError(`\`git ${args.join(' ')}\` failed.`, stderr || stdout);
}

export const headOf = (/** @type {string} */ root) => git(root, 'rev-parse', 'HEAD');

/** Throws SetupError, with what to do, unless all of the checkout is committed on a branch. @param {string} root @returns {string} the branch */
export function checkClean(root) {
  checkCheckout(root);
  const branch = ask(root, ['symbolic-ref', '--short', '-q', 'HEAD']).stdout;
  if (branch === '')
    throw new SetupError('This checkout is on no branch: `git switch main` (or your own), then try again.');
  const changed = changedPaths(root);
  if (changed.length === 0) return branch;
  const named = changed.slice(0, 10).join('\n') + (changed.length > 10 ? '\n…' : '');
  throw new SetupError(
    'These files are changed or new and not committed. `git add -A && git commit -m "My changes"` keeps them in the update; `git stash -u` puts them aside.',
    named,
  );
}

/**
 * Fetches what there is to merge. A branch of this checkout that somebody made ready needs no fetching.
 * @param {string} root
 * @param {string | undefined} ready
 * @returns {{ commit: string, name: string }}
 */
export function fetchUpstream(root, ready) {
  if (ready !== undefined) {
    const { code, stdout } = ask(root, ['rev-parse', '--verify', '-q', `refs/heads/${ready}^{commit}`]);
    if (code !== 0) throw new SetupError(`There is no branch ${ready} here; \`git branch\` lists them.`);
    return { commit: stdout, name: ready };
  }
  const remotes = git(root, 'remote').split('\n');
  const remote = ['upstream', 'origin'].find((name) => remotes.includes(name));
  if (!remote)
    throw new SetupError(
      'This checkout does not know where it came from: `git remote add upstream <address of the repository>`, then try again.',
    );
  // Its main branch, whatever that is called.
  const listed = ask(root, ['ls-remote', '--symref', remote, 'HEAD']);
  if (listed.code !== 0)
    throw new SetupError(`${remote} cannot be asked what is new. Is the network there?`, listed.stderr);
  const branch = /^ref: refs\/heads\/(\S+)\s+HEAD$/m.exec(listed.stdout)?.[1] ?? 'main';
  git(root, 'fetch', '--no-tags', remote, `refs/heads/${branch}`);
  return { commit: git(root, 'rev-parse', 'FETCH_HEAD'), name: `${remote}/${branch}` };
}

/** Whether all of `commit` is here already. @param {string} root @param {string} commit */
export const hasCommit = (root, commit) => ask(root, ['merge-base', '--is-ancestor', commit, 'HEAD']).code === 0;

/**
 * A copy of the checkout as committed, in a folder of its own, with `commit` merged in. Throws SetupError, which names the files where both
 * sides say something else.
 * @param {string} root
 * @param {string} copy
 * @param {{ commit: string, name: string }} upstream
 * @returns {Promise<string>} the merged commit
 */
export async function mergeInCopy(root, copy, { commit, name }) {
  git(root, 'worktree', 'add', '--detach', '-q', copy, 'HEAD');
  const names =
    ask(root, ['config', 'user.email']).stdout === ''
      ? ['-c', 'user.name=Pinch', '-c', 'user.email=pinch@localhost']
      : [];
  const merged = ask(copy, [...names, 'merge', '--no-edit', '-m', `Merge ${name}`, commit]);
  if (merged.code === 0) return headOf(copy);
  const files = git(copy, 'diff', '--name-only', '--diff-filter=U');
  if (files === '') throw new SetupError('The versions cannot be merged.', merged.stderr || merged.stdout);
  if (files === LOCK) {
    await makeLockAnew(copy);
    git(copy, ...names, 'commit', '-q', '--no-edit');
    return headOf(copy);
  }
  throw new SetupError(
    [
      'In these files both you and the new version changed the same lines. Nothing was changed here, and Pinch runs on.',
      'Open Claude Code in this folder and say /update: it merges them on a branch beside, then `pinch update <branch>` tests and takes that.',
    ].join('\n'),
    files,
  );
}

const LOCK = 'package-lock.json';

/** It follows from package.json, in which both sides could be merged. @param {string} copy */
async function makeLockAnew(copy) {
  git(copy, 'checkout', '--theirs', '--', LOCK);
  const failure = `${LOCK}, which both sides changed, could not be made anew. Is the network there? Nothing was changed here.`;
  const args = ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund'];
  await runQuietly('npm', args, { cwd: copy, failure });
  git(copy, 'add', '--', LOCK);
}

/** @param {string} root @param {string} copy */
export function dropCopy(root, copy) {
  rmSync(copy, { recursive: true, force: true });
  if (existsSync(join(root, '.git'))) ask(root, ['worktree', 'prune']);
}

/** Names of the migrations of a version. @param {string} root @param {string} commit */
export const migrationsOf = (root, commit) =>
  git(root, 'ls-tree', '--name-only', commit, 'src/core/migrations/')
    .split('\n')
    .map((path) => path.slice(path.lastIndexOf('/') + 1));

/**
 * The checkout as it was at `from`. What somebody changed in it meanwhile is kept as a commit that is named. Throws SetupError when the
 * branch is somewhere else by now.
 * @param {string} root
 * @param {{ from: string, to: string }} commits
 * @returns {string} that commit, or ''
 */
export function resetTo(root, { from, to }) {
  // A git that was killed leaves it.
  rmSync(resolve(root, git(root, 'rev-parse', '--git-path', 'index.lock')), { force: true });
  const head = headOf(root);
  if (head !== from && head !== to)
    throw new SetupError(
      `This checkout is at ${head.slice(0, 12)} by now, which is neither of the two versions: see \`git log\`.`,
    );
  const changed = head === to ? ask(root, ['stash', 'create']).stdout : '';
  git(root, 'reset', '-q', '--hard', from);
  return changed;
}
