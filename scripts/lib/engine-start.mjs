// Makes sure a container engine runs: finds it, on Debian and Ubuntu as root installs and starts it, elsewhere says in one line what to do.
// Knows nothing about images.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { canInstallPackages, findProgram, installPackages } from './debian.mjs';
import { findEngine } from './engine.mjs';
import { lastLines, runQuietly, SetupError, say, telling } from './progress.mjs';

/** @typedef {import('./engine.mjs').Engine} Engine @typedef {import('./engine.mjs').Settings} Settings */

const START_MS = 60_000;
const daemonLog = '/var/log/dockerd.log';

/**
 * An engine that answers. Throws SetupError with one line that says what to install or start.
 * @param {Settings} settings
 * @returns {Promise<Engine>}
 */
export async function ensureEngine(settings) {
  const { engine, forbidden } = await findEngine(settings);
  if (engine) return engine;
  if (settings.DOCKER_HOST) {
    throw new SetupError(
      `Nothing answers at DOCKER_HOST=${settings.DOCKER_HOST}: start that engine, or unset DOCKER_HOST to use the local one.`,
    );
  }
  if (forbidden)
    throw new SetupError(
      `This user may not use Docker at ${forbidden}: run \`sudo usermod -aG docker $USER\`, then log in again.`,
    );
  if (!canInstallPackages()) throw new SetupError(advice());
  if (!findProgram('dockerd')) {
    say('Installing Docker (docker.io and iptables, about a minute)…');
    await installPackages(['docker.io', 'iptables']);
  }
  say('Starting Docker…');
  return telling(startEngine(settings, { log: daemonLog }), () => 'Docker does not answer yet');
}

/**
 * Starts the installed engine and waits until it answers: by systemd where that is the init system, else as a process of its own that
 * outlives this one. Throws SetupError with the end of its log.
 * @param {Settings} settings
 * @param {{ log: string, args?: string[] }} options `args` only for an engine beside the usual one
 * @returns {Promise<Engine>}
 */
export async function startEngine(settings, { log, args = [] }) {
  if (existsSync('/run/systemd/system') && args.length === 0) {
    await runQuietly('systemctl', ['start', 'docker'], {
      failure: 'systemctl could not start Docker: see `journalctl -u docker`.',
    });
    return waitForEngine(settings, () => false, '');
  }
  // The package's own script may have started it a moment ago.
  const already = (await findEngine(settings)).engine;
  if (already) return already;
  const output = openSync(log, 'a');
  const child = spawn(findProgram('dockerd') ?? 'dockerd', args, { detached: true, stdio: ['ignore', output, output] });
  let ended = false;
  child.on('error', () => {
    ended = true;
  });
  child.on('exit', () => {
    ended = true;
  });
  child.unref();
  closeSync(output);
  return waitForEngine(settings, () => ended, log);
}

/**
 * @param {Settings} settings
 * @param {() => boolean} hasEnded
 * @param {string} log
 */
async function waitForEngine(settings, hasEnded, log) {
  const deadline = Date.now() + START_MS;
  while (Date.now() < deadline) {
    const { engine } = await findEngine(settings);
    if (engine) return engine;
    if (hasEnded()) break;
    await sleep(100);
  }
  const details = log ? lastLines(readFileSync(log, 'utf8'), 15) : '';
  throw new SetupError(
    `Docker did not start${log ? `: see the lines above and ${log}` : ' within a minute'}.`,
    details,
  );
}

function advice() {
  if (process.platform === 'darwin') {
    return 'No container engine answers: install and start OrbStack (https://orbstack.dev), Docker Desktop or Colima, then try again.';
  }
  return 'No container engine answers: install and start Docker (Debian, Ubuntu: `sudo apt-get install docker.io iptables`), then try again.';
}
