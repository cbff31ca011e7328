// The daemon during an update: stopped, started again by its service manager, and waited for until it is ready or says why not.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastLines, SetupError, telling } from './progress.mjs';
import { isRunning } from './update-database.mjs';

/** It ends within ten seconds when it is asked to. */
const STOP_MS = 30_000;
/** Its image is there by then; a migration of a large database may take minutes. */
const READY_MS = 300_000;
const LOOK_MS = 100;
const RETRIES = 25;

/** @typedef {import('./update-state.mjs').Service} Service @typedef {import('./update-database.mjs').Sqlite} Sqlite */

/**
 * Resolves when nothing runs on the home any more. Throws SetupError when it does not end.
 * @param {Sqlite} Database @param {{ home: string, service?: Service | undefined }} daemon
 */
export async function stopDaemon(Database, { home, service }) {
  if (service) await perform(service.pause);
  const { pid } = markerOf(home) ?? {};
  // Who holds the lock has written the marker.
  if (!service && pid && isRunning(Database, home)) signal(pid);
  const until = Date.now() + STOP_MS;
  const over = async () => {
    while (isRunning(Database, home)) {
      if (Date.now() > until)
        throw new SetupError(`Pinch (process ${pid ?? 'unknown'}) does not end: end it, then try again.`);
      await sleep(LOOK_MS);
    }
  };
  await telling(over(), () => 'Pinch ends its work');
}

function signal(/** @type {number} */ pid) {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has just ended.
  }
}

/** @param {Service} service */
export const startService = (service) => perform(service.resume);

/** @param {import('./update-state.mjs').Command[]} commands */
async function perform(commands) {
  for (const { argv, retry, optional } of commands) {
    const [program = '', ...args] = argv;
    const attempt = () => spawnSync(program, args, { encoding: 'utf8' });
    let result = attempt();
    for (let left = RETRIES; retry && result.status !== 0 && left > 0; left -= 1) {
      await sleep(1_000);
      result = attempt();
    }
    if (result.status !== 0 && !optional)
      throw new SetupError(
        `\`${argv.join(' ')}\` failed.`,
        `${result.stdout ?? ''}${result.stderr ?? result.error ?? ''}`,
      );
  }
}

/** What the daemon says of itself. @param {string} home @returns {{ pid: number, startedAt: number, ready?: boolean, error?: string } | undefined} */
export function markerOf(home) {
  try {
    return JSON.parse(readFileSync(join(home, 'data', 'running.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Undefined when a start after `since` became ready, else why it did not, for people.
 * @param {{ home: string, port: number, since: number, build: string, hasEnded?: () => boolean }} start `build` is what it has to say of itself
 * @returns {Promise<string | undefined>}
 */
export function whyNotReady({ home, port, since, build, hasEnded = () => false }) {
  const until = Date.now() + READY_MS;
  const look = async () => {
    for (;;) {
      const ended = hasEnded();
      const marker = markerOf(home);
      if (marker?.ready && marker.startedAt >= since && (port === 0 || (await buildAt(port)) === build))
        return undefined;
      const why = failureOf(home, marker, since);
      if (why) return why;
      if (ended) return 'it ended without a word';
      if (Date.now() > until) return `it was not ready after ${READY_MS / 60_000} minutes`;
      await sleep(LOOK_MS);
    }
  };
  return telling(look(), () => 'it starts');
}

/** @param {string} home @param {ReturnType<typeof markerOf>} marker @param {number} since */
function failureOf(home, marker, since) {
  // Times of files are coarser than clocks.
  if (marker?.error && marker.startedAt >= since) return marker.error;
  const file = join(home, 'data', 'failed-start.json');
  if (!existsSync(file) || statSync(file).mtimeMs < since - 10) return undefined;
  try {
    return String(JSON.parse(readFileSync(file, 'utf8')).error);
  } catch {
    // It is being written.
    return undefined;
  }
}

/** @param {number} port @returns {Promise<string | undefined>} undefined until it is ready */
function buildAt(port) {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/healthz', agent: false, timeout: 2_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve(response.statusCode === 200 ? parsed(text).build : undefined));
    });
    request.on('timeout', () => request.destroy()).on('error', () => resolve(undefined));
  });
}

/** @param {string} text @returns {{ build?: string }} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    // Another program has the port.
    return {};
  }
}

/** The end of what a start wrote. @param {string} file @param {number} [count] */
export const endOfLog = (file, count = 20) => (existsSync(file) ? lastLines(readFileSync(file, 'utf8'), count) : '');
