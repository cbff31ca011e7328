// How far an update of this checkout is, in .update/state.json: whoever finds it there after a kill knows whether to finish or to go back.
// Knows nothing but Node: the start reads it before anything of the checkout is believed.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * `testing`: nothing of the checkout is touched. `switching` and `back`: it is half one version, half the other, and nothing may start.
 * `starting`: it is wholly the new version, which has not been ready yet.
 * @typedef {'testing' | 'switching' | 'starting' | 'back'} UpdateStep
 */

/**
 * @typedef {object} UpdateState
 * @property {number} pid of the update at work
 * @property {UpdateStep} step
 * @property {number} at when it began, epoch ms
 * @property {string} home
 * @property {string} from commit
 * @property {string} to commit
 * @property {string} build what the new version says of itself when it is ready
 * @property {string} [backup] the database before the switch
 * @property {Service} [service] that ran before
 * @property {number} tries starts of the new version without this update
 */

/**
 * The commands that stop and start it.
 * @typedef {{ label: string, pause: Command[], resume: Command[] }} Service
 * @typedef {{ argv: string[], retry: boolean, optional: boolean }} Command
 */

/** All that an update needs beside the checkout; on the same disk, so that what is built there is moved into its place at once. @param {string} root */
export const workFolder = (root) => join(root, '.update');

const stateFile = (/** @type {string} */ root) => join(workFolder(root), 'state.json');

/** Undefined when no update is unfinished. @param {string} root @returns {UpdateState | undefined} */
export function readState(root) {
  try {
    return JSON.parse(readFileSync(stateFile(root), 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whole or not at all. @param {string} root @param {UpdateState} state */
export function writeState(root, state) {
  mkdirSync(workFolder(root), { recursive: true, mode: 0o700 });
  const next = `${stateFile(root)}.${process.pid}`;
  writeFileSync(next, JSON.stringify(state), { mode: 0o600, flush: true });
  renameSync(next, stateFile(root));
}

/** The update is over; what else lies there is nobody's. @param {string} root */
export const dropState = (root) => rmSync(stateFile(root), { force: true });

/** Whether the process that does it lives; another program may have got its number since. @param {UpdateState} state */
export function isAtWork({ pid }) {
  if (pid === process.pid) return true;
  return argumentsOf(pid).includes('update.mjs');
}

/** Small systems have no `ps`. @param {number} pid @returns {string} '' for none */
function argumentsOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return spawnSync('ps', ['-p', String(pid), '-o', 'args='], { encoding: 'utf8' }).stdout ?? '';
  }
}
