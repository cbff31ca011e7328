// The journal of the group's memory files: what changed is handed over to the host, and what the host brings back is written. Files are looked at
// by their times and sizes first; only what changed is read. Never throws and never waits: the work goes on whatever becomes of it.
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describeError } from '../../../src/core/errors.js';
import {
  MAX_MEMORY_CHANGES,
  MAX_MEMORY_FILE_BYTES,
  MAX_MEMORY_FILES,
  MEMORY_PATH,
  type MemoryChange,
  memoryMark,
  type RunSpec,
  type WorkLine,
} from '../../../src/wire.js';
import type { Host } from './host.js';
import { readStart } from './plain-file.js';
import { head } from './text.js';

type Run = Pick<RunSpec, 'id' | 'group'>;
type Paths = Record<'workspace' | 'global', string>;

/** A file as it was found. `change` is there until the host has it. */
interface Found {
  sign: string;
  mark: string;
  /** Its first line that says something. */
  first: string;
  change?: MemoryChange | undefined;
}

const MAX_DEPTH = 8;
/** Read at one look; the rest is for the next one. */
const MAX_READ_BYTES = 8 * 1024 * 1024;
const BATCH_BYTES = 256 * 1024;
const FIRST_CHARS = 100;
const CHANGED = 'it was changed since, and stays as it is; look at what it is now, and ask again';

const markOf = (text: string): string =>
  memoryMark(createHash('sha256').update(text).digest('hex'), Buffer.byteLength(text));

export type Journal = ReturnType<typeof createJournal>;

