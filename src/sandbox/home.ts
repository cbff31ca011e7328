// The folders of a home: made, checked, locked against a second instance, and which of them a container sees.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { join, relative } from 'node:path';
import Database from 'better-sqlite3';
import type { Config } from '../core/config.js';
import { describeError, PinchError } from '../core/errors.js';
import { createEntry, type Folder, inFolder, listFolder, openEntry } from '../core/files.js';
import type { Group } from '../core/types.js';
import type { Mount, SandboxSpec } from './sandbox.js';

/** Entries of a folder that are looked at, at most: a huge folder must not block the process. */
const MAX_ENTRIES = 10_000;
/** What a mode grants to anybody but the owner. */
const OTHERS = 0o077;
/** Below data/: what lies in there is the containers'. */
const OF_CONTAINERS = ['sessions', 'mcp', 'dry'];

/** Creates groups/ and data/ with the templates of a new home. Throws PinchError `home_unwritable`. */
export function prepareHome(config: Config): void {
  try {
    for (const folder of [config.dataDir, config.groupsDir]) {
      fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
      fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
    }
    for (const name of ['main', 'global']) {
      const template = join(config.repository, 'groups', name, 'CLAUDE.template.md');
      const memory = fs.existsSync(template) ? fs.readFileSync(template) : undefined;
      inFolder(config.groupsDir, name, (folder) => memory && createEntry(folder, 'CLAUDE.md', memory), { make: true });
    }
  } catch (error) {
    throw new PinchError('home_unwritable', `cannot write below ${config.home}: ${describeError(error)}`, {
      hint: `make ${config.groupsDir} and ${config.dataDir} belong to the user who runs Pinch, or set PINCH_HOME to another folder`,
      cause: error,
    });
  }
}

/**
 * Takes from other users of the machine what an older version, a copy or a service manager left open to them: groups/ itself, and data/ with all
 * of it but what containers own. Behind a closed groups/ a set-user-id program made in a container is out of reach too (a bind mount cannot be
 * `nosuid`). Returns what could not be closed. For the time before any database is open: see core/files.ts on locks.
 */
export function closeToOthers({ home, dataDir, groupsDir }: Config): string[] {
  const left: string[] = [];
  const attempt = (path: string, work: () => unknown) => {
    try {
      work();
    } catch {
      left.push(path);
    }
  };
  attempt(groupsDir, () => inFolder(groupsDir, '', ({ fd }) => closeOne(fd)));
  const folders = [dataDir];
  for (const path of folders) {
    const lookInto = (folder: Folder) => {
      attempt(path, () => closeOne(folder.fd));
      if (OF_CONTAINERS.some((name) => path === join(dataDir, name))) return;
      for (const entry of listFolder(folder, MAX_ENTRIES)) {
        const place = join(path, entry.name);
        if (entry.isDirectory()) folders.push(place);
        else if (entry.isFile()) attempt(place, () => openEntry(folder, entry.name, closeOne));
      }
    };
    attempt(path, () => inFolder(dataDir, relative(dataDir, path), lookInto));
  }
  // The owner's own file: other programs may have a reason to read it.
  const settings = join(home, '.env');
  if ((fs.statSync(settings, { throwIfNoEntry: false })?.mode ?? 0) & OTHERS) left.push(settings);
  return left;
}

function closeOne(fd: number): void {
  const stat = fs.fstatSync(fd);
  if ((stat.mode & OTHERS) === 0) return;
  // In a folder that was open to others, the second name may be that of a file elsewhere: a trap.
  if (stat.isFile() && stat.nlink > 1) throw new Error('it has a second name');
  fs.fchmodSync(fd, stat.mode & 0o700);
}

/**
 * Held until the process ends, however it ends: the lock of an open exclusive SQLite transaction is the kernel's to release.
 * Throws PinchError `already_running`.
 */
export function lockHome(config: Config): { release(): void } {
  const db = new Database(join(config.dataDir, 'lock.db'), { timeout: 0 });
  try {
    db.exec('BEGIN EXCLUSIVE');
    return { release: () => db.close() };
  } catch (error) {
    db.close();
    if (!(error instanceof Database.SqliteError && error.code === 'SQLITE_BUSY')) throw error;
    throw new PinchError('already_running', `another Pinch is running on ${config.home}`, {
      hint: 'stop it first (`npm run -s pinch -- status` shows it), or set PINCH_HOME to another folder',
      cause: error,
    });
  }
}

/** Names this home in container labels: containers of another checkout on the same machine are not ours to touch. */
export function homeId(home: string): string {
  return createHash('sha256').update(home).digest('hex').slice(0, 16);
}

/** The container's user: ours, or 1000 when we are root (which then gives it the mounted folders). */
export function containerUser(): { uid: number; gid: number } {
  const [uid, gid] = [process.getuid?.() ?? 1000, process.getgid?.() ?? 1000];
  return uid === 0 ? { uid: 1000, gid: 1000 } : { uid, gid };
}

/**
 * What the group's container sees; its folders exist, are no links and belong to it afterwards. `dry`: what a dry run has in the place of those it
 * could write to. Throws PinchError `group_folder`.
 */
export function sandboxSpec({ groupsDir, dataDir, repository }: Config, group: Group, dry?: Mount[]): SandboxSpec {
  const own = () => [
    { source: ownFolder(groupsDir, group.folder), target: '/workspace', readOnly: false },
    { source: ownFolder(dataDir, `sessions/${group.folder}`), target: '/sessions', readOnly: false },
  ];
  const mounts: Mount[] = [
    ...(dry ?? own()),
    { source: ownFolder(groupsDir, 'global'), target: '/global', readOnly: !group.isMain || dry !== undefined },
    { source: join(repository, 'container', 'skills'), target: '/skills', readOnly: true },
  ];
  return { folder: group.folder, mounts };
}

/** The path of a folder for a container, made when it is missing. What the owner put there as root by hand must stay usable for the agent: the folder and its first level. */
export function ownFolder(root: string, path: string): string {
  const place = join(root, path);
  try {
    inFolder(root, path, useAsOwn, { make: true });
    return place;
  } catch (error) {
    const hint = `check the permissions of ${place}`;
    throw new PinchError('group_folder', `the folder ${place} cannot be used: ${describeError(error)}`, {
      hint,
      cause: error,
    });
  }
}

function useAsOwn(folder: Folder): void {
  fs.accessSync(folder.here, fs.constants.W_OK | fs.constants.X_OK);
  if (process.getuid?.() !== 0) return;
  handOver(folder.fd);
  for (const { name } of listFolder(folder, MAX_ENTRIES)) openEntry(folder, name, handOver);
}

/** Root only: what is opened belongs to the container's user afterwards. Not a file with a second name, which may lie anywhere, and nothing but files and folders. */
export function handOver(fd: number): void {
  const { uid, gid } = containerUser();
  const stat = fs.fstatSync(fd);
  const isPlain = stat.isDirectory() || (stat.isFile() && stat.nlink === 1);
  if (process.getuid?.() === 0 && stat.uid !== uid && isPlain) fs.fchownSync(fd, uid, gid);
}
