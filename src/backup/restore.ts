// `pinch restore <file>`: a home from a backup, while Pinch is stopped. Everything is written and looked at beside the home first; then it is moved
// into it piece by piece, and a restore that was interrupted there is finished by the next one. What was in the home is moved aside, not removed.
import {
  cpSync,
  createWriteStream,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { lockHome } from '../sandbox/home.js';
import { type Entry, noRoom, readArchive } from './archive.js';
import { about, end, FORMAT } from './backup.js';
import { ABOUT, DATABASE, END, isSafe, SETTINGS } from './contents.js';
import { writeFileAndTest } from './database-file.js';
import { type SetAside, setAsideWhatWaited } from './restored.js';
import type { Store } from './store.js';
import { stagedFolder } from './unfinished.js';

type Home = Pick<Config, 'home' | 'dataDir' | 'groupsDir'>;

interface Task {
  config: Config;
  file: string;
  passphrase?: string | undefined;
  /** Into a home that has something in it. */
  force: boolean;
  clock: Clock;
  openStore(file: string): Promise<Store>;
  onProgress(entries: number): void;
}

export interface Restored {
  at: number;
  entries: number;
  aside: SetAside;
  /** Where what was there is now. */
  before?: string | undefined;
}

/** Throws PinchError: `already_running`, `home_not_empty`, `backup_damaged`. */
export async function restoreHome(task: Task): Promise<Restored> {
  const { config, force, clock } = task;
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const lock = lockHome(config);
  try {
    const isUnfinished = existsSync(stagedFolder(config));
    if (!force && !isUnfinished && isUsed(config))
      throw new PinchError('home_not_empty', `there is a Pinch in ${config.home} already`, {
        hint: 'name another PINCH_HOME, or add --force: what is there is moved aside, not removed',
      });
    const part = join(config.dataDir, 'restoring.part');
    rmSync(part, { recursive: true, force: true });
    const { at, entries, aside } = await prepared(task, part).catch((error: unknown) => {
      // It may be what fills the disk.
      rmSync(part, { recursive: true, force: true });
      throw error;
    });
    rmSync(stagedFolder(config), { recursive: true, force: true });
    renameSync(part, stagedFolder(config));
    const before = join(
      config.dataDir,
      `before-restore-${new Date(clock.now()).toISOString().replaceAll(/[:.]/g, '-')}`,
    );
    const moved = moveIn(config, before);
    rmSync(stagedFolder(config), { recursive: true });
    return { at, entries, aside, before: moved ? before : undefined };
  } finally {
    lock.release();
  }
}

/** All of it below `part`, ready to be used. */
async function prepared(task: Task, part: string) {
  const { at, entries } = await unpack(task, part);
  const store = await task.openStore(join(part, DATABASE));
  const aside = setAsideWhatWaited(store, task.clock, at);
  store.close();
  return { at, entries, aside };
}

/** Anything but what comes with the checkout. */
function isUsed({ dataDir, groupsDir }: Home): boolean {
  if (existsSync(join(dataDir, 'pinch.db'))) return true;
  const groups = existsSync(groupsDir) ? readdirSync(groupsDir) : [];
  return groups.some((name) => namesIn(join(groupsDir, name)).some((inside) => inside !== 'CLAUDE.template.md'));
}

/** Of a folder; none of anything else, nor of a link to one: what it leads to is not ours to move. */
const namesIn = (path: string): string[] =>
  lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(path) : [];

/** Writes all of it below `part`, and finds out whether it is whole. */
async function unpack({ file, passphrase, onProgress }: Task, part: string): Promise<{ at: number; entries: number }> {
  const links: { name: string; linkname: string }[] = [];
  let [entries, at, promised, hasDatabase] = [0, 0, -1, false];
  const take = async (entry: Entry) => {
    const name = entry.header.name.replace(/\/$/, '');
    if (name === ABOUT) at = timeOf(await jsonOf(entry.body));
    else if (name === END) promised = end.parse(await jsonOf(entry.body)).entries;
    else {
      if (!isSafe(name, entry.header.type))
        throw new Error(`it has a file that no backup has: ${JSON.stringify(name)}`);
      const { type, linkname = '' } = entry.header;
      await writeOne(entry, join(part, name), name === DATABASE);
      hasDatabase ||= name === DATABASE;
      if (type === 'symlink') links.push({ name, linkname });
      if (type !== 'directory') entries += 1;
      if (entries % 500 === 0) onProgress(entries);
    }
  };
  await readArchive(file, take, passphrase);
  if (at === 0 || promised !== entries || !hasDatabase)
    throw new PinchError('backup_damaged', `${file} is no whole backup of Pinch`, {
      hint: 'take another one: nothing has been changed',
    });
  // Last of all, so that nothing was written through one.
  for (const { name, linkname } of links) symlinkSync(linkname, join(part, name));
  return { at, entries };
}

/** When it was made. Throws PinchError for one that only a newer Pinch can read. */
function timeOf(found: unknown): number {
  const { format, at } = about.parse(found);
  if (format > FORMAT)
    throw new PinchError('backup_too_new', 'this backup was made by a newer Pinch', {
      hint: 'update this checkout, then try again. Nothing has been changed',
    });
  return at;
}

/** Links wait until all files are there. */
async function writeOne({ header, body }: Entry, path: string, isDatabase: boolean): Promise<void> {
  const { type, mode = 0o600, mtime, size } = header;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { bavail, bsize } = statfsSync(dirname(path));
  if (size > bavail * bsize)
    throw noRoom(`the disk has no room for what is in it: ${Math.ceil(size / 1024 ** 2)} MiB more`);
  if (isDatabase) return writeFileAndTest(body, path);
  if (type !== 'file') {
    for await (const chunk of body) void chunk;
    if (type === 'directory') mkdirSync(path, { recursive: true, mode: 0o700 | mode });
    return;
  }
  await pipeline(body, createWriteStream(path, { flags: 'wx', mode }));
  if (mtime) utimesSync(path, mtime, mtime);
}

async function jsonOf(body: Entry['body']): Promise<unknown> {
  let text = '';
  for await (const chunk of body) text += chunk;
  return JSON.parse(text);
}

/** Moves what was unpacked to its places; what is there goes to `before`. The database comes last. Returns whether anything was there. */
function moveIn(config: Home, before: string): boolean {
  const staged = stagedFolder(config);
  let hadSome = false;
  const rename = (from: string, to: string) => {
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    moveTo(from, to);
  };
  const putAside = (there: string, path: string) => {
    if (!lstatSync(there, { throwIfNoEntry: false })) return;
    rename(there, join(before, path));
    hadSome = true;
  };
  const move = (path: string, to: string) => {
    putAside(to, path);
    rename(join(staged, path), to);
  };
  for (const name of SETTINGS) if (existsSync(join(staged, name))) move(name, join(config.home, name));
  for (const group of namesIn(join(staged, 'groups'))) {
    const path = join('groups', group);
    // A link, or a file that some program put beside the groups.
    if (!lstatSync(join(staged, path)).isDirectory()) move(path, join(config.groupsDir, group));
    for (const name of namesIn(join(staged, path))) move(join(path, name), join(config.groupsDir, group, name));
  }
  // They belong to the database that goes.
  for (const name of ['pinch.db-wal', 'pinch.db-shm']) putAside(join(config.dataDir, name), join('data', name));
  const data = namesIn(join(staged, 'data')).sort((a, b) => Number(a === 'pinch.db') - Number(b === 'pinch.db'));
  for (const name of data) move(join('data', name), join(config.dataDir, name));
  return hadSome;
}

/** Also to another disk, where one has a part of the home on it. */
function moveTo(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error;
    cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    rmSync(from, { recursive: true });
  }
}
