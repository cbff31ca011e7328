// A folder of the machine: what an agent may ask for, what it learns, and what becomes of a yes when the folder, the file or the process changes.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createContainerCalls } from '../../test/fakes/container-calls.js';
import { type Config, loadConfig } from '../core/config.js';
import { mountsFile, putInList, readList } from '../mounts/list.js';
import { openStore, type Store } from '../store.js';
import { type Approvals, createApprovals } from './approvals.js';
import { mountCalls } from './mounts.js';

let root: string;
let config: Config;
let store: Store;
let approvals: Approvals;
let ask: (folder: string, path: string, more?: object) => Promise<string>;

/** As at a start: the same rows and file. */
function begin(): void {
  const clock = createFakeClock();
  const [chat] = store.groups.chats();
  if (!chat) throw new Error('there is no chat');
  const base = { store, config, clock, ownerChat: () => chat, stopped: () => false };
  approvals = createApprovals(base);
  const call = createContainerCalls(mountCalls({ ...base, approvals }), clock);
  ask = async (folder, path, more = {}) => {
    const group = store.groups.ensure(folder, folder === 'main', 1);
    const [runId] = store.runs.leasedOf(group.id);
    const link = { groupId: group.id, startedAt: 0, onWork: () => undefined };
    const answer = await call(link, '/mounts', { runId, path: path.replace(/^@/, root), ...more });
    return JSON.stringify(answer);
  };
}

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'pinch-ask-mount-')));
  for (const folder of ['disk/My Photos', 'disk/相片', 'disk/keys/.ssh', 'user', 'home/data', 'home/groups'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'disk/file'), '');
  symlinkSync(join(root, 'disk/My Photos'), join(root, 'disk/link'));
  const env = { PINCH_HOME: join(root, 'home'), HOME: join(root, 'user') };
  config = loadConfig({ ...env, XDG_CONFIG_HOME: join(root, 'settings') }, process.cwd());
  store = openStore(':memory:');
  for (const folder of ['main', 'family']) {
    const { id } = store.groups.seenChat({ channel: 'web', address: folder, kind: 'direct', title: folder, now: 1 });
    const group = store.groups.ensure(folder, folder === 'main', 1);
    store.groups.assignChat(id, group.id);
    const run = { key: folder, kind: 'message' as const, groupId: group.id, chatId: id, session: folder };
    store.runs.enqueue({ ...run, runAt: 0, now: 0 });
    store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] });
  }
  begin();
});

const yes = (id = 1) => approvals.decide(id, { decision: 'allow', by: 'the owner' });
const over = async (id = 1) => approvals.wait(id, 60_000);
const listed = () => readList(config).mounts;
const photos = () => join(root, 'disk/My Photos');
const told = () => store.outbox.list(9).flatMap(({ key, text }) => (key.endsWith(':end') ? [text] : []));

test('a yes puts the folder in the list by its real path, once; the card says what that means', async () => {
  expect(await ask('main', '@/disk/link')).toContain('waits for an answer');
  const card = store.approvals.get(1);
  expect(card?.subject).toBe('give the folder My Photos to the group main, read-only');
  expect(card?.detail).toContain('at `/mnt/my-photos` and can read all in it');
  expect(card?.detail).toContain(`\n${photos()}\n`);
  expect(listed()).toEqual([]);
  expect(yes()).toContain('yes, and it is being done');
  expect((await over())?.state).toBe('done');
  expect(listed()).toEqual([{ name: 'my-photos', path: photos(), groups: ['main'], rw: false }]);
  expect(told()).toEqual([expect.stringContaining('It is `/mnt/my-photos` from the next container on')]);
  const [run] = store.runs.leasedOf(1);
  expect(store.messages.ofRun(run ?? 0).map(({ text }) => text)).toEqual([expect.stringContaining('it is done')]);
  expect(await ask('main', '@/disk/link')).toContain('It is /mnt/my-photos already.');
  expect(() => yes()).toThrow('is over: done');
});

