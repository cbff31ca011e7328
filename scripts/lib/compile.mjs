// TypeScript to dist/, the pages' files beside it, and the agent runner as one file. Knows nothing about Docker.
import { copyFileSync, cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
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
  root,
  runnerBundle,
} from './paths.mjs';
import { runQuietly, SetupError, say } from './progress.mjs';
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
 * Throws SetupError with the compiler's lines; the bundles, which need no compiler, are in place even then.
 */
export async function build() {
  const now = buildInputs();
  mkdirSync(dist, { recursive: true });
  await bundleAll();
  const next = `${dist}.next-${process.pid}`;
  try {
    await compile(next);
    for (const file of filesBelow(inRoot('src')).filter((path) => !/\.tsx?$/.test(path))) copyInto(next, file);
    for (const file of [...bundles, imageFile]) if (existsSync(file)) cpSync(file, join(next, relative(dist, file)));
    stamp(join(next, '.build'), now);
    replaceDist(next);
  } finally {
    rmSync(next, { recursive: true, force: true });
  }
}

function buildInputs() {
  const options = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json', 'scripts/lib/compile.mjs'].map((name) =>
    inRoot(name),
  );
  return hashOf([...filesBelow(inRoot('src')), ...filesBelow(runnerSource), ...options]);
}

/** @param {string} outDir */
async function compile(outDir) {
  const compiler = inRoot('node_modules', 'typescript', 'bin', 'tsc');
  await runQuietly(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', outDir, '--pretty', 'false'], {
    cwd: root,
    failure: 'The sources do not compile: see the lines above.',
  });
}

/** @param {string} target folder @param {string} file below src/ */
function copyInto(target, file) {
  const copy = join(target, relative(inRoot('src'), file));
  mkdirSync(dirname(copy), { recursive: true });
  copyFileSync(file, copy);
}

/** @param {string} next */
function replaceDist(next) {
  const old = `${dist}.old-${process.pid}`;
  renameSync(dist, old);
  renameSync(next, dist);
  rmSync(old, { recursive: true, force: true });
}

async function bundleAll() {
  const esbuild = await import('esbuild');
  try {
    for (const [entry, outfile] of entries) await bundle(esbuild, join(runnerSource, entry), outfile);
    copyFileSync(inRoot('node_modules', '@silvia-odwyer', 'photon-node', basename(pictureCode)), pictureCode);
  } finally {
    // Its helper process would live on beside the daemon.
    await esbuild.stop();
  }
}

/**
 * @param {typeof import('esbuild')} esbuild
 * @param {string} entry
 * @param {string} outfile executable when the entry says by what
 */
async function bundle(esbuild, entry, outfile) {
  const temporary = `${outfile}.${process.pid}`;
  await esbuild
    .build({
      entryPoints: [entry],
      outfile: temporary,
      bundle: true,
      minify: true,
      platform: 'node',
      format: 'cjs',
      target: 'node24',
      legalComments: 'none',
      sourcemap: false,
      logLevel: 'warning',
    })
    .catch((error) => {
      // esbuild has printed the lines itself.
      throw new SetupError('The agent runner could not be bundled: see the lines above.', '', { cause: error });
    });
  renameSync(temporary, outfile);
}
