// Removes images of earlier versions, so that the disk does not fill over the years. Touches only pinch's own.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root } from './paths.mjs';

const repositories = ['pinch-agent', 'pinch-base'];
/** A daemon that was not restarted after an update still starts containers of the image it began with. */
const KEEP_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * Removes pinch's images made more than a month before `now` that neither `current` nor another checkout on this machine names.
 * What a container uses stays. Throws when the engine or a file cannot be read; that is no reason not to start.
 * @param {import('dockerode')} docker
 * @param {string[]} current names
 * @param {number} now epoch ms
 */
export async function removeOldImages(docker, current, now) {
  const kept = new Set([...current, ...rememberCheckouts().flatMap(tagOf)]);
  const images = await docker.listImages({ filters: { reference: repositories } });
  const old = images.filter((image) => image.Created * 1000 < now - KEEP_MS).flatMap((image) => image.RepoTags ?? []);
  const ours = old.filter((name) => repositories.some((repository) => name.startsWith(`${repository}:`)));
  for (const name of ours.filter((candidate) => !kept.has(candidate))) {
    // Without force the engine answers 409 for an image in use.
    await docker
      .getImage(name)
      .remove()
      .catch(() => undefined);
  }
}

/** Adds this checkout to the list of those on this machine. @returns {string[]} all that still exist */
function rememberCheckouts() {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pinch');
  const file = join(folder, 'checkouts');
  const before = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  const checkouts = [...new Set([...before, root])].filter((path) => existsSync(join(path, 'dist')));
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `${checkouts.join('\n')}\n`);
  return checkouts;
}

/** @param {string} checkout @returns {string[]} the image its daemon uses */
function tagOf(checkout) {
  const file = join(checkout, 'dist', 'agent-image.json');
  return existsSync(file) ? [JSON.parse(readFileSync(file, 'utf8')).tag] : [];
}
