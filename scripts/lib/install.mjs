// Installs the packages of the lock file when they are not there. Knows nothing about what they are for.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { canInstallPackages, findProgram, installPackages } from './debian.mjs';
import { inRoot, root } from './paths.mjs';
import { runQuietly, SetupError, say } from './progress.mjs';
import { hashOf, stamp } from './stamp.mjs';

const inputs = ['package.json', 'package-lock.json', 'container/agent-runner/package.json'].map((name) => inRoot(name));
const stampFile = inRoot('node_modules', '.pinch-install');

/**
 * What a folder of packages is for: to run Pinch, which builds it as well, or for everything, tests and all.
 * @typedef {'run' | 'all'} Extent
 */

/**
 * Compares a stamp, and installs what it says is missing; what is there beyond that stays. Throws SetupError with the end of npm's output.
 * @param {Extent} wanted
 */
export async function ensureInstalled(wanted) {
  const hash = hashOf(inputs);
  // Compiled packages fit one ABI of Node only.
  const abi = `abi-${process.versions.modules}`;
  const extent = installedExtent() === 'all' ? 'all' : wanted;
  const now = `${hash} ${extent} ${abi}`;
  const before = stamped();
  if (before === now) return;
  const otherNode = before !== '' && !before.endsWith(` ${abi}`);
  if (otherNode || !isComplete(extent)) {
    // Whoever ends this in the middle leaves no stamp, and the next start begins anew.
    rmSync(stampFile, { force: true });
    await install(extent, before === `${hash} run ${abi}` ? 'add' : 'anew');
  }
  stamp(stampFile, now);
}

const stamped = () => (existsSync(stampFile) ? readFileSync(stampFile, 'utf8').trim() : '');

/** What is there now: as the stamp says, or, where a person's own `npm install` or `npm ci` was at work, as it looks. @returns {Extent | undefined} */
export function installedExtent() {
  const [, extent] = / (run|all) /.exec(stamped()) ?? [];
  if (extent === 'all' || (extent !== 'run' && isComplete('all'))) return 'all';
  return extent === 'run' || isComplete('run') ? 'run' : undefined;
}

/** True when the packages are exactly those of the lock file. @param {Extent} extent */
function isComplete(extent) {
  const present = packagesOf(inRoot('node_modules', '.package-lock.json'));
  return required(extent).every(([path, entry]) => present[path]?.version === entry.version);
}

/** What every machine gets of the lock file. @param {Extent} extent */
function required(extent) {
  return Object.entries(packagesOf(inRoot('package-lock.json'))).filter(
    ([path, { optional, link, peer, dev }]) =>
      path.startsWith('node_modules/') && !optional && !link && !peer && (extent === 'all' || !dev),
  );
}

/** What npm has unpacked so far tells how far it is; before, it downloads. @param {string} output @param {string} folder @param {Extent} extent */
function howFar(output, folder, extent) {
  const paths = required(extent).map(([path]) => path);
  const there = paths.filter((path) => existsSync(join(folder, path, 'package.json')));
  const downloads = output.match(/^npm http fetch /gm)?.length ?? 0;
  if (there.length < paths.length)
    return `${there.length} of ${paths.length} packages are there, ${downloads} answers of the registry`;
  const { allowScripts = {} } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  const compiled = Object.keys(allowScripts).filter((name) => allowScripts[name]);
  return `all ${paths.length} packages are there; compiling ${compiled.join(', ')}`;
}

/**
 * @param {string} file
 * @returns {Record<string, { version?: string, optional?: boolean, link?: boolean, peer?: boolean, dev?: boolean }>}
 */
function packagesOf(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

/** @param {Extent} extent @param {'add' | 'anew'} how */
async function install(extent, how) {
  const count = required(extent).length;
  if (how === 'add') say(`Installing the packages of the tests, ${count} with those that are there…`);
  else say(`Installing ${count} packages (first start and after updates, one to three minutes)…`);
  try {
    await npm(extent, how);
  } catch (error) {
    // better-sqlite3 is compiled where its ready-made file cannot be fetched.
    const missing = ['make', 'g++', 'python3'].filter((program) => !findProgram(program));
    if (missing.length === 0 || !(error instanceof SetupError)) throw error;
    if (!canInstallPackages())
      throw new SetupError(`${error.message} It may need a compiler: install ${missing.join(', ')}.`, error.details);
    say(`Installing a compiler (${missing.join(', ')}) and trying again…`);
    await installPackages(missing);
    await npm(extent, 'anew');
  }
}

/** Letters that a compiler's makefile and a list of folders (PATH) take for what they are. */
const PLAIN = /^[\w./@+-]+$/;
const trees = ['node_modules', 'container/agent-runner/node_modules'];

/** In the checkout, or where its path has blanks, brackets, `:` or the like: in a folder without, since nothing compiles there; then it is moved. @param {Extent} extent @param {'add' | 'anew'} how */
async function npm(extent, how) {
  if (PLAIN.test(root)) return npmIn(root, extent, how);
  const folder = mkdtempSync(join(PLAIN.test(tmpdir()) ? tmpdir() : '/tmp', 'pinch-packages-'));
  try {
    for (const file of inputs) cpSync(file, join(folder, relative(root, file)));
    await npmIn(folder, extent, 'anew');
    for (const tree of trees) {
      rmSync(inRoot(tree), { recursive: true, force: true });
      if (existsSync(join(folder, tree)))
        cpSync(join(folder, tree), inRoot(tree), { recursive: true, verbatimSymlinks: true });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} folder @param {Extent} extent @param {'add' | 'anew'} how */
async function npmIn(folder, extent, how) {
  const headers = dirname(dirname(process.execPath));
  const env = { ...process.env };
  // Compiling against the headers that came with this Node needs no download.
  if (existsSync(join(headers, 'include', 'node', 'node.h'))) env.npm_config_nodedir ??= headers;
  // The extent says what is left out, whatever the machine's own settings are.
  delete env.NODE_ENV;
  // The lock file stays as it is either way.
  const command = how === 'add' ? ['install', '--no-save'] : ['ci'];
  const extents = extent === 'run' ? ['--omit=dev'] : ['--include=dev'];
  await runQuietly('npm', [...command, ...extents, '--no-audit', '--no-fund', '--loglevel=http'], {
    cwd: folder,
    env,
    doing: (output) => howFar(output, folder, extent),
    noise: /^npm http /,
    failure:
      'The packages could not be installed (`npm ci`): see the lines above. A proxy or a lost connection is the usual cause; `npm start` tries again.',
  });
}
