// What becomes of the list when a container starts: folders that are what the owner listed, and a word about the others.
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { type Config, loadConfig } from '../core/config.js';
import { mountsFile, putInList } from './list.js';
import { addMount, checkMount, createMounts, type MountsDeps } from './module.js';

let root: string;
let photos: string;
let config: Config;
let clock: FakeClock;
let told: Map<string, string>;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'pinch-mounts-')));
  photos = join(root, 'disk/photos');
  for (const folder of ['disk/photos', 'user', 'home/groups/main', 'home/data', 'repo'])
    mkdirSync(join(root, folder), { recursive: true });
  const env = { PINCH_HOME: join(root, 'home'), HOME: join(root, 'user') };
  config = loadConfig({ ...env, DOCKER_HOST: `unix://${root}/engine/docker.sock` }, join(root, 'repo'));
  clock = createFakeClock();
  told = new Map();
});

const list = (path: string, more: { rw?: boolean; groups?: string[]; name?: string } = {}): void =>
  putInList(config, { name: 'photos', path, groups: ['main'], rw: false, ...more });
const mounts = (examine?: MountsDeps['examine']) =>
  createMounts({
    ...{ config, clock, log: pino({ enabled: false }), ...(examine && { examine }) },
    notifyOwner: (key, text) => {
      if (!told.has(key)) told.set(key, text);
      return undefined;
    },
  });
const group = (folder: string) => ({
  ...{ id: 1, folder, isMain: folder === 'main', parkedClass: null, parkedUntil: null, parkCount: 0 },
});
const targets = async (folder = 'main') => (await mounts().of(group(folder))).map(({ target }) => target);
const notices = () => [...told.values()];

test('a group gets the folders listed for it, read-only unless they say so', async () => {
  list(photos);
  list(photos, { name: 'notes', rw: true, groups: ['main', 'family'] });
  expect(await mounts().of(group('main'))).toMatchObject([
    { source: photos, target: '/mnt/photos', readOnly: true },
    { source: photos, target: '/mnt/notes', readOnly: false },
  ]);
  expect([await targets('family'), await targets('other')]).toEqual([['/mnt/notes'], []]);
  expect(notices()).toEqual([]);
});

test('a link that was put on the way is not followed, wherever it leads', async () => {
  list(photos);
  const swap = (place: string, target: string) => {
    renameSync(place, `${place}-aside`);
    symlinkSync(target, place);
  };
  swap(photos, join(root, 'user'));
  expect(await targets()).toEqual([]);
  expect(notices()[0]).toMatch(/folder `photos`.* over a link to .*user/);
  rmSync(photos);
  renameSync(`${photos}-aside`, photos);
  expect(await targets()).toEqual(['/mnt/photos']);
  swap(join(root, 'disk'), join(root, 'disk-aside'));
  expect(await targets()).toEqual([]);
});

test.each([
  ['home', 'the home of Pinch'],
  ['home/groups/main', 'the home of Pinch'],
  ['repo', 'the code of Pinch'],
  ['user/.config/pinch', '.config/pinch'],
  ['user', 'the settings of Pinch'],
  ['user/.local', 'the keys of your home'],
  ['', 'contains'],
  ['engine', "the container engine's socket"],
  ['disk/nothing', 'does not exist'],
  ['disk/file', 'no folder'],
  ['disk/.ssh/x', '.ssh holds keys'],
])('%j is refused', async (path, why) => {
  for (const folder of ['user/.config/pinch', 'user/.local', 'engine', 'disk/.ssh/x'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'disk/file'), '');
  await expect(checkMount(config, { path: join(root, path), groups: ['main'], rw: false })).rejects.toThrow(why);
  list(join(root, path));
  expect(await targets()).toEqual([]);
  expect(notices()).toEqual([expect.stringContaining('I work without it')]);
});

test.each([
  '.ssh',
  '.aws',
  '.netrc',
  '.config/gcloud',
])('a folder with %s in it is refused, also when it is a link', async (name) => {
  list(photos);
  mkdirSync(join(photos, name, '..'), { recursive: true });
  symlinkSync('/nowhere', join(photos, name));
  expect(await targets()).toEqual([]);
  expect(notices()).toEqual([expect.stringContaining('it contains')]);
});

test('the owner is told once, and again about something else or after the list was changed', async () => {
  list(join(root, 'disk/gone'));
  for (let n = 0; n < 3; n += 1) await targets();
  expect(told.size).toBe(1);
  list(photos, { name: 'more' });
  expect(await targets()).toEqual(['/mnt/more']);
  expect(told.size).toBe(2);
  writeFileSync(mountsFile(config), 'oh');
  expect(await targets()).toEqual([]);
  expect(notices()[2]).toContain('cannot be read');
});

test('a folder on a disk that does not answer holds up nobody for long, and only those it is listed for', async () => {
  list(photos);
  const { of } = mounts(() => new Promise(() => undefined));
  const stuck = of(group('main'));
  expect(await of(group('other'))).toEqual([]);
  await clock.advance(2_000);
  expect(await stuck).toEqual([]);
  expect(notices()).toEqual([expect.stringContaining('does not answer')]);
});

test('a wish becomes what can be shown; what was shown is what is added', async () => {
  symlinkSync(photos, join(root, 'My Photos'));
  const wish = { path: join(root, 'My Photos'), groups: ['main'], rw: false };
  const shown = await checkMount(config, wish);
  expect(shown).toEqual({ ...wish, name: 'photos', path: photos });
  expect(await checkMount(config, { ...wish, name: 'pictures' })).toMatchObject({ name: 'pictures' });
  await addMount(config, shown);
  await addMount(config, shown);
  expect(await targets()).toEqual(['/mnt/photos']);
  renameSync(photos, `${photos}-2`);
  symlinkSync(join(root, 'user'), photos);
  await expect(addMount(config, { ...shown, name: 'other' })).rejects.toThrow('over a link');
  await expect(checkMount(config, { ...wish, path: 'photos' })).rejects.toThrow('no whole path');
});
