// The list of further folders that containers see: `mounts.json` in the owner's own folder of settings, outside of everything a container can
// write. Read again whenever it is needed. Knows nothing about what the folders are.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../core/config.js';
import { describeError, PinchError } from '../core/errors.js';

const NAME = /^[a-z0-9][a-z0-9_-]{0,39}$/;

const mountEntry = z.strictObject({
  path: z.string().regex(/^(~\/|\/)[^\p{Cc}]*$/u, { error: 'use a whole path, such as /srv/photos or ~/Photos' }),
  /** Folders of groups. */
  groups: z.array(z.string().regex(NAME, { error: 'use the folder of a group' })).min(1),
  /** Read-only unless it says so. */
  rw: z.boolean().default(false),
});

export interface ListedMount extends z.infer<typeof mountEntry> {
  /** It is `/mnt/<name>` in the container. */
  name: string;
}

/** What cannot be read of the list, or used of what it names. */
export interface MountProblem {
  name: string;
  why: string;
}

const settingsFolder = ({ env }: Pick<Config, 'env'>): string =>
  join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'pinch');

export const mountsFile = (config: Pick<Config, 'env'>): string => join(settingsFolder(config), 'mounts.json');

/** Changes whenever the file does. One look at it, no reading. */
export function listVersion(config: Pick<Config, 'env'>): string {
  const stat = fs.statSync(mountsFile(config), { bigint: true, throwIfNoEntry: false });
  return stat ? `${stat.mtimeNs}.${stat.ino}.${stat.size}` : 'none';
}

/** What is listed, and what of the list is no use. Empty when there is no file. Never throws. */
export function readList(config: Config): { mounts: ListedMount[]; problems: MountProblem[] } {
  const mounts: ListedMount[] = [];
  const problems: MountProblem[] = [];
  try {
    for (const [name, value] of Object.entries(readFile(config))) {
      const parsed = mountEntry.safeParse(value);
      if (NAME.test(name) && parsed.success)
        mounts.push({ name, ...parsed.data, path: absolute(parsed.data.path, config) });
      else problems.push({ name, why: parsed.error ? z.prettifyError(parsed.error) : `use a name such as ${EXAMPLE}` });
    }
  } catch (error) {
    problems.push({ name: 'mounts.json', why: describeError(error) });
  }
  return { mounts, problems };
}

const EXAMPLE = 'photos: lower-case letters, digits, - and _';

export const absolute = (path: string, { env }: Pick<Config, 'env'>): string =>
  path.replace(/^~(?=\/)/, env.HOME || homedir());

/** As it is; throws PinchError `mounts_file`. What others can change says nothing about what the owner allows. */
function readFile(config: Config): Record<string, unknown> {
  const file = mountsFile(config);
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) return {};
  const place = fs.realpathSync(file);
  const folders = [config.groupsDir, config.dataDir, config.repository].filter((folder) => fs.existsSync(folder));
  const exposed = folders.find((folder) => place.startsWith(`${fs.realpathSync(folder)}/`));
  if (exposed) throw unusable(`${file} lies in ${exposed}`, 'keep it elsewhere (XDG_CONFIG_HOME)');
  for (const one of [stat, fs.statSync(dirname(file))])
    if (one.mode & 0o022 || ![0, process.getuid?.()].includes(one.uid))
      throw unusable(`other users can change ${file}`, `chmod 700 '${dirname(file)}'; chmod 600 '${file}'`);
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(fs.readFileSync(file, 'utf8')));
  } catch (error) {
    throw unusable(`${file} cannot be read: ${describeError(error)}`, 'correct it; docs/mounts.md shows one', error);
  }
}

const unusable = (what: string, hint: string, cause?: unknown) => new PinchError('mounts_file', what, { hint, cause });

/**
 * Adds one, or further groups to the same one. Its `path` is a real one that was checked. Throws PinchError `mounts_file`, or `bad_mount` when
 * the name stands for something else.
 */
export function putInList(config: Config, mount: ListedMount): void {
  const { name, ...entry } = mount;
  const checked = mountEntry.parse(entry);
  change(config, (all) => {
    all[name] = { ...checked, groups: [...new Set([...groupsThere(all, mount), ...checked.groups])] };
  });
}

/** Throws what adding it would, because of its name or the file, and changes nothing. */
export const checkName = (config: Config, mount: ListedMount): void => void groupsThere(readFile(config), mount);

function groupsThere(all: Record<string, unknown>, { name, path, rw }: ListedMount): string[] {
  if (!NAME.test(name)) throw bad(`"${name}" cannot be a name`, `use one such as ${EXAMPLE}`);
  const there = mountEntry.safeParse(all[name]).data;
  if (Object.hasOwn(all, name) && !(there?.path === path && there.rw === rw))
    throw bad(`there is a "${name}" already`, `choose another name, or \`pinch mounts remove ${name}\` first`);
  return there?.groups ?? [];
}

/** Throws PinchError `mounts_file`, or `bad_mount` when there is none of that name. */
export function removeFromList(config: Config, name: string): void {
  change(config, (all) => {
    if (!Object.hasOwn(all, name)) throw bad(`there is no "${name}"`, '`pinch mounts` lists them');
    delete all[name];
  });
}

export const bad = (what: string, hint: string) => new PinchError('bad_mount', what, { hint });

/** A crash leaves the old file or the new one. Of two changes at the same time one is refused, unless they meet within the last two calls. */
function change(config: Config, edit: (all: Record<string, unknown>) => void): void {
  const version = listVersion(config);
  const all = readFile(config);
  edit(all);
  const folder = settingsFolder(config);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `.mounts.${randomBytes(6).toString('hex')}`);
  try {
    fs.writeFileSync(draft, `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true });
    if (listVersion(config) !== version) throw unusable('it was just changed by somebody else', 'try again');
    // Some keep their settings elsewhere and have a link here: the link stays.
    const file = mountsFile(config);
    fs.renameSync(draft, fs.existsSync(file) ? fs.realpathSync(file) : file);
  } finally {
    fs.rmSync(draft, { force: true });
  }
}
