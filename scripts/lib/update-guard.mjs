// Before a start or a command believes what lies in this checkout: an update that was killed half-way is taken back first, by the scripts
// of the version before, which it put aside. Imports nothing of the checkout but the state, since files of two versions may lie there.
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { dropState, isAtWork, readState, workFolder, writeState } from './update-state.mjs';

const root = resolve(import.meta.dirname, '../..');
/** A start that fails may have other causes than the version; three in a row have not. */
const MAX_TRIES = 2;

/**
 * Resolves when the checkout is whole. When it was taken back for a start, that start is done by the version that is there then, and this
 * process ends with it.
 * @param {'start' | 'command'} what
 */
export async function settleUpdate(what) {
  const state = readState(root);
  if (!state || state.step === 'testing') return;
  const atWork = isAtWork(state);
  if (state.step === 'starting') {
    if (atWork || what === 'command') return;
    if (state.tries < MAX_TRIES) return writeState(root, { ...state, tries: state.tries + 1 });
  } else if (atWork) {
    process.stderr.write(`✗ Pinch is being updated (process ${state.pid}): try again in a minute.\n`);
    process.exit(1);
  }
  const program = join(workFolder(root), 'scripts', 'update.mjs');
  if ((await run([program, JSON.stringify({ recover: what, root })])) !== 0) process.exit(1);
  if (what === 'start') process.exit(await run([...process.execArgv, ...process.argv.slice(1)]));
}

/** The new version is ready: what the update kept of the old one goes, unless the update itself waits for this and says so. */
export function settleReady() {
  const state = readState(root);
  if (state?.step !== 'starting' || isAtWork(state)) return;
  dropState(root);
  // What is left of it the next update removes.
  rm(workFolder(root), { recursive: true, force: true }).catch(() => undefined);
}

/** @param {string[]} args of Node @returns {Promise<number>} the exit code */
function run(args) {
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT'])) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)).on('error', () => resolve(127)));
}
