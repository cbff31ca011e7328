// The folders of a dry run, in data/dry/<run>: a copy of its group's folder, in which it may write, and sessions of its own. The copy is made
// through core/files.ts, so no link is followed, and kept for the run's next attempt. What it changed there is told afterwards; then all of it
// goes. Knows nothing about containers and rows.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Config } from '../core/config.js';
import type { BaseDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';
import { inFolder, listFolder, openEntry, readLink } from '../core/files.js';
import { handOver, ownFolder } from './home.js';
import type { Mount } from './sandbox.js';

/** What is copied at most; of a larger folder the run can read all, and write nothing. */
const MOST = { files: 10_000, bytes: 128 * 1024 * 1024, depth: 40 };
/** Entries of the copy that are looked at afterwards, and changes that are told. */
const MAX_SEEN = 12_000;
const MAX_CHANGES = 200;
const MAX_SHOWN_BYTES = 2_000;
/** A large file is read in pieces: nothing else would get its turn meanwhile. */
const PIECE_BYTES = 1024 * 1024;
/** So many small ones go together, and a larger one alone. */
const YIELD_EVERY = 20;
const LARGE_BYTES = 64 * 1024;

/** Path below the workspace, and a digest of the file or where the link leads. */
const manifest = z.array(z.tuple([z.string(), z.string()]));

export interface FileChange {
  path: string;
  how: 'new' | 'changed' | 'removed';
  bytes?: number;
  /** The beginning of a new or changed text. */
  text?: string;
}

export type DryFolders = ReturnType<typeof createDryFolders>;
type DryFolderDeps = Pick<Config, 'dataDir' | 'groupsDir'> & Pick<BaseDeps, 'log'>;

export function createDryFolders({ dataDir, groupsDir, log }: DryFolderDeps) {
  const root = join(dataDir, 'dry');
  const placeOf = (runId: number): string => join(root, `${runId}`);
  return {
    /** What the container of the run sees in the place of its group's folder and sessions. Throws PinchError `group_folder`. */
    async open(runId: number, folder: string): Promise<Mount[]> {
      const place = placeOf(runId);
      const own = ownFolder(groupsDir, folder);
      const isKept = fs.existsSync(join(place, 'manifest.json'));
      const isWhole = isKept || (await copyWorkspace(own, place, (error) => log.info({ runId, error }, NOT_COPIED)));
      return [
        { source: isWhole ? join(place, 'workspace') : own, target: '/workspace', readOnly: !isWhole },
        { source: ownFolder(root, `${runId}/sessions`), target: '/sessions', readOnly: false },
      ];
    },
    /** What the run has written since its copy was made. Its container must be gone. Nothing where there is no copy. */
    async changes(runId: number): Promise<FileChange[]> {
      const place = placeOf(runId);
      const text = await readFile(join(place, 'manifest.json'), 'utf8').catch(() => undefined);
      return text === undefined ? [] : compare(join(place, 'workspace'), new Map(manifest.parse(JSON.parse(text))));
    },
    /** Removes what is left of runs that are over: their containers must be gone. Harmless when there is nothing. Rejects when something stays. */
    async sweep(isOpen: (runId: number) => boolean): Promise<void> {
      for (const name of await readdir(root).catch(() => []))
        if (!/^\d+$/.test(name) || !isOpen(Number(name))) await removeTree(join(root, name));
    },
  };
}

const NOT_COPIED = 'the folder of a dry run is read-only, for it could not be copied';

/** False, and nothing stays, when the folder is larger than what is copied, or cannot be copied. */
async function copyWorkspace(from: string, place: string, onFailure: (why: string) => void): Promise<boolean> {
  // A copy that was broken off is made anew.
  await removeTree(place);
  try {
    const to = join(place, 'workspace');
    await mkdir(to, { recursive: true, mode: 0o700 });
    inFolder(to, '', ({ fd }) => handOver(fd));
    const known = await copyInto(to, from);
    // Only now is it whole: the manifest is there at once or not at all.
    await writeFile(join(place, 'manifest.part'), JSON.stringify([...known]), { mode: 0o600 });
    await rename(join(place, 'manifest.part'), join(place, 'manifest.json'));
    return true;
  } catch (error) {
    await removeTree(place);
    await mkdir(place, { mode: 0o700 });
    onFailure(describeError(error));
    return false;
  }
}

/** Nobody else has `to` meanwhile. Throws what stands in the way. */
async function copyInto(to: string, from: string): Promise<Map<string, string>> {
  const known = new Map<string, string>();
  const links = new Map<string, string>();
  let bytes = 0;
  await walk(from, {
    folder: (path) => inFolder(to, path, ({ fd }) => handOver(fd), { make: true }),
    link: (path, target) => void links.set(path, target),
    piece(path, piece) {
      bytes += piece.length;
      if (bytes > MOST.bytes) throw tooLarge();
      append(join(to, path), piece, 0o600);
    },
    file: (path, { mode }) => append(join(to, path), Buffer.alloc(0), mode & 0o700),
    entry(path, { digest }) {
      known.set(path, digest);
      if (known.size > MOST.files) throw tooLarge();
    },
  });
  // At last, so that nothing is written through one.
  for (const [path, target] of links) fs.symlinkSync(target, join(to, path));
  return known;
}

function append(file: string, piece: Buffer, mode: number): void {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    fs.writeSync(fd, piece);
    fs.fchmodSync(fd, mode);
    handOver(fd);
  } finally {
    fs.closeSync(fd);
  }
}

