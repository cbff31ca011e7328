// The new version in a copy of the checkout: built, and started on a copy of the database, with nothing by which it could act.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { oneLine, runQuietly, SetupError, say } from './progress.mjs';
import { endOfLog, whyNotReady } from './update-daemon.mjs';
import { copyDatabase } from './update-database.mjs';

export const trees = ['node_modules', join('container', 'agent-runner', 'node_modules')];
const HINT =
  'Nothing was changed here, and Pinch runs on as it was. If a file of a skill is named: /update in Claude Code renews skills on a branch.';

/** Variables of the terminal that are nobody's business there. */
const SECRET = /(KEY|TOKEN|SECRET|PASSWORD|PASSPHRASE)$/i;
const environment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !SECRET.test(name) || /^npm_config_/i.test(name)));

/**
 * Packages, dist/ and the agents' image of the new version. Throws SetupError.
 * @param {{ root: string, copy: string, home: string, runtime: string, full: boolean }} task
 */
export async function buildCopy({ root, copy, home, runtime, full }) {
  // All tests add packages, which must not come into the checkout before they passed.
  if (packagesOf(root) === packagesOf(copy) && !full) linkPackages(root, copy);
  say('Building the new version in a copy…');
  const env = { ...environment(), PINCH_HOME: home };
  const failure = `The new version cannot be built. ${HINT}`;
  await runQuietly(process.execPath, ['scripts/build.mjs', '--if-needed'], { cwd: copy, env, failure, doing });
  // It may take minutes, which are not to be minutes without Pinch.
  const script =
    "const { prepareRuntime } = await import('./scripts/lib/setup.mjs'); await prepareRuntime?.(process.argv[1]);";
  const args = ['--input-type=module', '-e', script, '--', runtime];
  await runQuietly(process.execPath, args, {
    cwd: copy,
    env,
    doing,
    failure: `What agents run in cannot be made by the new version. ${HINT}`,
  });
}

/** What a step inside says of itself, without its own time. @param {string} output */
const doing = (output) => oneLine(output).replace(/^● +(\d+ s: )?/, '');

/** What is installed, apart from what else the file says. @param {string} folder */
function packagesOf(folder) {
  const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  return JSON.stringify(Object.entries(packages).filter(([path]) => path.includes('node_modules/')));
}

/** The same ones do for both. @param {string} root @param {string} copy */
function linkPackages(root, copy) {
  for (const tree of trees) {
    if (!existsSync(join(root, tree)) || existsSync(join(copy, tree))) continue;
    mkdirSync(dirname(join(copy, tree)), { recursive: true });
    symlinkSync(join(root, tree), join(copy, tree));
  }
}

/** What a version says of itself when it is ready. @param {string} folder */
export const buildOf = (folder) => readFileSync(join(folder, 'dist', '.build'), 'utf8').trim();

/**
 * A start until it is ready, with no channel, no page, no service, no key, and the emergency stop on. Throws SetupError with what it wrote.
 * @param {import('./update-database.mjs').Sqlite} Database
 * @param {{ copy: string, home: string, work: string }} task
 */
export async function tryCopy(Database, { copy, home, work }) {
  say('Starting it on a copy of the database…');
  const own = join(work, 'home');
  rmSync(own, { recursive: true, force: true });
  mkdirSync(join(own, 'data'), { recursive: true, mode: 0o700 });
  await copyDatabase(Database, home, join(own, 'data', 'pinch.db'), { forTest: true });
  // While it is there no run starts, whatever waits in the database.
  writeFileSync(join(own, 'data', 'stop.json'), '{}', { mode: 0o600 });
  const file = join(work, 'try.log');
  const log = openSync(file, 'w', 0o600);
  const env = {
    PATH: process.env.PATH,
    HOME: own,
    PINCH_HOME: own,
    PINCH_PORT: '0',
    PINCH_RUNTIME: 'process',
    PINCH_UNSAFE: '1',
  };
  const since = Date.now();
  const child = spawn(process.execPath, ['scripts/start.mjs'], { cwd: copy, env, stdio: ['ignore', log, log] });
  let isOver = false;
  const over = new Promise((resolve) => child.on('close', resolve)).then(() => (isOver = true));
  try {
    const why = await whyNotReady({ home: own, port: 0, since, build: '', hasEnded: () => isOver });
    if (why) throw new SetupError(`The new version does not start: ${why}. ${HINT}`, endOfLog(file));
    child.kill('SIGTERM');
    await over;
  } finally {
    child.kill('SIGKILL');
    await over;
    closeSync(log);
    rmSync(own, { recursive: true, force: true });
  }
}

/** All tests of the new version. Throws SetupError. @param {string} copy */
export async function testCopy(copy) {
  say('Running all its tests (up to half an hour)…');
  await runQuietly(process.execPath, ['scripts/test.mjs'], {
    cwd: copy,
    env: environment(),
    failure: `Tests of the new version fail. ${HINT}`,
  });
}
