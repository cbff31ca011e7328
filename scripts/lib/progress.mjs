// Progress a person can follow, on stderr (stdout belongs to the daemon's log), and child processes that are silent unless they fail.
// Knows nothing about the steps themselves.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { visible } from './visible.mjs';

/** A step that cannot go on; `message` says what happened and what to do, in a line or two. */
export class SetupError extends Error {
  /** @override */
  name = 'SetupError';
  /**
   * @param {string} message
   * @param {string} [details] output of the program that failed, shown above the message
   * @param {ErrorOptions} [options]
   */
  constructor(message, details = '', options = undefined) {
    super(message, options);
    this.details = details;
  }
}

/** One line on stderr. @param {string} text */
export function say(text) {
  process.stderr.write(`● ${visible(text)}\n`);
}

const TELL_EVERY_MS = 10_000;
const REWRITE_EVERY_MS = 500;

/**
 * Waits for a step that may take minutes and tells what it does: in silence it looks hung. A terminal has one line that is written anew
 * again and again, a file a line every ten seconds.
 * @template T
 * @param {Promise<T>} work
 * @param {() => string} doing asked each time
 * @param {number} [everyMs]
 * @returns {Promise<T>}
 */
export async function telling(work, doing, everyMs = process.stderr.isTTY ? REWRITE_EVERY_MS : TELL_EVERY_MS) {
  const began = Date.now();
  const progress = () => `  ${Math.round((Date.now() - began) / 1_000)} s: ${doing()}`;
  const timer = setInterval(() => (process.stderr.isTTY ? rewrite(progress()) : say(progress())), everyMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
  }
}

const CLEAR_LINE = '\r\x1b[K';

/** Takes the place of the line before; cut, since a line that wraps cannot be taken back. @param {string} text */
function rewrite(text) {
  const width = Math.max(20, process.stderr.columns || 80) - 3;
  process.stderr.write(`${CLEAR_LINE}● ${visible(text).slice(0, width)}`);
}

/**
 * Runs the body of a command. A SetupError ends it with its own words and exit code 1; anything else is a defect and keeps its stack.
 * @param {() => Promise<void>} body
 */
export async function runCommand(body) {
  try {
    await body();
  } catch (error) {
    report(error);
    await endNow(1);
  }
}

/** Ends the process with `code` once a pipe that is read slowly has taken all that was written. @param {number} code */
async function endNow(code) {
  const outputs = [process.stdout, process.stderr];
  await Promise.all(outputs.map((output) => new Promise((resolve) => output.write('', resolve))));
  process.exit(code);
}

/** @param {unknown} error anything thrown */
export function report(error) {
  if (!(error instanceof SetupError)) {
    process.stderr.write(`✗ ${visible(String(error instanceof Error ? error.stack : error))}\n`);
    return;
  }
  if (error.details) process.stderr.write(`${visible(error.details)}\n`);
  process.stderr.write(`✗ ${visible(error.message)}\n`);
}

/** Programs that `runQuietly` waits for. @type {Set<import('node:child_process').ChildProcess>} */
const atWork = new Set();

/** From now on a signal ends this process at once and well, with the programs that work for it. Returns what takes that back. */
export function endOnSignals() {
  const signals = /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP']);
  const end = () => {
    for (const child of atWork) child.kill();
    process.exit(0);
  };
  for (const signal of signals) process.on(signal, end);
  return () => {
    for (const signal of signals) process.off(signal, end);
  };
}

/**
 * Runs a program with its output in a temporary file. Now and then the last line is told, or what `doing` makes of the output so far.
 * Throws SetupError with `failure` and the output's ends, without the lines that are `noise`, when it fails.
 * @param {string} program
 * @param {string[]} args
 * @param {{ failure: string, cwd?: string, env?: Record<string, string | undefined>, doing?: (output: string) => string, noise?: RegExp,
 *   everyMs?: number }} options
 */
export async function runQuietly(program, args, { failure, cwd, env, doing = oneLine, noise = /^$/, everyMs }) {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-log-'));
  const file = join(folder, 'output.log');
  const log = openSync(file, 'w');
  const output = () => readFileSync(file, 'utf8');
  try {
    const child = spawn(program, args, { cwd, env: env ?? process.env, stdio: ['ignore', log, log] });
    atWork.add(child);
    const code = await telling(exitCodeOf(child), () => doing(output()) || `${basename(program)} is at work`, everyMs);
    atWork.delete(child);
    if (code !== 0) throw new SetupError(failure, bothEnds(output(), noise));
  } finally {
    closeSync(log);
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs a program in the foreground; a signal that ends this process ends it too. Its exit code, 1 when a signal ended it.
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined> }} [options]
 */
export async function runLoudly(program, args, { cwd, env } = {}) {
  const child = spawn(program, args, { cwd, env: env ?? process.env, stdio: ['ignore', 'inherit', 'inherit'] });
  /** @param {NodeJS.Signals} signal */
  const forward = (signal) => child.kill(signal);
  process.on('SIGTERM', forward).on('SIGINT', forward);
  try {
    return await exitCodeOf(child);
  } finally {
    process.off('SIGTERM', forward).off('SIGINT', forward);
  }
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<number>} never rejects; 127 when the program is not there
 */
function exitCodeOf(child) {
  return new Promise((resolve) => {
    child.on('error', () => resolve(127));
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** The end of a program's output as a line that moves no cursor. @param {string} text */
export function oneLine(text) {
  return (
    text
      .trimEnd()
      .split(/[\r\n]/)
      .at(-1)
      ?.replace(/\x1b\[[0-9;?]*[a-zA-Z]|[\x00-\x1f\x7f]/g, '')
      .slice(0, 100)
      .trim() ?? ''
  );
}

/** @param {string} text @param {number} count */
export function lastLines(text, count) {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

/** The cause of a failure is in the first lines of some programs and in the last ones of others. @param {string} text @param {RegExp} noise */
function bothEnds(text, noise) {
  const lines = text
    .trimEnd()
    .split('\n')
    .filter((line) => !noise.test(line));
  if (lines.length <= 40) return lines.join('\n');
  return [...lines.slice(0, 15), '…', ...lines.slice(-25)].join('\n');
}