export function createJournal({
  host,
  paths,
}: {
  host: Pick<Host, 'memory' | 'knownMemory' | 'restored'>;
  paths: Paths;
}) {
  let seen = new Map<string, Found>();
  /** The marks of what the host has. */
  let told: Map<string, string> | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let working = 0;

  const later = (work: () => Promise<unknown>): Promise<unknown> => {
    queue = queue.then(work).catch((error) => console.error('the journal of memory files', error));
    return queue;
  };

  function look({ group }: Run): { isWhole: boolean } {
    const { found, isWhole } = findMemory(paths, group.isMain, seen);
    seen = found;
    return { isWhole };
  }

  async function tell(run: Run, outside: boolean, found: Map<string, Found>, isWhole: boolean): Promise<void> {
    told ??= new Map((await host.knownMemory()).map((one) => [one.path, one.mark]));
    const known = told;
    const changes = [...found].flatMap(([name, { mark, change }]) =>
      change && known.get(name) !== mark ? [change] : [],
    );
    const isGone = (name: string) => isWhole && !found.has(name) && (run.group.isMain || !name.startsWith('global/'));
    for (const name of known.keys()) if (isGone(name)) changes.push({ path: name, state: 'deleted' });
    for (const files of batchesOf(changes)) {
      await host.memory({ runId: run.id, outside, files });
      for (const { path: name, state } of files) {
        if (state === 'deleted') known.delete(name);
        else known.set(name, found.get(name)?.mark ?? '');
      }
    }
    for (const one of found.values()) one.change = undefined;
  }

  /** What stands there and is neither what the host has nor what is to come. */
  function unknownThere(name: string, now: string | null, text: string | null): MemoryChange | undefined {
    const state = { isWhole: true, left: MAX_READ_BYTES };
    const there = lookAt(placeOf(paths, name), name, { seen: undefined, state });
    const isKnown = there?.mark === now || (text !== null && there?.mark === markOf(text));
    return isKnown ? undefined : there?.change;
  }

  function handOver(run: Run, outside: boolean): Promise<unknown> {
    const { isWhole } = look(run);
    const found = seen;
    return later(() => tell(run, outside, found, isWhole));
  }

  return {
    /** A run begins: what changed since the last one ended, nobody here did. */
    begin(run: Run): void {
      working += 1;
      // What another run is doing just now, it hands over itself.
      if (working === 1) void handOver(run, true);
      else look(run);
    },
    /** What the run changed so far; resolves when the host has it, or cannot take it. */
    handOver: (run: Run) => handOver(run, false),
    end(run: Run): Promise<unknown> {
      working -= 1;
      return handOver(run, false);
    },
    /** The files below memory/ by name, each with its first line, as they were at the last look. */
    index: () =>
      [...seen].flatMap(([name, { first }]) => (name.startsWith('memory/') ? [{ name, first }] : [])).sort(byName),
    /** Writes a file as the host has it from before, and says whether it did. */
    restore({ id, path: name, text, now }: Omit<Extract<WorkLine, { type: 'restore' }>, 'type'>): Promise<unknown> {
      const there = MEMORY_PATH.test(name) ? unknownThere(name, now, text) : undefined;
      const problem = there ? CHANGED : bringBack(paths, name, text);
      // It is handed over again: what was written may not be what the journal has.
      told?.delete(name);
      // What a run did, it hands over as its own.
      const isOfRun = working > 0 || seen.get(name)?.change !== undefined;
      const found = there && !isOfRun ? { found: there } : {};
      const answer = host.restored({ id, ...found, ...(problem !== undefined && { problem: head(problem, 500) }) });
      return answer.catch((error) => console.error('what was brought back is not told', error));
    },
  };
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

function batchesOf(changes: MemoryChange[]): MemoryChange[][] {
  const batches: MemoryChange[][] = [];
  let left = 0;
  for (const change of changes) {
    const bytes = change.state === 'kept' ? Buffer.byteLength(change.text) : 0;
    const last = batches.at(-1);
    if (last && last.length < MAX_MEMORY_CHANGES && bytes <= left) last.push(change);
    else {
      batches.push([change]);
      left = BATCH_BYTES;
    }
    left -= bytes;
  }
  return batches;
}

/** The memory files that are there. `isWhole`: what is not among them is not there. */
function findMemory(paths: Paths, isMain: boolean, seen: ReadonlyMap<string, Found>) {
  const found = new Map<string, Found>();
  const state = { isWhole: true, left: MAX_READ_BYTES };
  const names = ['CLAUDE.md', ...(isMain ? ['global/CLAUDE.md'] : []), ...namesBelow(paths, state)];
  for (const name of names) {
    const one = lookAt(placeOf(paths, name), name, { seen: seen.get(name), state });
    if (one) found.set(name, one);
  }
  return { found, isWhole: state.isWhole };
}

const placeOf = ({ workspace, global }: Paths, name: string): string =>
  name.startsWith('global/') ? path.join(global, 'CLAUDE.md') : path.join(workspace, name);

/** Names of plain files below memory/. */
function namesBelow({ workspace }: Paths, state: { isWhole: boolean }): string[] {
  const names: string[] = [];
  let left = MAX_MEMORY_FILES;
  const walk = (folder: string, depth: number): void => {
    const dir = fs.opendirSync(path.join(workspace, folder));
    try {
      for (let entry = dir.readSync(); entry; entry = dir.readSync()) {
        const name = `${folder}/${entry.name}`;
        left -= 1;
        if (left < 0 || (entry.isDirectory() && depth === MAX_DEPTH)) state.isWhole = false;
        if (left < 0) return;
        if (!MEMORY_PATH.test(name) || name.length > 300) continue;
        if (entry.isFile()) names.push(name);
        else if (entry.isDirectory() && depth < MAX_DEPTH) attempt(state, () => walk(name, depth + 1));
      }
    } finally {
      dir.closeSync();
    }
  };
  const stat = fs.lstatSync(path.join(workspace, 'memory'), { throwIfNoEntry: false });
  if (stat?.isDirectory()) attempt(state, () => walk('memory', 1));
  return names;
}

/** What may go away, or be another thing, while it is looked at. */
function attempt(state: { isWhole: boolean }, work: () => void): void {
  try {
    work();
  } catch {
    state.isWhole = false;
  }
}

interface Look {
  seen: Found | undefined;
  state: { isWhole: boolean; left: number };
}

/** Undefined when no plain file is there. A file that cannot be read now counts as unchanged. */
function lookAt(file: string, name: string, { seen, state }: Look): Found | undefined {
  try {
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (!stat?.isFile()) return undefined;
    const sign = `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
    if (seen?.sign === sign) return seen;
    const isLarge = stat.size > MAX_MEMORY_FILE_BYTES;
    const most = isLarge ? 4_096 : MAX_MEMORY_FILE_BYTES + 1;
    if (state.left < most) return seen;
    const bytes = readStart(file, most);
    state.left -= bytes.length;
    const isText = isUtf8(isLarge ? Buffer.alloc(0) : bytes) && !bytes.includes(0);
    const text = bytes.toString();
    const line = text.split('\n', 50).find((one) => /[\p{L}\p{N}]/u.test(one)) ?? '';
    const first = isText ? head(line.replace(/^[\s#>*-]+/, '').trim(), FIRST_CHARS) : '';
    if (!isText || isLarge || bytes.length > MAX_MEMORY_FILE_BYTES)
      return {
        sign,
        first,
        mark: memoryMark(null, stat.size),
        change: { path: name, state: 'left out', bytes: stat.size },
      };
    return { sign, first, mark: markOf(text), change: { path: name, state: 'kept', text } };
  } catch {
    state.isWhole = false;
    return seen;
  }
}

/** Why it could not be. A link in the place of the file is replaced, not followed; one in the place of a folder is refused. */
function bringBack(paths: Paths, name: string, text: string | null): string | undefined {
  try {
    if (!MEMORY_PATH.test(name)) return 'this is no memory file';
    const file = placeOf(paths, name);
    const folder = path.dirname(file);
    if (text !== null) fs.mkdirSync(folder, { recursive: true });
    if (!isOwn(folder, name)) return text === null ? undefined : 'a link stands in the place of its folder';
    // Of folders that stand in its place only empty ones go: what else is in them is no memory file.
    if (fs.lstatSync(file, { throwIfNoEntry: false })?.isDirectory()) {
      if (text === null) return undefined;
      removeEmpty(file);
    }
    if (text === null) {
      fs.rmSync(file, { force: true });
      return undefined;
    }
    // The name of the file may be as long as a name can be.
    const draft = path.join(folder, '.restored');
    fs.rmSync(draft, { force: true });
    fs.writeFileSync(draft, text, { flag: 'wx' });
    fs.renameSync(draft, file);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** There, and reached through no link below the group's own folder. */
function isOwn(folder: string, name: string): boolean {
  const depth = name.startsWith('global/') ? 0 : name.split('/').length - 1;
  const top = path.join(folder, ...Array.from({ length: depth }, () => '..'));
  return (
    fs.existsSync(`${folder}/.`) &&
    fs.realpathSync(folder) === path.join(fs.realpathSync(top), path.relative(top, folder))
  );
}

/** Throws when there is anything but folders in it. */
function removeEmpty(folder: string): void {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeEmpty(path.join(folder, entry.name));
  fs.rmdirSync(folder);
}
