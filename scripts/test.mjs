// `npm test [-- what vitest takes]`: the set-up of `npm start`, then all tests, lint and types beside them; with arguments, those tests alone and what they need.
// The last line is always `N passed, N failed`.
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureBrowser } from './lib/browser.mjs';
import { ensureBuilt } from './lib/compile.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { inRoot, root } from './lib/paths.mjs';
import { report, runLoudly, SetupError, say, telling } from './lib/progress.mjs';
import { checkNode } from './lib/settings.mjs';
import { prepareImage } from './lib/setup.mjs';
import { needsOf } from './lib/test-needs.mjs';
import { countResults } from './lib/test-results.mjs';

const args = process.argv.slice(2);
const total = { passed: 0, failed: 0 };
/** Lint and types, once they are at work beside all else. @type {Promise<void>[]} */
const checks = [];

try {
  checkNode();
  await ensureInstalled('all');
  if (args.length === 0) checks.push(...startChecks());
  const needs = needsOf(args);
  if (needs.build) await builds();
  if (needs.image) await prepareImage();
  const browser = needs.browser ? await ensureBrowser() : '';
  await runTests(browser);
} catch (error) {
  fail(error);
}
for (const check of checks) await check.catch(fail);
process.exitCode = total.failed === 0 ? 0 : 1;
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);

/** @param {unknown} error */
function fail(error) {
  report(error);
  total.failed += 1;
}

/** A failed build is a failure, but most tests read the sources and can still tell something. */
async function builds() {
  try {
    await ensureBuilt();
  } catch (error) {
    fail(error);
  }
}

/** Each counts as one failure at most, which is told behind the tests. One compiler: several do much of the work several times. */
function startChecks() {
  return [
    startCheck('Lint', '@biomejs/biome/bin/biome', ['check', '.']),
    startCheck('Types', 'typescript/bin/tsc', ['-p', 'tsconfig.json', '--singleThreaded']),
  ];
}

/**
 * In what time the tests leave; rejects with what it finds.
 * @param {string} name
 * @param {string} program below node_modules
 * @param {string[]} programArgs
 */
function startCheck(name, program, programArgs) {
  const path = inRoot('node_modules', ...program.split('/'));
  const options = { cwd: root, maxBuffer: 64 * 1024 * 1024 };
  const running = promisify(execFile)(process.execPath, [path, ...programArgs], options);
  if (running.child.pid) setPriority(running.child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  const told = running.then(
    () => say(`${name}: nothing found.`),
    (error) => Promise.reject(new SetupError(`${name} failed: see above.`, `${error.stdout}${error.stderr}`)),
  );
  // It is looked at once the tests are over.
  told.catch(() => undefined);
  return told;
}

/** @param {string} browser */
async function runTests(browser) {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-test-'));
  // Servers that tests start drop root, and have their files below it.
  chmodSync(folder, 0o711);
  const file = join(folder, 'results.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    // What a test leaves behind goes with the folder.
    const env = { PINCH_TEST_BROWSER: browser, TMPDIR: folder };
    const ran = runPackage('vitest/vitest.mjs', ['run', ...reporters, ...args], env);
    // A terminal shows the files that run; elsewhere only those that are through are told.
    const code = await (process.stdout.isTTY ? ran : telling(ran, () => 'the tests go on', 30_000));
    const results = countResults(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined, code);
    total.passed += results.passed;
    total.failed += results.failed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} program below node_modules
 * @param {string[]} programArgs
 * @param {Record<string, string>} [env]
 */
function runPackage(program, programArgs, env = {}) {
  const path = inRoot('node_modules', ...program.split('/'));
  return runLoudly(process.execPath, [path, ...programArgs], { cwd: root, env: { ...process.env, ...env } });
}
