// `pinch backup <file>`: the whole home in one file, while Pinch works or not. What agents can write is read without following any link.
import { closeSync, createReadStream, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import Database from 'better-sqlite3';
import { z } from 'zod';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { type Folder, inFolder, listFolder, readLink, statEntry, takeEntry } from '../core/files.js';
import { type Entry, readArchive, writeArchive } from './archive.js';
import { ABOUT, belongs, DATABASE, END, SETTINGS } from './contents.js';
import { writeFileAndTest } from './database-file.js';
import { noteBackup } from './last.js';

/** A folder with more is cut there, and told. */
const MAX_ENTRIES = 1_000_000;
/** Of the database, while it is put into the file. */
const COPY = 'restoring-copy-';
const DAY_MS = 86_400_000;
/** What the header of an entry can say, in seconds. */
const LAST_MTIME = 8 ** 11 - 1;
/** A larger file of which the disk holds less than a tenth is one of holes: written out it fills the disk. */
const HOLES_BYTES = 1024 ** 3;

export const FORMAT = 1;
export const about = z.object({ format: z.number(), at: z.number() });
/** Files and links in it. */
export const end = z.object({ entries: z.number() });

export interface Backup {
  entries: number;
  bytes: number;
  /** Paths that could not be read: agents can make files that nobody may open. */
  left: string[];
}

interface Task {
  config: Pick<Config, 'home' | 'dataDir' | 'groupsDir'>;
  file: string;
  passphrase?: string | undefined;
  now: number;
  /** Called now and then with how many files there are so far. */
  onProgress(entries: number): void;
}

/** Writes it beside `file`, reads it again whole, and only then gives it its name. Throws PinchError. */
export async function makeBackup(task: Task): Promise<Backup> {
  const { config, file, passphrase } = task;
  if (existsSync(file)) throw new PinchError('exists', `${file} is there already`, { hint: 'name a new file' });
  if (!existsSync(dirname(file)))
    throw new PinchError('no_folder', `there is no folder ${dirname(file)}`, {
      hint: 'make it first, or name another',
    });
  if (!existsSync(join(config.dataDir, 'pinch.db')))
    throw new PinchError('no_home', `there is nothing to back up in ${config.home}`, { hint: 'is PINCH_HOME right?' });
  const part = `${file}.part`;
  dropCopies(config.dataDir, task.now);
  const own = mkdtempSync(join(config.dataDir, COPY));
  rmSync(part, { force: true });
  const made: Backup = { entries: 0, bytes: 0, left: [] };
  try {
    await copyDatabase(join(config.dataDir, 'pinch.db'), join(own, 'pinch.db'));
    await writeArchive(part, everything(task, join(own, 'pinch.db'), made), passphrase);
    await verify(part, passphrase, made.entries, join(own, 'verified.db'));
    made.bytes = statSync(part).size;
    await rename(part, file);
    noteBackup(config, { at: task.now, file, bytes: made.bytes });
    return made;
  } finally {
    rmSync(part, { force: true });
    rmSync(own, { recursive: true, force: true });
  }
}

/** What backups that were killed have left. */
function dropCopies(dataDir: string, now: number): void {
  for (const name of readdirSync(dataDir)) {
    const path = join(dataDir, name);
    const isOver = name.startsWith(COPY) && now - statSync(path).mtimeMs > DAY_MS;
    if (isOver) rmSync(path, { recursive: true, force: true });
  }
}

async function copyDatabase(from: string, to: string): Promise<void> {
  const db = new Database(from, { readonly: true });
  try {
    await db.backup(to);
  } finally {
    db.close();
  }
}

async function* everything({ config, now, onProgress }: Task, database: string, made: Backup): AsyncGenerator<Entry> {
  yield small(ABOUT, { format: FORMAT, at: now });
  yield whole(DATABASE, database);
  made.entries += 1;
  for (const name of SETTINGS) {
    const path = join(config.home, name);
    if (!existsSync(path)) continue;
    made.entries += 1;
    yield whole(name, path);
  }
  for (const [top, root] of [
    ['groups', config.groupsDir],
    ['data', config.dataDir],
  ] as const) {
    for await (const entry of below(root, top, made.left)) {
      yield entry;
      if (entry.header.type !== 'directory') made.entries += 1;
      if (made.entries % 500 === 0) onProgress(made.entries);
    }
  }
  yield small(END, { entries: made.entries });
}

function small(name: string, value: object): Entry {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  return { header: { name, size: bytes.length, mode: 0o600, type: 'file' }, body: Readable.from([bytes]) };
}

/** A file of the owner's. */
const whole = (name: string, path: string): Entry => ({
  header: { name, size: statSync(path).size, mode: 0o600, type: 'file' },
  body: createReadStream(path),
});

/** All that belongs to it below a folder that containers may change meanwhile; what vanishes is left out. */
async function* below(root: string, top: string, left: string[]): AsyncGenerator<Entry> {
  const folders = [''];
  for (let path = folders.pop(); path !== undefined; path = folders.pop()) {
    const within = path === '' ? '' : `${path}/`;
    for (const name of list(root, path, left)) {
      const inArchive = `${top}/${within}${name}`;
      if (!belongs(inArchive)) continue;
      const found = look(root, path, name);
      if (found?.header?.type === 'directory') folders.push(`${within}${name}`);
      if (!found) left.push(inArchive);
      else if (found.header) yield entryOf(inArchive, found.header, found.fd);
    }
  }
}

function list(root: string, path: string, left: string[]): string[] {
  try {
    return inFolder(root, path, (folder) => listFolder(folder, MAX_ENTRIES).map(({ name }) => name));
  } catch {
    left.push(`${path}/`);
    return [];
  }
}

type Header = Omit<Entry['header'], 'name'>;

/** Without a header: a socket or a pipe, which nobody could keep. `fd`: an open file, for whoever reads it to close. */
interface Found {
  header?: Header;
  fd?: number;
}

/** Undefined when it cannot be read. */
function look(root: string, path: string, name: string): Found | undefined {
  try {
    return inFolder(root, path, (folder) => lookAt(folder, name));
  } catch {
    return undefined;
  }
}

function lookAt(folder: Folder, name: string): Found | undefined {
  const stat = statEntry(folder, name);
  if (!stat) return undefined;
  const mtime = new Date(Math.min(Math.max(0, stat.mtimeMs), LAST_MTIME * 1_000));
  const mode = stat.mode & 0o777;
  if (stat.isDirectory()) return { header: { size: 0, mode, mtime, type: 'directory' } };
  if (stat.isSymbolicLink()) {
    const linkname = readLink(folder, name);
    return linkname === undefined ? undefined : { header: { size: 0, mode, mtime, type: 'symlink', linkname } };
  }
  if (!stat.isFile()) return {};
  const taken = takeEntry(folder, name);
  if (!taken) return undefined;
  const { size, blocks } = taken.stat;
  if (size > HOLES_BYTES && blocks * 5_120 < size) {
    closeSync(taken.fd);
    return undefined;
  }
  if (taken.stat.isFile()) return { fd: taken.fd, header: { size, mode, mtime, type: 'file' } };
  closeSync(taken.fd);
  return {};
}

function entryOf(path: string, header: Header, fd: number | undefined): Entry {
  const name = header.type === 'directory' ? `${path}/` : path;
  return { header: { ...header, name }, body: Readable.from(fd === undefined ? [] : exactly(fd, header.size)) };
}

/** As many bytes as it had: what is added meanwhile is left out, what is cut off meanwhile becomes zeros. */
async function* exactly(fd: number, size: number): AsyncGenerator<Uint8Array> {
  if (size === 0) return closeSync(fd);
  let missing = size;
  for await (const chunk of createReadStream('', { fd, start: 0, end: size - 1 })) {
    missing -= chunk.length;
    yield chunk;
  }
  for (; missing > 0; missing -= Math.min(missing, 65_536)) yield Buffer.alloc(Math.min(missing, 65_536));
}

/** Reads all of what was written, and the database in it. */
async function verify(file: string, passphrase: string | undefined, entries: number, database: string): Promise<void> {
  let [read, isWhole] = [0, false];
  await readArchive(
    file,
    async ({ header, body }) => {
      if (header.name === DATABASE) await writeFileAndTest(body, database);
      else for await (const chunk of body) void chunk;
      if (header.name === END) isWhole = true;
      else if (header.type !== 'directory' && header.name !== ABOUT) read += 1;
    },
    passphrase,
  );
  if (!isWhole || read !== entries)
    throw new PinchError('backup_damaged', `of ${entries} files only ${read} can be read again`, {
      hint: 'is that disk full or broken? Try another place',
    });
}
