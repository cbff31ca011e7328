import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createEntry, type Folder, inFolder, listFolder, openEntry, statEntry } from './files.js';

const { platform } = process;
let root: string;
let other: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pinch-root-'));
  other = mkdtempSync(join(tmpdir(), 'pinch-other-'));
  writeFileSync(join(other, 'secret'), 'secret');
  mkdirSync(join(root, 'a/b'), { recursive: true });
  writeFileSync(join(root, 'a/b/note'), 'note');
});
/** Of a plain file. */
const textOf = (folder: Folder, name: string) =>
  openEntry(folder, name, (fd, stat) => (stat.isFile() ? readFileSync(fd, 'utf8') : undefined));

afterEach(() => {
  Object.defineProperty(process, 'platform', { value: platform });
  for (const folder of [root, other]) rmSync(folder, { recursive: true, force: true });
});

// The way without /proc works on Linux too, so that it can be tried here.
describe.each(['linux', 'darwin'])('as on %s', (name) => {
  beforeEach(() => {
    if (name === 'linux' && platform !== 'linux') return console.info('not Linux: there is no /proc');
    Object.defineProperty(process, 'platform', { value: name });
    return undefined;
  });

  test('a folder and its files are reached; afterwards nothing is open and the process is where it was', () => {
    const [before, open] = [process.cwd(), openDescriptors()];
    expect(inFolder(root, 'a/b', (folder) => listFolder(folder, 10).map((entry) => entry.name))).toEqual(['note']);
    expect(inFolder(root, 'a/b', (folder) => textOf(folder, 'note'))).toBe('note');
    expect(() => inFolder(root, 'a/c', () => undefined)).toThrow('ENOENT');
    expect(() =>
      inFolder(root, 'a/b', () => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
    expect([process.cwd(), openDescriptors()]).toEqual([before, open]);
  });

  test('the root may be a link, nothing below it', () => {
    symlinkSync(root, join(other, 'root'));
    expect(inFolder(join(other, 'root'), 'a', (folder) => listFolder(folder, 10))).toHaveLength(1);
    symlinkSync(other, join(root, 'to'));
    symlinkSync(join(root, 'a'), join(root, 'inside'));
    for (const path of ['to', 'inside', 'inside/b', 'a/b/note', 'a/b/note/x'])
      expect(() => inFolder(root, path, () => undefined)).toThrow('it is no folder, or a link to one');
    for (const path of ['..', 'a/../..', '.', 'a/./b'])
      expect(() => inFolder(root, path, () => undefined)).toThrow('not a name');
    expect(() => inFolder(root, 'a', (folder) => textOf(folder, '../a/b/note'))).toThrow('not a name');
  });

  test('a folder that is exchanged while it is open stays the one that was opened', () => {
    const seen = inFolder(root, 'a/b', (folder) => {
      renameSync(join(root, 'a'), join(root, 'moved'));
      mkdirSync(join(root, 'a'));
      symlinkSync(other, join(root, 'a/b'));
      createEntry(folder, 'made', 'made');
      return [
        statEntry(folder, 'secret'),
        ...listFolder(folder, 10)
          .map((entry) => entry.name)
          .sort(),
      ];
    });
    expect(seen).toEqual([undefined, 'made', 'note']);
    expect(readFileSync(join(root, 'moved/b/made'), 'utf8')).toBe('made');
    expect(readdirSync(other)).toEqual(['secret']);
  });

  test('missing folders are made, not behind a link', () => {
    inFolder(root, 'a/new/newer', (folder) => createEntry(folder, 'x', ''), { make: true });
    expect(existsSync(join(root, 'a/new/newer/x'))).toBe(true);
    symlinkSync(other, join(root, 'to'));
    symlinkSync(join(other, 'nowhere'), join(root, 'dangling'));
    for (const path of ['to/new', 'dangling', 'dangling/new'])
      expect(() => inFolder(root, path, () => undefined, { make: true })).toThrow('it is no folder, or a link to one');
    expect(readdirSync(other)).toEqual(['secret']);
  });

  test('a new file takes no name that is taken, also not by a link to nowhere', () => {
    symlinkSync(join(other, 'nowhere'), join(root, 'a/dangling'));
    inFolder(root, 'a', (folder) => {
      expect(['dangling', 'b', 'new', 'new'].map((entry) => createEntry(folder, entry, 'x'))).toEqual([
        false,
        false,
        true,
        false,
      ]);
    });
    expect(readdirSync(other)).toEqual(['secret']);
  });

  test('a FIFO and a device do not block, a link and a socket are not opened', () => {
    spawnSync('mkfifo', [join(root, 'a/pipe')]);
    spawnSync(process.execPath, [
      '-e',
      `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`,
      join(root, 'a/socket'),
    ]);
    symlinkSync('/dev/zero', join(root, 'a/zero'));
    symlinkSync(join(other, 'secret'), join(root, 'a/link'));
    inFolder(root, 'a', (folder) => {
      for (const entry of ['pipe', 'socket', 'zero', 'link', 'b', 'gone'])
        expect([entry, textOf(folder, entry)]).toEqual([entry, undefined]);
      expect(openEntry(folder, 'b', (_, stat) => stat.isDirectory())).toBe(true);
      expect(statEntry(folder, 'link')?.isSymbolicLink()).toBe(true);
    });
    // A device itself, not a link to it.
    expect(inFolder('/dev', '', (folder) => openEntry(folder, 'zero', (_, stat) => stat.isCharacterDevice()))).toBe(
      true,
    );
  });

  test('of a folder with too many entries only so many are listed', () => {
    for (let n = 0; n < 50; n += 1) writeFileSync(join(root, 'a', `${n}`), '');
    expect(inFolder(root, 'a', (folder) => listFolder(folder, 7))).toHaveLength(7);
  });
});

const openDescriptors = () => (platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
