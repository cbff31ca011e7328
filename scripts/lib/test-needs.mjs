// What the tests that are asked for need before they run: a part of them should not wait for what it does not use. Reads test code only.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { inRoot, root } from './paths.mjs';

/** @typedef {{ build: boolean, image: boolean, browser: boolean }} Needs */

const EVERYTHING = { build: true, image: true, browser: true };
/** How test code names what it uses: the built files, a container engine, a browser. */
const signs = {
  build: /\bdist\b|\bstartDaemon\b/,
  image: /dockerode|agent-image|docker\.sock|\bconnectEngine\b/,
  browser: /PINCH_TEST_BROWSER|chromium/i,
};

/**
 * @param {string[]} args as vitest takes them: words that are parts of file names, and options
 * @returns {Needs} everything where it is not clear which files are meant
 */
export function needsOf(args) {
  // A word behind an option may be its value.
  const words = args.filter((arg, at) => !arg.startsWith('-') && !/^--?[^=]+$/.test(args[at - 1] ?? ''));
  const parts = words.map((word) => word.replace(/^\.\/|:\d+$|\/$/g, '').toLowerCase());
  const files = testFiles().filter((file) => parts.some((part) => join(root, file).toLowerCase().includes(part)));
  if (files.length === 0) return EVERYTHING;
  const texts = [...reached(files)].map((file) => readFileSync(file, 'utf8'));
  const uses = (/** @type {RegExp} */ sign) => texts.some((text) => sign.test(text));
  const image = uses(signs.image);
  return { build: image || uses(signs.build), image, browser: uses(signs.browser) };
}

/** All test files, from the root. */
export function testFiles() {
  return ['src', 'container/agent-runner/src', 'test'].flatMap((folder) =>
    readdirSync(inRoot(folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
      .map((name) => join(folder, name)),
  );
}

/** The files and the test code that they import, directly or not. @param {string[]} files @returns {Set<string>} */
function reached(files) {
  const seen = new Set(files.map((file) => inRoot(file)));
  for (const file of seen) {
    const text = readFileSync(file, 'utf8');
    // Also what is imported for its types, named in `import(…)`, or a program that is started from its file.
    for (const [, path = ''] of text.matchAll(/'(\.\.?\/[^']+)'/g)) {
      const target = resolve(dirname(file), path.replace(/\.js$/, '.ts'));
      if (isTestCode(target) && existsSync(target) && /\.(ts|mjs)$/.test(target)) seen.add(target);
    }
  }
  return seen;
}

/** @param {string} path */
const isTestCode = (path) => path.startsWith(inRoot('test')) || path.includes('/testing/') || path.endsWith('.test.ts');
