// Removes agent images no checkout on this machine uses any more, so that the disk does not fill over the years. Touches only pinch's own.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root } from './paths.mjs';

const repository = 'pinch-agent';

/**
 * Removes the `pinch-agent` tags named neither by `current` nor by another checkout. Best effort: what a container uses stays, and an
 * engine that refuses is no reason not to start.
 * @param {import('dockerode')} docker
 * @param {string} current
 */
export async function removeOldImages(docker, current) {
  const kept = new Set([current, ...tagsOf(rememberCheckout())]);
  const images = await docker.listImages({ filters: { reference: [repository] } }).catch(() => []);
  const tags = images.flatMap((image) => image.RepoTags ?? []);
  for (const tag of tags.filter((name) => name.startsWith(`${repository}:`) && !kept.has(name))) {
    // Without force the engine answers 409 for an image in use.
    await docker
      .getImage(tag)
      .remove()
      .catch(() => undefined);
  }
}

/** Adds this checkout to the list of those on this machine. @returns {string[]} all that still exist */
function rememberCheckout() {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pinch');
  const file = join(folder, 'checkouts');
  const before = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  const checkouts = [...new Set([...before, root])].filter((path) => existsSync(join(path, 'dist')));
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `${checkouts.join('\n')}\n`);
  return checkouts;
}

/** @param {string[]} checkouts @returns {string[]} */
function tagsOf(checkouts) {
  return checkouts.flatMap((checkout) => {
    const file = join(checkout, 'dist', 'agent-image.json');
    return checkout !== root && existsSync(file) ? [JSON.parse(readFileSync(file, 'utf8')).tag] : [];
  });
}
