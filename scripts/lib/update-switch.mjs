// Puts a version that passed its test in the place of the one that runs, and puts that one back. Each step may be the last one before a kill:
// what is done is found by looking, and a second call finishes the first.
import { cpSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupError, say } from './progress.mjs';
import { startService, stopDaemon } from './update-daemon.mjs';
import { backUpBefore, databaseFate, lockHome, restoreDatabase } from './update-database.mjs';
import { checkClean, git, headOf, migrationsOf, resetTo } from './update-git.mjs';
import { dropState, readState, workFolder, writeState } from './update-state.mjs';
import { trees } from './update-try.mjs';

/** What is built, or fetched, beside what is committed. */
const made = [...trees, 'dist'];

/** @typedef {import('./update-state.mjs').UpdateState} UpdateState @typedef {import('./update-database.mjs').Sqlite} Sqlite */

/**
 * The daemon is stopped, its database kept, and the checkout becomes the new version. Returns the state at its end; what began to change
 * before an error, `goBack` puts back.
 * @param {Sqlite} Database @param {string} root @param {UpdateState} begun
 * @returns {Promise<UpdateState>}
 */
export async function switchOver(Database, root, begun) {
  const work = workFolder(root);
  checkClean(root);
  if (readState(root)?.pid !== begun.pid) throw new SetupError('Another update has begun here meanwhile.');
  if (headOf(root) !== begun.from) throw new SetupError('Something was committed here meanwhile: try again.');
  // Who has to put it back must not depend on what lies here half-way.
  cpSync(join(root, 'scripts'), join(work, 'scripts'), { recursive: true });
  let state = step(root, begun, { step: 'switching' });
  say('Stopping Pinch…');
  try {
    await stopDaemon(Database, state);
  } catch (error) {
    step(root, state, { step: 'testing' });
    if (state.service) await startService(state.service);
    throw error;
  }
  const lock = lockHome(Database, state.home);
  try {
    const backup = await backUpBefore(Database, state.home, stampOf(state));
    state = step(root, state, { backup });
    if (backup) say(`The database as it is now is kept: ${backup}`);
    say('Switching…');
    for (const path of made) swapIn(root, path);
    git(root, 'merge', '-q', '--ff-only', state.to);
    return step(root, state, { step: 'starting' });
  } finally {
    lock?.close();
  }
}

/** @param {string} root @param {UpdateState} state @param {Partial<UpdateState>} changes */
function step(root, state, changes) {
  const next = { ...state, ...changes };
  writeState(root, next);
  return next;
}

/** As a part of a file's name. @param {UpdateState} state */
const stampOf = ({ at, from }) => `${new Date(at).toISOString().slice(0, 19).replaceAll(':', '-')}-${from.slice(0, 8)}`;

/** What both versions share stays. @param {string} root @param {string} path */
function swapIn(root, path) {
  const [next, old] = [join(workFolder(root), 'copy', path), join(workFolder(root), 'old', path)];
  if (!existsSync(next) || lstatSync(next).isSymbolicLink()) return;
  mkdirSync(dirname(old), { recursive: true });
  if (existsSync(join(root, path))) renameSync(join(root, path), old);
  renameSync(next, join(root, path));
}

/** Does nothing when it was not taken away, or is back. @param {string} root @param {string} path */
function putBack(root, path) {
  const old = join(workFolder(root), 'old', path);
  if (!lstatSync(old, { throwIfNoEntry: false })) return;
  const failed = join(workFolder(root), 'failed', path);
  rmSync(failed, { recursive: true, force: true });
  mkdirSync(dirname(failed), { recursive: true });
  if (lstatSync(join(root, path), { throwIfNoEntry: false })) renameSync(join(root, path), failed);
  renameSync(old, join(root, path));
}

/**
 * The version before, with a database that it can read. `why` is what the owner is told; `isStart` when a start of the daemon does this, which
 * nothing has to be stopped or started for. Throws SetupError where going back would lose what the new version did: that one is then left
 * in place.
 * @param {Sqlite} Database @param {string} root @param {UpdateState} found @param {{ why: string, isStart: boolean }} how
 */
export async function goBack(Database, root, found, { why, isStart }) {
  const state = step(root, found, { step: 'back', pid: process.pid });
  const { home, backup, service } = state;
  say('Going back to the version before…');
  if (!isStart) await stopDaemon(Database, state);
  const lock = lockHome(Database, home);
  const fate = databaseFate(Database, home, { backup, known: migrationsOf(root, state.from) });
  try {
    if (fate !== 'neither') putAllBack(Database, root, state, fate);
  } finally {
    lock?.close();
  }
  const words = fate === 'neither' ? notBack(state) : backText(state, why);
  tell(home, words);
  // From here on both may start again.
  step(root, state, { step: 'testing' });
  if (service && !isStart) await startService(service);
  if (fate !== 'neither') return;
  dropState(root);
  throw new SetupError(`${words}\n${byHand(root, state)}`);
}

/** @param {Sqlite} Database @param {string} root @param {UpdateState} state @param {'keep' | 'restore'} fate */
function putAllBack(Database, root, state, fate) {
  for (const path of made) putBack(root, path);
  const changed = resetTo(root, state);
  if (changed) say(`What was changed here meanwhile is kept: \`git stash apply ${changed}\` brings it back.`);
  if (fate === 'restore' && state.backup) restoreDatabase(Database, state.home, state.backup);
}

const short = (/** @type {string} */ commit) => commit.slice(0, 8);

/** @param {UpdateState} state @param {string} why */
const backText = ({ from, to }, why) =>
  `The update to ${short(to)} was taken back: ${why}. This is the version from before (${short(from)}) again, and nothing is lost.`;

/** @param {UpdateState} state */
const notBack = ({ to, backup }) =>
  `The update to ${short(to)} did not become ready, and could not be taken back: it has worked with the database in a form that the version before cannot read, and going back would lose or repeat that. It stays in place. The database from before it is ${backup}.`;

/** @param {string} root @param {UpdateState} state */
const byHand = (root, { from, home, backup }) =>
  `Back by hand, without what happened since: stop Pinch, \`git -C ${root} reset --hard ${from}\`, copy ${backup} over ${join(home, 'data', 'pinch.db')}, remove pinch.db-wal and pinch.db-shm beside it, start it.`;

/** The next start of the daemon tells it in the owner's chat (src/update/told.ts). @param {string} home @param {string} text */
function tell(home, text) {
  writeFileSync(join(home, 'data', 'updated.json'), JSON.stringify({ at: Date.now(), text }), { mode: 0o600 });
}
