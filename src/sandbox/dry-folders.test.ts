// The copy that a dry run writes into: what is in it, what is told of it, and that nothing of another place gets into it or is lost by it.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDryFolders, type DryFolders } from './dry-folders.js';

let home: string;
let folders: DryFolders;
const group = () => join(home, 'groups/main');
const put = (place: string, text: string) => {
  fs.mkdirSync(join(place, '..'), { recursive: true });
  fs.writeFileSync(place, text);
};

beforeEach(() => {
  home = fs.mkdtempSync(join(tmpdir(), 'pinch-dry-'));
  for (const name of ['groups/main', 'data']) fs.mkdirSync(join(home, name), { recursive: true });
  const places = { dataDir: join(home, 'data'), groupsDir: join(home, 'groups') };
  folders = createDryFolders({ ...places, log: pino({ enabled: false }) });
});
afterEach(() => fs.rmSync(home, { recursive: true, force: true }));

async function open(runId = 7) {
  const mounts = await folders.open(runId, 'main');
  const [workspace] = mounts;
  return { mounts, copy: workspace?.source ?? '', readOnly: workspace?.readOnly };
}

test('what is changed in the copy is told, and the folder of the group is as it was', async () => {
  for (const name of ['kept', 'changed', 'removed', 'deep/er/one']) put(join(group(), name), name);
  fs.chmodSync(join(group(), 'kept'), 0o700);
  const { copy, mounts } = await open();
  expect(mounts.map(({ target, readOnly }) => [target, readOnly])).toEqual([
    ['/workspace', false],
    ['/sessions', false],
  ]);
  expect(fs.statSync(join(copy, 'kept')).mode & 0o777).toBe(0o700);
  put(join(copy, 'changed'), 'other words');
  put(join(copy, 'deep/new'), 'a\0b');
  put(join(copy, '__proto__'), 'x');
  fs.rmSync(join(copy, 'removed'));
  // The next attempt goes on in the same copy.
  expect((await open()).copy).toBe(copy);
  const changes = (await folders.changes(7)).sort((one, other) => (one.path < other.path ? -1 : 1));
  expect(changes).toEqual([
    { path: '__proto__', how: 'new', bytes: 1, text: 'x' },
    { path: 'changed', how: 'changed', bytes: 11, text: 'other words' },
    { path: 'deep/new', how: 'new', bytes: 3 },
    { path: 'removed', how: 'removed' },
  ]);
  expect(fs.readFileSync(join(group(), 'changed'), 'utf8')).toBe('changed');
  await folders.sweep(() => false);
  expect(fs.readdirSync(join(home, 'data/dry'))).toEqual([]);
});

test('links are copied as links, in both directions: nothing outside is read, written or removed', async () => {
  put(join(home, 'secret/key'), 'the key');
  put(join(group(), 'plain'), 'x');
  fs.symlinkSync(join(home, 'secret'), join(group(), 'folder'));
  fs.symlinkSync(join(home, 'secret/key'), join(group(), 'file'));
  const { copy } = await open();
  expect(fs.readlinkSync(join(copy, 'file'))).toBe(join(home, 'secret/key'));
  expect(await folders.changes(7)).toEqual([]);
  fs.symlinkSync(join(home, 'secret'), join(copy, 'another'));
  fs.rmSync(join(copy, 'plain'));
  fs.symlinkSync(join(home, 'secret/key'), join(copy, 'plain'));
  const changes = await folders.changes(7);
  expect(changes.map(({ path, how, text }) => [path, how, text]).sort()).toEqual([
    ['another', 'new', undefined],
    ['plain', 'changed', undefined],
  ]);
  await folders.sweep(() => false);
  expect(fs.readFileSync(join(home, 'secret/key'), 'utf8')).toBe('the key');
});

test('a folder that is larger than what is copied can be read only, and nothing of it stays behind', async () => {
  fs.mkdirSync(group(), { recursive: true });
  put(join(group(), 'sparse'), '');
  fs.truncateSync(join(group(), 'sparse'), 200 * 1024 * 1024);
  const { copy, readOnly, mounts } = await open();
  expect([copy, readOnly]).toEqual([group(), true]);
  expect(mounts[1]).toMatchObject({ target: '/sessions', readOnly: false });
  expect(await folders.changes(7)).toEqual([]);
  expect(fs.readdirSync(join(home, 'data/dry/7'))).toEqual(['sessions']);
});

test('more folders in each other than anybody makes are no copy either', async () => {
  put(join(group(), `${'d/'.repeat(50)}f`), 'x');
  expect((await open()).readOnly).toBe(true);
});

test('what a container leaves is removed, however it lies there; runs that go on keep theirs', async () => {
  const { copy } = await open();
  put(join(copy, `${'e/'.repeat(200)}f`), 'x');
  fs.mkdirSync(join(copy, 'closed/inner'), { recursive: true });
  fs.chmodSync(join(copy, 'closed'), 0o000);
  expect((await folders.changes(7)).at(-1)?.path).toMatch(/^\(not all was looked at/);
  await open(8);
  fs.mkdirSync(join(home, 'data/dry/9.part'));
  await folders.sweep((runId) => runId === 8);
  expect(fs.readdirSync(join(home, 'data/dry'))).toEqual(['8']);
});

test('a copy that was broken off is made anew', async () => {
  put(join(group(), 'a'), 'x');
  put(join(home, 'data/dry/7/workspace/b'), 'half');
  const { copy } = await open();
  expect(fs.readdirSync(copy)).toEqual(['a']);
});
