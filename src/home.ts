// The folders of a home: made, checked, locked against a second instance, and which of them a container sees.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Config } from './config.js';
import { describeError, PinchError } from './errors.js';
import type { Mount, SandboxSpec } from './sandbox/sandbox.js';
import type { Group } from './types.js';

/** Creates groups/ and data/ with the templates of a new home. Throws PinchError `home_unwritable`. */
export function prepareHome(config: Config): void {
  try {
    fs.mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
    fs.mkdirSync(config.groupsDir, { recursive: true });
    for (const name of ['main', 'global']) prepareGroupFolder(config, name);
    for (const folder of [config.dataDir, config.groupsDir])
      fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    throw new PinchError('home_unwritable', `cannot write below ${config.home}: ${describeError(error)}`, {
      hint: `make ${config.groupsDir} and ${config.dataDir} belong to the user who runs Pinch, or set PINCH_HOME to another folder`,
      cause: error,
    });
  }
}

function prepareGroupFolder(config: Config, name: string): void {
  const folder = join(config.groupsDir, name);
  fs.mkdirSync(folder, { recursive: true });
  const template = join(config.repository, 'groups', name, 'CLAUDE.template.md');
  const memory = join(folder, 'CLAUDE.md');
  if (fs.existsSync(template) && !fs.existsSync(memory)) fs.copyFileSync(template, memory);
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

/** What the group's container sees; its folders exist and belong to it afterwards. Throws PinchError `group_folder`. */
export function sandboxSpec(config: Config, group: Group): SandboxSpec {
  const mounts: Mount[] = [
    { source: join(config.groupsDir, group.folder), target: '/workspace', readOnly: false },
    { source: join(config.dataDir, 'sessions', group.folder), target: '/sessions', readOnly: false },
    { source: join(config.groupsDir, 'global'), target: '/global', readOnly: !group.isMain },
    { source: join(config.repository, 'container', 'skills'), target: '/skills', readOnly: true },
  ];
  for (const { source } of mounts.filter((mount) => !mount.readOnly)) ensureOwned(source);
  return { folder: group.folder, mounts };
}

/** Names of the skills the group wrote for itself, fifty at most as in its prompt. The container may change all of it meanwhile: names are all that is read, links are refused. */
export function ownSkills({ groupsDir }: Pick<Config, 'groupsDir'>, folder: string): string[] {
  const skills = join(groupsDir, folder, 'skills');
  try {
    const opened = fs.openSync(skills, fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW);
    // By the descriptor where that can be had: the path may be a link by now.
    const path = process.platform === 'linux' ? `/proc/self/fd/${opened}` : skills;
    const folders = fs.readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    fs.closeSync(opened);
    const names = folders.map(({ name }) => name).filter((name) => /^[a-z0-9][a-z0-9-]{0,39}$/.test(name));
    return names.sort().slice(0, 50);
  } catch {
    // Most groups have none.
    return [];
  }
}

/** Root only: hands a folder and what lies in it to the container's user. Symbolic links are never followed. */
function ensureOwned(folder: string): void {
  try {
    fs.mkdirSync(folder, { recursive: true });
    if (!fs.lstatSync(folder).isDirectory()) throw new Error('it is not a directory');
    fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    const hint = `check the permissions of ${folder}`;
    throw new PinchError('group_folder', `the folder ${folder} cannot be used: ${describeError(error)}`, {
      hint,
      cause: error,
    });
  }
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = containerUser();
  // What the owner put there as root by hand must stay usable for the agent: the folder and its first level.
  for (const path of [folder, ...fs.readdirSync(folder).map((name) => join(folder, name))]) {
    if (fs.lstatSync(path).uid !== uid) fs.lchownSync(path, uid, gid);
  }
}
