// Debian and Ubuntu: which machine this is, and installing packages there as root. Knows nothing about what they are for.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runQuietly } from './progress.mjs';

/** True where apt-get can install packages without asking: Debian or a relative, as root. */
export const canInstallPackages = () => isDebian() && process.getuid?.() === 0;

/** True where packages can be fetched and unpacked. */
export const isDebian = () => existsSync('/etc/debian_version') && findProgram('apt-get') !== undefined;

/**
 * @param {string} name
 * @returns {string | undefined} the program's path
 */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/**
 * Installs packages without their recommendations. Throws SetupError with the end of apt-get's output.
 * @param {string[]} packages
 */
export async function installPackages(packages) {
  const failure = `apt-get could not install ${packages.join(' ')}.`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await runQuietly('apt-get', ['update', '-q'], { failure: 'apt-get update failed.', env });
  await runQuietly('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], { failure, env });
}
