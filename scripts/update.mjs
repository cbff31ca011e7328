// `pinch update`, as a process of its own whose code is read before the checkout changes below it. src/update/commands.ts starts it and says what it
// needs; after a kill scripts/lib/update-guard.mjs starts a copy of it to put everything back.
import { existsSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { runCommand, SetupError, say } from './lib/progress.mjs';
import { endOfLog, startService, stopDaemon, whyNotReady } from './lib/update-daemon.mjs';
import { isRunning, loadSqlite, roomNeeded } from './lib/update-database.mjs';
import { checkClean, dropCopy, fetchUpstream, hasCommit, headOf, mergeInCopy } from './lib/update-git.mjs';
import { newsOf } from './lib/update-news.mjs';
import { dropState, isAtWork, readState, workFolder, writeState } from './lib/update-state.mjs';
import { goBack, switchOver } from './lib/update-switch.mjs';
import { buildCopy, buildOf, testCopy, tryCopy } from './lib/update-try.mjs';

/**
 * @typedef {object} Task
 * @property {string} root
 * @property {string} home
 * @property {number} port
 * @property {string} runtime
 * @property {import('./lib/update-state.mjs').Service} [service] where one is to run now
 * @property {string} [branch] made ready for this, instead of what can be fetched
 * @property {boolean} check
 * @property {boolean} yes
 * @property {boolean} full
 * @property {'start' | 'command'} [recover]
 */

/** @type {Task} */
const task = JSON.parse(process.argv[2] ?? '');
const { root } = task;
const work = workFolder(root);
const copy = join(work, 'copy');

await runCommand(() => (task.recover ? recover(task.recover) : update()));

/** After a kill, by the scripts of the version before. @param {'start' | 'command'} by */
async function recover(by) {
  holdOn();
  const state = readState(root);
  if (!state) return;
  const why = state.step === 'starting' ? 'it did not become ready' : 'it was interrupted';
  say('An update of this checkout was interrupted.');
  await goBack(loadSqlite(root, join(work, 'old'), copy), root, state, { why, isStart: by === 'start' });
  dropState(root);
  say('This is the version before it again.');
}

async function update() {
  const unfinished = refuseSecond();
  if (unfinished?.step === 'starting' && !task.check)
    return finish(unfinished, unfinished.service !== undefined && !task.service);
  // Killed just before it was started again.
  if (unfinished?.service && !task.service) await startService(unfinished.service);
  checkClean(root);
  if (task.branch === undefined) say('Asking what is new…');
  const upstream = fetchUpstream(root, task.branch);
  if (hasCommit(root, upstream.commit)) return say(`This is the newest version: all of ${upstream.name} is in it.`);
  process.stdout.write(`${newsOf(root, upstream.commit)}\n`);
  if (task.check) return;
  if (!(await agreed())) return say('Nothing was changed.');
  const state = await prepared(upstream);
  holdOn();
  await replaced(state);
}

/** Looked at again whenever time has passed: while somebody was asked, another one may have begun. */
function refuseSecond() {
  const found = readState(root);
  if (found && found.pid !== process.pid && isAtWork(found))
    throw new SetupError(`Another update is at work (process ${found.pid}).`);
  return found;
}

async function agreed() {
  if (task.yes) return true;
  if (!process.stdin.isTTY) throw new SetupError('Nobody can be asked here: add --yes when you want it.');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question('Update? It is tested in a copy first. [y/N] ');
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
}

/**
 * The new version in its copy, tested. Nothing of the checkout has changed when this throws.
 * @param {{ commit: string, name: string }} upstream
 */
async function prepared(upstream) {
  refuseSecond();
  // Killed during its test, an update leaves what it tested behind.
  await stopDaemon(loadSqlite(root), { home: join(work, 'home') });
  cleanUp();
  const { home, runtime, service, full } = task;
  const { bavail, bsize } = statfsSync(existsSync(join(home, 'data')) ? join(home, 'data') : home);
  if (bavail * bsize < roomNeeded(home))
    throw new SetupError('The disk has no room for copies of the database: four times its size.');
  mkdirSync(work, { recursive: true, mode: 0o700 });
  const begun = {
    pid: process.pid,
    step: /** @type {const} */ ('testing'),
    at: Date.now(),
    home,
    from: headOf(root),
    to: '',
    build: '',
    tries: 0,
    ...(service && { service }),
  };
  writeState(root, begun);
  try {
    const to = await mergeInCopy(root, copy, upstream);
    await buildCopy({ root, copy, home, runtime, full });
    const Database = loadSqlite(root);
    await tryCopy(Database, { copy, home, work });
    if (full) await testCopy(copy);
    return { ...begun, to, build: buildOf(copy) };
  } catch (error) {
    cleanUp();
    throw error;
  }
}

/** @param {import('./lib/update-state.mjs').UpdateState} tested */
async function replaced(tested) {
  const Database = loadSqlite(root);
  const wasRunning = isRunning(Database, task.home);
  let state;
  try {
    state = await switchOver(Database, root, tested);
  } catch (error) {
    const reached = readState(root);
    if (reached?.step !== 'testing') {
      await goBack(Database, root, reached ?? tested, {
        why: error instanceof Error ? error.message : String(error),
        isStart: false,
      });
      if (!task.service && wasRunning) say('Pinch is stopped: start it again with `npm start`.');
    }
    cleanUp();
    throw error;
  }
  if (state.service) return finish(state, true);
  say(
    `Updated to ${state.to.slice(0, 8)}. ${wasRunning ? 'Pinch was stopped for it: start it again' : 'Start it'} with \`npm start\`; when it fails twice, the next start goes back to the version before.`,
  );
}

/**
 * Started and ready, or taken back.
 * @param {import('./lib/update-state.mjs').UpdateState} found
 * @param {boolean} isPaused whether its service is still to be started
 */
async function finish(found, isPaused) {
  const { home, service, build } = found;
  if (!service && !isRunning(loadSqlite(root), home)) return say('The update waits for its first start: `npm start`.');
  const state = { ...found, pid: process.pid };
  writeState(root, state);
  if (isPaused) say('Starting the new version…');
  const since = isPaused ? Date.now() : 0;
  const starting = isPaused && service ? startService(service) : Promise.resolve();
  const why = await starting.then(
    () => whyNotReady({ home, port: task.port, since, build }),
    (error) => String(error.message),
  );
  if (why === undefined) {
    cleanUp();
    return say(`Updated to ${state.to.slice(0, 8)}, and Pinch is ready.`);
  }
  say(`The new version did not become ready: ${why}`);
  const Database = loadSqlite(root, join(work, 'old'));
  const log = endOfLog(join(home, 'data', 'logs', 'start.log'));
  const before = Date.now();
  await goBack(Database, root, state, { why, isStart: false });
  const still = service && (await whyNotReady({ home, port: task.port, since: before, build: buildOf(root) }));
  cleanUp();
  const now = !service
    ? 'The version before is in place: start it with `npm start`.'
    : still
      ? `The version before is in place, but does not become ready either: ${still}`
      : 'The version before is in place and ready.';
  throw new SetupError(`The new version did not become ready: ${why}\n${now}`, log);
}

function cleanUp() {
  dropCopy(root, copy);
  rmSync(work, { recursive: true, force: true });
}

/** From here on a terminal that is closed, or Ctrl-C, must not end it half-way. */
function holdOn() {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGHUP', 'SIGTERM']))
    process.on(signal, () => say('Pinch is being exchanged: this ends by itself in a moment.'));
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
}
