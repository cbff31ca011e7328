// Installs the packages of the lock file when they are not there. Knows nothing about what they are for.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { canInstallPackages, findProgram, installPackages } from './debian.mjs';
import { inRoot, root } from './paths.mjs';
import { runQuietly, SetupError, say } from './progress.mjs';
import { hashOf, isStamped, stamp } from './stamp.mjs';

const inputs = ['package.json', 'package-lock.json', 'container/agent-runner/package.json'].map((name) => inRoot(name));
const stampFile = inRoot('node_modules', '.pinch-install');

/** Compares a stamp and runs `npm ci` when it differs. Throws SetupError with the end of npm's output. */
export async function ensureInstalled() {
  // Compiled packages fit one ABI of Node only.
  const abi = ` abi-${process.versions.modules}`;
  const now = hashOf(inputs) + abi;
  if (isStamped(stampFile, now)) return;
  const otherNode = existsSync(stampFile) && !readFileSync(stampFile, 'utf8').trim().endsWith(abi);
  if (otherNode || !installedByHand()) await install();
  stamp(stampFile, now);
}

/** True when a person's own `npm install` or `npm ci` already made exactly the tree of the lock file. */
function installedByHand() {
  const present = packagesOf(inRoot('node_modules', '.package-lock.json'));
  return required().every(([path, entry]) => present[path]?.version === entry.version);
}

/** What every machine gets of the lock file. */
function required() {
  return Object.entries(packagesOf(inRoot('package-lock.json'))).filter(
    ([path, entry]) => path.startsWith('node_modules/') && !entry.optional && !entry.link && !entry.peer,
  );
}

/** What npm has unpacked so far tells how far it is; before, it downloads. @param {string} output @param {string} folder */
function howFar(output, folder) {
  const paths = required().map(([path]) => path);
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
 * @returns {Record<string, { version?: string, optional?: boolean, link?: boolean, peer?: boolean }>}
 */
function packagesOf(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

async function install() {
  say('Installing packages (first start and after updates, one to three minutes)…');
  try {
    await npmCi();
  } catch (error) {
    // better-sqlite3 is compiled where its ready-made file cannot be fetched.
    const missing = ['make', 'g++', 'python3'].filter((program) => !findProgram(program));
    if (missing.length === 0 || !(error instanceof SetupError)) throw error;
    if (!canInstallPackages())
      throw new SetupError(`${error.message} It may need a compiler: install ${missing.join(', ')}.`, error.details);
    say(`Installing a compiler (${missing.join(', ')}) and trying again…`);
    await installPackages(missing);
    await npmCi();
  }
}

/** Letters that a compiler's makefile and a list of folders (PATH) take for what they are. */
const PLAIN = /^[\w./@+-]+$/;
const trees = ['node_modules', 'container/agent-runner/node_modules'];

/** In the checkout, or where its path has blanks, brackets, `:` or the like: in a folder without, since nothing compiles there; then it is moved. */
async function npmCi() {
  if (PLAIN.test(root)) return npmCiIn(root);
  const folder = mkdtempSync(join(PLAIN.test(tmpdir()) ? tmpdir() : '/tmp', 'pinch-packages-'));
  try {
    for (const file of inputs) cpSync(file, join(folder, relative(root, file)));
    await npmCiIn(folder);
    for (const tree of trees) {
      rmSync(inRoot(tree), { recursive: true, force: true });
      if (existsSync(join(folder, tree)))
        cpSync(join(folder, tree), inRoot(tree), { recursive: true, verbatimSymlinks: true });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} folder */
async function npmCiIn(folder) {
  const headers = dirname(dirname(process.execPath));
  const env = { ...process.env };
  // Compiling against the headers that came with this Node needs no download.
  if (existsSync(join(headers, 'include', 'node', 'node.h'))) env.npm_config_nodedir ??= headers;
  // `npm start` sets this for its scripts; a production install would leave out the compiler.
  delete env.NODE_ENV;
  await runQuietly('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=http'], {
    cwd: folder,
    env,
    doing: (output) => howFar(output, folder),
    noise: /^npm http /,
    failure:
      '`npm ci` failed: see the lines above. A proxy or a lost connection is the usual cause; `npm start` tries again.',
  });
}
