// Files in folders that a container can change at any moment, even between two of our calls. Everything the host does below `groups/` and
// `data/sessions/` goes through here: what is opened lies below the root that was named, no link was followed on the way or at the end.
// Knows nothing about groups.
//
// How: each folder on the way is opened by its name within the one opened before, and stays that folder however it is renamed or replaced
// meanwhile. Node has no `openat`. Linux offers the same as `/proc/self/fd/<descriptor>/<name>`. macOS has no such path: there the process
// goes into the folder (chdir), checks that it is the one it opened, and uses bare names until it goes back. So work in a folder is synchronous.
//
// Closing any descriptor of a file gives up the locks this process has on it: never use this on a database that is open.
import fs from 'node:fs';
import { basename, join } from 'node:path';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
/** A link, a socket, or gone meanwhile: nothing that can be opened. */
const NOT_OPENED = ['ELOOP', 'EMLINK', 'ENXIO', 'EOPNOTSUPP', 'ENOENT'];

/** An open folder. `here` leads to it whatever happens to its name, and only while the call that gave it lasts. */
export interface Folder {
  fd: number;
  here: string;
}

/**
 * Runs `act` in the folder `path` below `root` ('' is the root itself, which alone may be a link: it is the owner's). `make` makes the folders
 * that are missing. Throws when there is none, or a link or file on the way. `act` is synchronous, keeps nothing of it and calls no `inFolder`.
 */
export function inFolder<T>(root: string, path: string, act: (folder: Folder) => T, { make = false } = {}): T {
  const back = process.platform === 'linux' ? undefined : process.cwd();
  const opened: Folder[] = [];
  try {
    let folder = enter(root, opened, 0);
    for (const name of path.split('/').filter((part) => part !== '')) {
      const place = inside(folder, name);
      if (make && !fs.lstatSync(place, { throwIfNoEntry: false })) fs.mkdirSync(place, 0o700);
      folder = enter(place, opened, O_NOFOLLOW);
    }
    return act(folder);
  } finally {
    for (const { fd } of opened) fs.closeSync(fd);
    if (back !== undefined) process.chdir(back);
  }
}

function enter(place: string, opened: Folder[], flags: number): Folder {
  const fd = tryOpen(place, O_RDONLY | O_DIRECTORY | O_NONBLOCK | flags, ['ELOOP', 'EMLINK', 'ENOTDIR']);
  if (fd === undefined) throw new Error(`${basename(place)}: it is no folder, or a link to one`);
  const folder = { fd, here: process.platform === 'linux' ? `/proc/self/fd/${fd}` : '.' };
  opened.push(folder);
  if (folder.here !== '.') return folder;
  process.chdir(place);
  const [want, got] = [fs.fstatSync(fd), fs.statSync('.')];
  if (want.ino !== got.ino || want.dev !== got.dev) throw new Error(`${place} was exchanged while it was opened`);
  return folder;
}

/** Undefined when the system refuses for one of these reasons. */
function tryOpen(place: string, flags: number, reasons: string[]): number | undefined {
  try {
    return fs.openSync(place, flags, 0o600);
  } catch (error) {
    if (error instanceof Error && 'code' in error && reasons.includes(String(error.code))) return undefined;
    throw error;
  }
}

function inside({ here }: Folder, name: string): string {
  if (/[/\0]|^\.{0,2}$/.test(name)) throw new Error(`not a name of a file: ${JSON.stringify(name)}`);
  return join(here, name);
}

/** Entries as they are themselves, not what links lead to; `max` at most, because a folder can hold millions. */
export function listFolder({ here }: Folder, max: number): fs.Dirent[] {
  const entries: fs.Dirent[] = [];
  const reader = fs.opendirSync(here);
  try {
    for (let entry = reader.readSync(); entry && entries.length < max; entry = reader.readSync()) entries.push(entry);
  } finally {
    reader.closeSync();
  }
  return entries;
}

/** Of the entry itself; undefined when there is none. */
export const statEntry = (folder: Folder, name: string) =>
  fs.lstatSync(inside(folder, name), { throwIfNoEntry: false });

/** Opens a file or folder for reading, runs `act` and closes it. Undefined for links, sockets and what is gone. A FIFO does not block. */
export function openEntry<T>(folder: Folder, name: string, act: (fd: number, stat: fs.Stats) => T): T | undefined {
  const fd = tryOpen(inside(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, NOT_OPENED);
  if (fd === undefined) return undefined;
  try {
    return act(fd, fs.fstatSync(fd));
  } finally {
    fs.closeSync(fd);
  }
}

/** As openEntry, for who reads it later: the caller closes it. */
export function takeEntry(folder: Folder, name: string): { fd: number; stat: fs.Stats } | undefined {
  const fd = tryOpen(inside(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, [...NOT_OPENED, 'EACCES']);
  return fd === undefined ? undefined : { fd, stat: fs.fstatSync(fd) };
}

/** Where the link of this name leads, as it is written there. Undefined when it is none any more. */
export function readLink(folder: Folder, name: string): string | undefined {
  try {
    return fs.readlinkSync(inside(folder, name));
  } catch {
    return undefined;
  }
}

/** Makes a file for its owner alone. False, and nothing happens, when there is anything of that name: a dangling link as well. */
export function createEntry(folder: Folder, name: string, content: string | Uint8Array): boolean {
  const fd = tryOpen(inside(folder, name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, ['EEXIST', 'ELOOP']);
  if (fd === undefined) return false;
  try {
    fs.writeFileSync(fd, content);
  } finally {
    fs.closeSync(fd);
  }
  return true;
}

/** Removes a file, or a link and not what it leads to. False when there is none, or a folder. */
export function removeEntry(folder: Folder, name: string): boolean {
  try {
    fs.unlinkSync(inside(folder, name));
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && /^(ENOENT|EISDIR|EPERM)$/.test(String(error.code))) return false;
    throw error;
  }
}
