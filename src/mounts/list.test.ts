// The owner's file: what it may say, who may have written it, and how it is changed.
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { type Config, loadConfig } from '../core/config.js';
import { listVersion, mountsFile, putInList, readList, removeFromList } from './list.js';

let settings: string;
let config: Config;
const photos = { name: 'photos', path: '/srv/photos', groups: ['main'], rw: false };

beforeEach(() => {
  settings = mkdtempSync(join(tmpdir(), 'pinch-settings-'));
  const home = mkdtempSync(join(tmpdir(), 'pinch-home-'));
  config = loadConfig({ PINCH_HOME: home, XDG_CONFIG_HOME: settings, HOME: '/home/olga' }, '/repo');
  mkdirSync(join(settings, 'pinch'), { mode: 0o700 });
});

const write = (text: string, mode = 0o600): void => writeFileSync(mountsFile(config), text, { mode });

test('the file is where settings are, and none is an empty list', () => {
  expect(mountsFile(config)).toBe(join(settings, 'pinch/mounts.json'));
  expect(mountsFile({ env: { HOME: '/home/olga' } })).toBe('/home/olga/.config/pinch/mounts.json');
  expect(readList(config)).toEqual({ mounts: [], problems: [] });
});

test('a folder is read-only unless it says so, and ~ is the home directory', () => {
  write(
    '{"photos": {"path": "/srv/photos", "groups": ["main"]}, "n": {"path": "~/n", "groups": ["a", "b"], "rw": true}}',
  );
  const notes = { name: 'n', path: '/home/olga/n', groups: ['a', 'b'], rw: true };
  expect(readList(config)).toEqual({ mounts: [photos, notes], problems: [] });
});

test.each([
  ['"x": {"path": "photos", "groups": ["main"]}', 'use a whole path'],
  ['"x": {"path": "/a", "groups": []}', 'groups'],
  ['"x": {"path": "/a", "groups": ["../main"]}', 'use the folder of a group'],
  ['"x": {"path": "/a"}', 'groups'],
  ['"x": {"path": "/a", "groups": ["main"], "readonly": false}', 'readonly'],
  ['"x": {"path": "/a", "groups": ["main"], "rw": "yes"}', 'rw'],
  ['"../x": {"path": "/a", "groups": ["main"]}', 'use a name such as'],
])('%s is named with what is wrong, and the others stay', (entry, why) => {
  write(`{${entry}, "photos": {"path": "/srv/photos", "groups": ["main"]}}`);
  const { mounts, problems } = readList(config);
  expect(mounts).toEqual([photos]);
  expect(problems).toEqual([{ name: expect.stringContaining('x'), why: expect.stringContaining(why) }]);
});

test('a file that is no list, that others can change, or that a container could write, lists nothing', () => {
  const problem = () => {
    const { mounts, problems } = readList(config);
    expect(mounts).toEqual([]);
    return problems[0]?.why;
  };
  const good = JSON.stringify({ photos: { path: '/srv/photos', groups: ['main'] } });
  write('{');
  expect(problem()).toContain('cannot be read');
  write(good);
  chmodSync(mountsFile(config), 0o620);
  expect(problem()).toContain('other users can change');
  chmodSync(mountsFile(config), 0o600);
  chmodSync(join(settings, 'pinch'), 0o777);
  expect(problem()).toContain('other users can change');
  chmodSync(join(settings, 'pinch'), 0o700);
  mkdirSync(join(config.groupsDir, 'main'), { recursive: true });
  renameSync(mountsFile(config), join(config.groupsDir, 'main/mounts.json'));
  symlinkSync(join(config.groupsDir, 'main/mounts.json'), mountsFile(config));
  expect(problem()).toContain('lies in');
});

test('a folder is added once, for further groups too; its name stands for one folder', () => {
  putInList(config, photos);
  putInList(config, { ...photos, groups: ['family', 'main'] });
  expect(readList(config).mounts).toEqual([{ ...photos, groups: ['main', 'family'] }]);
  for (const other of [
    { ...photos, path: '/srv/other' },
    { ...photos, rw: true },
  ])
    expect(() => putInList(config, other)).toThrow('already');
  putInList(config, { ...photos, name: 'constructor' });
  expect(readList(config).mounts.map(({ name }) => name)).toEqual(['photos', 'constructor']);
  removeFromList(config, 'photos');
  for (const name of ['photos', 'toString']) expect(() => removeFromList(config, name)).toThrow('there is no');
  expect(readList(config).mounts.map(({ name }) => name)).toEqual(['constructor']);
});

test('a change makes a file for its owner alone, leaves nothing beside it, keeps what it does not know, and is seen as one', () => {
  const before = listVersion(config);
  write('{"later": {"kind": "cloud"}}');
  putInList(config, photos);
  expect(listVersion(config)).not.toBe(before);
  expect(statSync(mountsFile(config)).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(settings, 'pinch'))).toEqual(['mounts.json']);
  expect(JSON.parse(readFileSync(mountsFile(config), 'utf8'))).toMatchObject({ later: { kind: 'cloud' } });
});

test('a file that cannot be read is not replaced', () => {
  write('{');
  expect(() => putInList(config, photos)).toThrow('cannot be read');
  expect(readFileSync(mountsFile(config), 'utf8')).toBe('{');
});

test('who keeps the file elsewhere and has a link here keeps the link', () => {
  const elsewhere = join(settings, 'dotfiles.json');
  writeFileSync(elsewhere, '{}', { mode: 0o600 });
  symlinkSync(elsewhere, mountsFile(config));
  putInList(config, photos);
  expect(lstatSync(mountsFile(config)).isSymbolicLink()).toBe(true);
  expect(readFileSync(elsewhere, 'utf8')).toContain('photos');
});