test('to write asks for more, and main may ask for another group; a group asks for itself alone', async () => {
  await ask('main', '@/disk/My Photos', { group: 'family', readOnly: false, name: 'album' });
  expect(store.approvals.get(1)).toMatchObject({
    subject: 'give the folder My Photos to the group family, to read and write',
    detail: expect.stringContaining('read, change and delete all in it, and leave programs there'),
  });
  yes();
  await over();
  expect(listed()).toMatchObject([{ name: 'album', groups: ['family'], rw: true }]);
  for (const group of ['main', 'nobody'])
    await expect(ask('family', '@/disk/My Photos', { group })).rejects.toThrow('no such group');
  await expect(ask('main', '@/disk/My Photos', { group: 'nobody' })).rejects.toThrow('no such group');
  expect(await ask('family', '@/disk/My Photos')).toContain('waits for an answer');
});

test.each([
  ['/etc', 'that belongs to the system'],
  ['/home/olga/.ssh', 'holds keys'],
  ['@/home/data', 'cannot be given'],
  ['@/disk/keys', 'cannot be given'],
  ['@/disk/file', 'cannot be given'],
  ['@/disk/nothing', 'cannot be given'],
  ['@/disk/../user', 'cannot be given'],
  ['disk', 'cannot be given'],
  ['@/disk/相片', 'cannot be a name'],
])('%s is refused before the owner sees anything', async (path, why) => {
  await expect(ask('main', path)).rejects.toThrow(why);
  expect(store.approvals.list(null, 9)).toEqual([]);
});

test('what is not there, what no container may see and where a link leads are told in the same words', async () => {
  symlinkSync(join(root, 'home/data'), join(root, 'disk/trap'));
  const words = ['@/disk/nothing', '@/disk/trap', '@/home/data', '@/disk/file'].map((path) =>
    ask('main', path).catch((error: Error) => error.message),
  );
  expect(new Set([await words[0], await words[1]].concat(await Promise.all(words))).size).toBeLessThanOrEqual(2);
  for (const path of ['@/disk/nothing', '@/disk/trap'])
    await expect(ask('main', path)).rejects.toThrow(/^this folder cannot be given/);
});

test('a name that stands for something else is refused', async () => {
  putInList(config, { name: 'my-photos', path: join(root, 'disk'), groups: ['family'], rw: false });
  await expect(ask('main', '@/disk/link')).rejects.toThrow('there is a "my-photos" already');
  expect(await ask('main', '@/disk/link', { name: 'other' })).toContain('waits for an answer');
});

describe('between the card and the yes', () => {
  beforeEach(() => ask('main', '@/disk/My Photos'));

  test('a link in the place of the folder: nothing is listed, and both are told', async () => {
    renameSync(photos(), `${photos()}-aside`);
    symlinkSync(join(root, 'user'), photos());
    yes();
    expect(await over()).toMatchObject({ state: 'failed', result: expect.stringContaining('not what was shown') });
    expect(told()).toEqual([expect.stringContaining('but it failed')]);
    expect(listed()).toEqual([]);
  });

  test('a list that cannot be read says so and stays as it is', async () => {
    mkdirSync(join(root, 'settings/pinch'), { recursive: true, mode: 0o700 });
    writeFileSync(mountsFile(config), 'oh', { mode: 0o600 });
    yes();
    expect((await over())?.result).toContain('cannot be read');
    expect(readFileSync(mountsFile(config), 'utf8')).toBe('oh');
  });

  test('a kill after the yes: the next start does it', async () => {
    yes();
    approvals.stop();
    // What the process before was at may have come to an end, or not.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(store.approvals.get(1)?.state).toBe('allowed');
    for (let n = 0; n < 2; n++) {
      begin();
      approvals.start();
      expect((await over())?.state).toBe('done');
    }
    expect(listed()).toHaveLength(1);
    expect(told()).toHaveLength(1);
  });

  test('a kind that is there no more ends it', async () => {
    yes();
    approvals.stop();
    const chat = store.groups.chats()[0] ?? expect.unreachable();
    const base = { store, config, clock: createFakeClock() };
    approvals = createApprovals({ ...base, ownerChat: () => chat, stopped: () => false });
    approvals.start();
    expect(await over()).toMatchObject({ state: 'failed', result: 'this Pinch knows no approvals of kind mount' });
  });

  test('while it is being done it is not asked for again', async () => {
    yes();
    expect(await ask('main', '@/disk/My Photos')).toMatch(/is being done|already/);
    expect((await over())?.state).toBe('done');
    expect(store.approvals.list(null, 9)).toHaveLength(1);
  });
});
