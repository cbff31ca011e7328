// Further folders of the machine in containers: those of the owner's list that may be given, told from those that may not.
import { basename } from 'node:path';
import { atMost, type Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';
import { shownLine } from '../core/one-line.js';
import type { Group } from '../core/types.js';
import { checkFolder, realFolder } from './check.js';
import { absolute, bad, type ListedMount, listVersion, type MountProblem, putInList, readList } from './list.js';

/** A folder that a container gets at `/mnt/<name>`. */
export interface ExtraMount {
  source: string;
  target: string;
  readOnly: boolean;
  /** Of the folder that was looked at. */
  identity: string;
}

export type Examined =
  | { kind: 'usable'; mount: ListedMount; identity: string }
  /** `why` says what to do as well. */
  | ({ kind: 'refused' } & MountProblem);

/** What of the list can be used at this moment. Never rejects; may take for ever, as `checkFolder`. */
export async function examineMounts(config: Config, { mounts, problems } = readList(config)): Promise<Examined[]> {
  const found: Examined[] = problems.map((problem) => ({ kind: 'refused', ...problem }));
  for (const mount of mounts) {
    const examined = checkFolder(mount.path, config).then(
      (identity) => ({ kind: 'usable' as const, mount, identity }),
      (error: unknown) => ({ kind: 'refused' as const, name: mount.name, why: describeError(error) }),
    );
    found.push(await examined);
  }
  return found;
}

const LOOK_MS = 2_000;

/** The same, and what does not answer in time is refused. */
export async function examineInTime(clock: Clock, look: Promise<Examined[]>): Promise<Examined[]> {
  const why = 'a folder of the list does not answer (is a network disk away?)';
  return (await atMost(clock, LOOK_MS, look)) ?? [{ kind: 'refused', name: 'mounts.json', why }];
}

export interface MountsDeps extends Pick<LoopDeps, 'clock' | 'log' | 'notifyOwner'> {
  config: Config;
  examine?: typeof examineMounts;
}

export function createMounts({ config, clock, log, notifyOwner, examine = examineMounts }: MountsDeps) {
  // One look after the other: one that never ends keeps one thread of the process, not all of them.
  let last: Promise<unknown> = Promise.resolve();
  return {
    /** Changes whenever the list does. */
    version: (): string => listVersion(config),
    /** What the group's next container gets. A folder that is refused is left out, and the owner is told once. Never rejects. */
    async of({ id, folder }: Group): Promise<ExtraMount[]> {
      const version = listVersion(config);
      const { mounts, problems } = readList(config);
      const own = mounts.filter(({ groups }) => groups.includes(folder));
      if (own.length + problems.length === 0) return [];
      const look = last.then(() => examine(config, { mounts: own, problems }));
      last = look;
      const found = await examineInTime(clock, look);
      for (const { name, why } of found.filter((one) => one.kind === 'refused')) {
        log.warn({ group: folder, mount: name, why }, 'folder not mounted');
        notifyOwner(`mount:${version}:${name}:${why}`, notice(name, why), id);
      }
      return found.flatMap((one) => (one.kind === 'usable' ? [extraMount(one)] : []));
    },
  };
}

const extraMount = ({ mount: { name, path, rw }, identity }: Extract<Examined, { kind: 'usable' }>): ExtraMount => ({
  ...{ source: path, target: `/mnt/${name}`, readOnly: !rw, identity },
});

const notice = (name: string, why: string): string =>
  `I do not get the folder \`${shownLine(name, 60)}\` of your list: ${shownLine(why, 400)}\n\n` +
  'I work without it. `npm run -s pinch -- mounts` shows the list; a change counts from the next container on.';

export type MountWish = Pick<ListedMount, 'path' | 'groups' | 'rw'> & { name?: string | undefined };

/**
 * What a wish means: the folder by its real path, under a name. Changes nothing: what this returns can be shown to the owner, and then be added.
 * Throws PinchError `bad_mount`.
 */
export async function checkMount(config: Config, { path, name, groups, rw }: MountWish): Promise<ListedMount> {
  if (!/^(~\/|\/)/.test(path)) throw bad(`${path} is no whole path`, 'begin it with / or ~/');
  const real = await realFolder(absolute(path, config));
  await checkFolder(real, config);
  const own = basename(real)
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^[-_]+/, '')
    .slice(0, 40);
  return { name: name ?? own, path: real, groups, rw };
}

/** Adds it to the list, if its path is still no link. Harmless when repeated. Throws PinchError `bad_mount` or `mounts_file`. */
export async function addMount(config: Config, mount: ListedMount): Promise<void> {
  await checkFolder(mount.path, config);
  putInList(config, mount);
}
