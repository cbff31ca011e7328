// Looks at a folder before a container gets it: that it is the one the owner listed, and nothing that no container may see.
import fs from 'node:fs';
import { realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '../core/config.js';
import { inFolder } from '../core/files.js';
import { bad, mountsFile } from './list.js';
import { type ClosedPlace, homePlaces, placeProblem, SECRET_NAMES } from './places.js';

/** Names a folder whatever it is called; the same on the host and in a container of the same kernel. */
export const identityOf = ({ dev, ino }: Pick<fs.BigIntStats, 'dev' | 'ino'>): string => `${dev}:${ino}`;

/**
 * The identity of a folder that a container may have. No part of `path` may be a link: what the owner listed is what is given, also when somebody
 * who can write in a folder on the way puts a link there later. Throws PinchError `bad_mount`. May take for ever on a network disk that is away.
 */
export async function checkFolder(path: string, config: Config): Promise<string> {
  const real = await realFolder(path);
  if (real !== resolve(path)) throw bad(`${path} leads over a link to ${real}`, `list ${real} itself if you mean it`);
  const problem = placeProblem(real, await closedPlaces(config));
  if (problem) throw bad(`${real} is not for containers: ${problem}`, 'list another folder');
  // From here on by descriptors: what was opened is what was looked at. The disk has just answered.
  return inFolder('/', real, (folder) => {
    // Only whether there is one: a link on the way to a name of two parts shows nothing.
    const secret = SECRET_NAMES.find((name) => fs.lstatSync(join(folder.here, name), { throwIfNoEntry: false }));
    if (secret) throw bad(`${real} is not for containers: it contains ${secret}`, 'list a folder without it');
    return identityOf(fs.fstatSync(folder.fd, { bigint: true }));
  });
}

/** Without a link in it. Throws PinchError `bad_mount` when there is no such folder. */
export async function realFolder(path: string): Promise<string> {
  return realpath(path).catch((cause: unknown) => {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw bad(
      `${path} ${missing ? 'does not exist' : 'cannot be opened'}`,
      'is its disk there? Correct it, or remove it',
    );
  });
}

/** The home of Pinch, its code, its settings, the engine's socket, and the keys of whoever runs it; by their real paths. */
async function closedPlaces(config: Config): Promise<ClosedPlace[]> {
  const { home, repository, groupsDir, dataDir, env } = config;
  const own = [groupsDir, dataDir, `${home}/.env`, `${home}/services.json`];
  const places = [
    ...own.map((path) => ({ path, what: 'the home of Pinch' })),
    { path: repository, what: 'the code of Pinch' },
    { path: dirname(mountsFile(config)), what: 'the settings of Pinch' },
    ...homePlaces(env.HOME || homedir()),
  ];
  const [, socket] = /^unix:\/\/(\/.+)$/.exec(env.DOCKER_HOST ?? '') ?? [];
  if (socket) places.push({ path: socket, what: "the container engine's socket" });
  const real = places.map(async (place) => ({ ...place, path: await realpath(place.path).catch(() => place.path) }));
  // By both names: what is missing now may be made later, at the end of a link too.
  return [...places, ...(await Promise.all(real))];
}