const tooLarge = () => new Error('it is too large');

interface Seen {
  digest: string;
  bytes: number;
  mode: number;
}

/** What a walk tells, in its order; each may throw, which ends the walk. */
interface Visitor {
  /** A folder, before what is in it. */
  folder?(path: string): void;
  link?(path: string, target: string): void;
  /** A part of a file. */
  piece?(path: string, piece: Buffer): void;
  /** A file, when all of it was read. */
  file?(path: string, seen: Seen): void;
  /** Each file and link. */
  entry(path: string, seen: Pick<Seen, 'digest' | 'bytes'>): void;
}

/** Goes through a folder that may change at any moment. Throws when it is too large, and what the visitor throws. */
async function walk(root: string, visitor: Visitor): Promise<void> {
  const folders = [''];
  let steps = 0;
  for (const path of folders) {
    if (path.split('/').length > MOST.depth) throw tooLarge();
    for (const entry of inFolder(root, path, (folder) => listFolder(folder, MAX_SEEN + 1))) {
      steps += 1;
      if (steps > MAX_SEEN) throw tooLarge();
      if (steps % YIELD_EVERY === 0) await setImmediate();
      const below = path === '' ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) {
        visitor.folder?.(below);
        folders.push(below);
      } else if (entry.isSymbolicLink()) visitLink(root, { path, name: entry.name, below }, visitor);
      else if (entry.isFile()) await visitFile(root, { path, name: entry.name, below }, visitor);
    }
  }
}

interface Named {
  /** Of its folder. */
  path: string;
  name: string;
  below: string;
}

function visitLink(root: string, { path, name, below }: Named, visitor: Visitor): void {
  const target = inFolder(root, path, (folder) => readLink(folder, name));
  if (target === undefined) return;
  visitor.link?.(below, target);
  visitor.entry(below, { digest: `link ${target}`, bytes: 0 });
}

/** Each piece is read from the file of that name at that moment: what is exchanged meanwhile gives a copy of both, and nothing of any other place. */
async function visitFile(root: string, { path, name, below }: Named, visitor: Visitor): Promise<void> {
  const hash = createHash('sha256');
  let [bytes, mode] = [0, 0o600];
  for (;;) {
    const piece = inFolder(root, path, (folder) =>
      openEntry(folder, name, (fd, stat) => {
        if (!stat.isFile()) return undefined;
        mode = stat.mode;
        const buffer = Buffer.alloc(Math.min(PIECE_BYTES, Math.max(0, stat.size - bytes)));
        return buffer.subarray(0, fs.readSync(fd, buffer, 0, buffer.length, bytes));
      }),
    );
    if (piece === undefined) return;
    if (piece.length === 0) break;
    hash.update(piece);
    visitor.piece?.(below, piece);
    bytes += piece.length;
    if (bytes >= LARGE_BYTES) await setImmediate();
  }
  const seen = { digest: `${bytes} ${hash.digest('hex')}`, bytes, mode };
  visitor.file?.(below, seen);
  visitor.entry(below, seen);
}

async function compare(root: string, before: Map<string, string>): Promise<FileChange[]> {
  const changes: FileChange[] = [];
  const seen = new Set<string>();
  let beginning = Buffer.alloc(0);
  let bytesRead = 0;
  const looked = walk(root, {
    piece(_, piece) {
      bytesRead += piece.length;
      if (bytesRead > 2 * MOST.bytes) throw tooLarge();
      const left = MAX_SHOWN_BYTES - beginning.length;
      if (left > 0) beginning = Buffer.concat([beginning, piece.subarray(0, left)]);
    },
    entry(path, { digest, bytes }) {
      const text = beginning.toString();
      beginning = Buffer.alloc(0);
      seen.add(path);
      const was = before.get(path);
      if (was === digest || changes.length >= MAX_CHANGES) return;
      const shown = text !== '' && !text.includes('\0') ? { text } : {};
      changes.push({ path, how: was === undefined ? 'new' : 'changed', bytes, ...shown });
    },
  });
  const why = await looked.then(() => undefined, describeError);
  // What was not looked at is not known to be gone.
  if (why !== undefined) return [...changes, { path: `(not all was looked at: ${why})`, how: 'changed' }];
  const gone = [...before.keys()].filter((path) => !seen.has(path));
  return [...changes, ...gone.map((path) => ({ path, how: 'removed' as const }))].slice(0, MAX_CHANGES);
}

/** By a program of its own: a container may have made folders so deep, or so full, that it takes long. It follows no link. */
async function removeTree(place: string): Promise<void> {
  const run = promisify(execFile);
  const remove = () => run('rm', ['-rf', '--', place]);
  await remove().catch(async () => {
    // A folder that its own owner may not read.
    await run('chmod', ['-R', 'u+rwx', '--', place]).catch(() => undefined);
    await remove();
  });
}
