// Homes as people and agents leave them, and archives that no Pinch made: a backup is made of the one, and the other moves nothing of the machine.
import {
  closeSync,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { loadConfig } from '../core/config.js';
import { openStore } from '../store.js';
import { type Entry, isEncrypted, writeArchive } from './archive.js';
import { makeBackup } from './backup.js';
import { restoreHome } from './restore.js';

const NOW = Date.UTC(2026, 10, 21, 9);
const configOf = (home: string) => loadConfig({ PINCH_HOME: home }, home);
const newFolder = () => mkdtempSync(join(tmpdir(), 'pinch-odd-home-'));
const onProgress = () => undefined;

function newHome() {
  const config = configOf(newFolder());
  const workspace = join(config.groupsDir, 'main');
  mkdirSync(config.dataDir, { recursive: true });
  mkdirSync(workspace, { recursive: true });
  openStore(join(config.dataDir, 'pinch.db')).close();
  return { config, workspace };
}

async function backup(config: ReturnType<typeof configOf>) {
  const file = join(newFolder(), 'home.pinch');
  return { file, ...(await makeBackup({ config, file, now: NOW, onProgress })) };
}

const restore = (file: string, home = newFolder()) =>
  restoreHome({
    ...{ config: configOf(home), file, force: false, clock: createFakeClock(NOW), onProgress },
    openStore: async (path) => openStore(path),
  }).then(() => home);

const head = (name: string, text: string, size = text.length): Entry => ({
  header: { name, size, type: 'file' },
  body: Readable.from([Buffer.from(text)]),
});

/** An archive that begins as a backup does. */
async function archive(entries: Entry[], format = 1): Promise<string> {
  const file = join(newFolder(), 'made');
  async function* all() {
    yield head('backup.json', JSON.stringify({ format, at: NOW }));
    yield* entries;
  }
  await writeArchive(file, all());
  return file;
}

test('times before 1970 and after 2242, which agents can give files, are no end of all backups', async () => {
  const { config, workspace } = newHome();
  for (const [name, time] of [
    ['old', -315_619_200],
    ['new', 16_725_225_600],
  ] as const) {
    writeFileSync(join(workspace, name), name);
    utimesSync(join(workspace, name), new Date(time * 1_000), new Date(time * 1_000));
  }
  const home = await restore((await backup(config)).file);
  expect(readdirSync(join(home, 'groups', 'main'))).toEqual(['new', 'old']);
  expect(lstatSync(join(home, 'groups', 'main', 'old')).mtimeMs).toBe(0);
});

test('a file of holes that would fill the disk is named and left out', async () => {
  const { config, workspace } = newHome();
  const fd = openSync(join(workspace, 'holes'), 'w');
  ftruncateSync(fd, 4 * 1024 ** 4);
  closeSync(fd);
  expect((await backup(config)).left).toEqual(['groups/main/holes']);
});

test('what is no folder beside the groups comes back as it was; a group that is a link stays one, and what it leads to stays there', async () => {
  const { config } = newHome();
  const elsewhere = newFolder();
  writeFileSync(join(elsewhere, 'precious'), 'x');
  writeFileSync(join(config.groupsDir, '.DS_Store'), 'x');
  symlinkSync(elsewhere, join(config.groupsDir, 'family'));
  const { file } = await backup(config);
  const to = newFolder();
  mkdirSync(join(to, 'groups'));
  writeFileSync(join(to, 'groups', '.DS_Store'), 'y');
  await restore(file, to);
  expect(readFileSync(join(to, 'groups', '.DS_Store'), 'utf8')).toBe('x');
  expect(lstatSync(join(to, 'groups', 'family')).isSymbolicLink()).toBe(true);
  expect(existsSync(join(elsewhere, 'precious'))).toBe(true);
});

test.each(['link', 'character-device', 'fifo'] as const)('an entry of the kind %s is refused', async (type) => {
  const entry = { header: { name: 'groups/main/x', size: 0, type, linkname: '/etc/passwd' }, body: Readable.from([]) };
  await expect(restore(await archive([entry]))).rejects.toThrow('no backup has');
});

test.each(['groups', 'data'])('a link in the place of %s is refused', async (name) => {
  const entry = { header: { name, size: 0, type: 'symlink' as const, linkname: newFolder() }, body: Readable.from([]) };
  await expect(restore(await archive([entry]))).rejects.toThrow('no backup has');
});

test('a backup of a newer Pinch says so, and what has no room is found out before the disk is full', async () => {
  await expect(restore(await archive([], 2))).rejects.toMatchObject({ code: 'backup_too_new' });
  // One entry of 1 PiB, as nothing but its header.
  const bomb = Buffer.alloc(1024);
  bomb.write('groups/main/x');
  bomb.write('0000600\0', 100);
  bomb.writeUInt8(0x80, 124);
  bomb.writeBigUInt64BE(1n << 50n, 128);
  bomb.write('        0ustar\x0000', 148);
  const sum = bomb.reduce((a, b) => a + b, 0);
  bomb.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const file = join(newFolder(), 'bomb');
  writeFileSync(file, gzipSync(bomb));
  const home = newFolder();
  await expect(restore(file, home)).rejects.toMatchObject({ code: 'no_room' });
  expect(readdirSync(join(home, 'data'))).toEqual(['lock.db']);
});

test('a folder or a file that is not there is named', async () => {
  const { config } = newHome();
  const file = join(newFolder(), 'away', 'home.pinch');
  await expect(makeBackup({ config, file, now: NOW, onProgress })).rejects.toMatchObject({ code: 'no_folder' });
  for (const wrong of [file, tmpdir()]) expect(() => isEncrypted(wrong)).toThrow('there is no file');
});
