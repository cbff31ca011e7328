// TypeScript to dist/, the files of its modules beside it, and the agent runner as one file. Knows nothing about Docker.
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { hostBundle } from './host-bundle.mjs';
import {
  boxBundle,
  bundles,
  dist,
  imageFile,
  inRoot,
  pictureBundle,
  pictureCode,
  pinchBundle,
  readerBundle,
  runnerBundle,
} from './paths.mjs';
import { SetupError, say } from './progress.mjs';
import { filesBelow, hashOf, isStamped, stamp } from './stamp.mjs';

const stampFile = join(dist, '.build');
const runnerSource = inRoot('container', 'agent-runner', 'src');
/** What is bundled, and where it is built. */
const entries = [
  ['main.ts', runnerBundle],
  ['pinch.ts', pinchBundle],
  ['web/reader.ts', readerBundle],
  ['box.ts', boxBundle],
  ['picture.ts', pictureBundle],
];

/** Builds when a source, an option or a package version changed. Throws SetupError with the compiler's lines. */
export async function ensureBuilt() {
  const now = buildInputs();
  if (isStamped(stampFile, now) && bundles.every(existsSync)) return;
  say('Building…');
  await build();
}

/**
 * Builds everything. The new dist/ takes the old one's place only when it is whole.
 * Throws SetupError; esbuild has printed the lines that are wrong.
 */
export async function build() {
  const now = buildInputs();
  mkdirSync(dist, { recursive: true });
  const esbuild = await import('esbuild');
  const next = `${dist}.next-${process.pid}`;
  try {
    await bundleRunner(esbuild);
    await bundled(esbuild, hostBundle(next), 'Pinch');
    for (const file of filesBelow(next).filter((path) => path.endsWith('.js'))) oneBytePerCharacter(file);
    for (const file of filesBelow(inRoot('src')).filter((path) => !/\.tsx?$/.test(path))) copyInto(next, file);
    for (const file of [...bundles, imageFile]) if (existsSync(file)) cpSync(file, join(next, relative(dist, file)));
    stamp(join(next, '.build'), now);
    replaceDist(next);
  } finally {
    rmSync(next, { recursive: true, force: true });
    // Its helper process would live on beside the daemon.
    await esbuild.stop();
  }
}

function buildInputs() {
  const options = ['tsconfig.json', 'package-lock.json', 'scripts/lib/compile.mjs', 'scripts/lib/host-bundle.mjs'];
  return hashOf([...filesBelow(inRoot('src')), ...filesBelow(runnerSource), ...options.map((name) => inRoot(name))]);
}

/** @param {string} target folder @param {string} file below src/ */
function copyInto(target, file) {
  const copy = join(target, relative(inRoot('src'), file));
  mkdirSync(dirname(copy), { recursive: true });
  copyFileSync(file, copy);
}

/**
 * V8 keeps the text of a program with two bytes for each character when one of them is beyond Latin-1. esbuild writes those of strings as
 * escapes, but not those of regular expressions. @param {string} file
 */
function oneBytePerCharacter(file) {
  const text = readFileSync(file, 'utf8');
  const escaped = text.replaceAll(/[^\x00-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (escaped !== text) writeFileSync(file, escaped);
}

/** @param {string} next */
function replaceDist(next) {
  const old = `${dist}.old-${process.pid}`;
  renameSync(dist, old);
  renameSync(next, dist);
  rmSync(old, { recursive: true, force: true });
}

/** The files that go into the image; they are in place even when the daemon does not compile. @param {typeof import('esbuild')} esbuild */
async function bundleRunner(esbuild) {
  for (const [entry, outfile] of entries) {
    const temporary = `${outfile}.${process.pid}`;
    await bundled(esbuild, runnerOptions(join(runnerSource, entry), temporary), 'The agent runner');
    renameSync(temporary, outfile);
  }
  copyFileSync(inRoot('node_modules', '@silvia-odwyer', 'photon-node', basename(pictureCode)), pictureCode);
}

/**
 * @param {string} entry
 * @param {string} outfile executable when the entry says by what
 * @returns {import('esbuild').BuildOptions}
 */
function runnerOptions(entry, outfile) {
  return {
    entryPoints: [entry],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    legalComments: 'none',
    sourcemap: false,
    logLevel: 'warning',
  };
}

/** @param {typeof import('esbuild')} esbuild @param {import('esbuild').BuildOptions} options @param {string} what */
async function bundled(esbuild, options, what) {
  await esbuild.build(options).catch((error) => {
    // esbuild has printed the lines itself.
    throw new SetupError(`${what} could not be compiled: see the lines above.`, '', { cause: error });
  });
}
