// A whole home goes into a file and comes back; nothing that was done since is done again; no file but a whole one changes anything.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { loadConfig } from '../core/config.js';
import { lockHome } from '../sandbox/home.js';
import { openStore } from '../store.js';
import { type Entry, isEncrypted, readArchive, writeArchive } from './archive.js';
import { makeBackup } from './backup.js';
import { restoreHome } from './restore.js';
import { refuseUnfinished } from './unfinished.js';

const START = Date.UTC(2026, 10, 21, 9);
const MINUTE = 60_000;
const configOf = (home: string) => loadConfig({ PINCH_HOME: home }, home);
const newFolder = () => mkdtempSync(join(tmpdir(), 'pinch-backup-'));
const quiet = { onProgress: () => undefined };

const home = newFolder();
const config = configOf(home);
const secret = join(newFolder(), 'secret');
let file: string;

/** Something of everything, and of all that waits. */
beforeAll(async () => {
  mkdirSync(config.dataDir, { recursive: true });
  const store = openStore(join(config.dataDir, 'pinch.db'));
  const group = store.groups.ensure('main', true, START);
  const seen = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: START });
  store.groups.assignChat(seen.id, group.id);
  const base = { groupId: group.id, chatId: seen.id };
  const run = { ...base, kind: 'message' as const, runAt: START, now: START };
  store.runs.enqueue({ ...run, key: 'a', session: 'a' });
  store.runs.enqueue({ ...run, key: 'b', session: 'b' });
  store.runs.claim({ holder: 'w', now: START, excludeGroups: [] });
  store.outbox.add({ key: 'o', chatId: seen.id, runId: null, text: 'waits', now: START });
  const task = { ...base, prompt: 'p', secret: null, now: START };
  const options = {
    context: 'chat' as const,
    misfire: 'all' as const,
    overlap: 'skip' as const,
    jitterMs: 0,
    after: [],
  };
  const every = { kind: 'every' as const, everyMs: 10 * MINUTE, anchorAt: START, timeZone: 'UTC' };
  store.tasks.add({ ...task, options, key: 't', title: 'often', starts: every, nextAt: START + MINUTE });
  const once = { kind: 'once' as const, at: START + 2 * MINUTE, timeZone: 'UTC' };
  store.tasks.add({ ...task, options, key: 'u', title: 'call mum', starts: once, nextAt: START + 2 * MINUTE });
  const later = { kind: 'once' as const, at: START + 300 * MINUTE, timeZone: 'UTC' };
  store.tasks.add({ ...task, options, key: 'v', title: 'later', starts: later, nextAt: START + 300 * MINUTE });
  const asked = { ...base, kind: 'egress', runId: null, agentSubject: null, detail: 'd', always: null, input: {} };
  for (const subject of ['x', 'y'])
    store.approvals.add({ ...asked, subject, hash: subject, createdAt: START, expiresAt: START + 600 * MINUTE });
  const workspace = join(config.groupsDir, 'main');
  mkdirSync(join(workspace, 'memory', 'deep'), { recursive: true });
  writeFileSync(join(workspace, 'CLAUDE.md'), 'remember');
  writeFileSync(join(workspace, 'CLAUDE.template.md'), 'of the checkout');
  writeFileSync(join(workspace, 'memory', 'deep', `${'long'.repeat(50)}.md`), 'x'.repeat(3_000_000));
  writeFileSync(join(workspace, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(workspace, 'empty ☃'), '');
  writeFileSync(secret, 'of the machine');
  symlinkSync(secret, join(workspace, 'link'));
  symlinkSync(join(secret, '..'), join(workspace, 'folder-link'));
  execFileSync('mkfifo', [join(workspace, 'pipe')]);
  mkdirSync(join(config.dataDir, 'sessions', 'main'), { recursive: true });
  writeFileSync(join(config.dataDir, 'sessions', 'main', 'a.jsonl'), '{}\n');
  for (const name of ['logs', 'backups', 'mcp/notes/data', 'mcp/notes/installed']) {
    mkdirSync(join(config.dataDir, name), { recursive: true });
    writeFileSync(join(config.dataDir, name, 'file'), name);
  }
  writeFileSync(join(config.dataDir, 'dashboard-token'), 'token', { mode: 0o600 });
  writeFileSync(join(home, '.env'), 'ANTHROPIC_API_KEY=key\n', { mode: 0o600 });
  writeFileSync(join(home, 'services.json'), '{}');
  file = join(newFolder(), 'home.pinch');
  // While the store is in use.
  const made = await makeBackup({ config, file, now: START + MINUTE, ...quiet });
  expect(made).toMatchObject({ left: [], entries: 12 });
  store.close();
});

/** All paths below a folder with what they are. */
function treeOf(root: string, path = ''): Record<string, string> {
  return Object.assign(
    {},
    ...readdirSync(join(root, path), { withFileTypes: true }).map((entry) => {
      const at = join(path, entry.name);
      if (entry.isDirectory()) return treeOf(root, at);
      if (entry.isFIFO()) return {};
      const mode = (lstatSync(join(root, at)).mode & 0o777).toString(8);
      return {
        [at]: entry.isSymbolicLink()
          ? `→ ${readlinkSync(join(root, at))}`
          : `${mode} ${readFileSync(join(root, at), 'utf8')}`,
      };
    }),
  );
}

const restoring = (to: string, more: { force?: boolean; passphrase?: string; from?: string; at?: number } = {}) =>
  restoreHome({
    config: configOf(to),
    file: more.from ?? file,
    passphrase: more.passphrase,
    force: more.force ?? false,
    clock: createFakeClock(more.at ?? START + 35 * MINUTE),
    openStore: async (path) => openStore(path),
    ...quiet,
  });

test('a restored home has all files as they were, and no other', async () => {
  const to = newFolder();
  await restoring(to);
  const [had, has] = [treeOf(config.groupsDir), treeOf(join(to, 'groups'))];
  const { 'main/CLAUDE.template.md': _, ...kept } = had;
  expect(has).toEqual(kept);
  expect(existsSync(join(to, 'data', 'sessions', 'main', 'a.jsonl'))).toBe(true);
  expect(readFileSync(join(to, '.env'), 'utf8')).toBe('ANTHROPIC_API_KEY=key\n');
  expect(readdirSync(join(to, 'data')).sort()).toEqual(['dashboard-token', 'lock.db', 'mcp', 'pinch.db', 'sessions']);
  expect(readdirSync(join(to, 'data', 'mcp', 'notes'))).toEqual(['data']);
});

test('what waited is set aside, what passed is missed, and the owner is told once', async () => {
  const to = newFolder();
  const { aside } = await restoring(to);
  expect(aside).toEqual({ runs: 2, messages: 1, slots: 5, approvals: 2, reminders: ['call mum'] });
  const store = openStore(join(to, 'data', 'pinch.db'));
  expect(store.runs.list(null, 9).map(({ state }) => state)).toEqual(['cancelled', 'cancelled']);
  expect(store.runs.claim({ holder: 'n', now: START + 40 * MINUTE, excludeGroups: [] })).toBeUndefined();
  expect(store.approvals.list('expired', 9)).toHaveLength(2);
  expect(store.outbox.heads().map(({ text }) => text)).toEqual([
    'I was restored from the backup of 2026-11-21 09:01 UTC. What happened after it is not known to me. Set aside, because it may have been done since: 2 runs, 1 message that was not sent, 5 planned times of tasks, 2 approvals. Reminders among them: call mum.',
  ]);
  expect(store.tasks.due(START + 35 * MINUTE, 9)).toEqual([]);
  expect(store.tasks.open(null).map(({ title, nextAt }) => [title, nextAt])).toEqual([
    ['often', START + 41 * MINUTE],
    ['later', START + 300 * MINUTE],
  ]);
  expect(store.tasks.slotsOf(1, 9)).toMatchObject([{ state: 'missed', count: 4, slotAt: START + 31 * MINUTE }]);
  store.close();
});

test('a passphrase: nothing of it can be read without it, and with it all', async () => {
  const encrypted = join(newFolder(), 'home.pinch');
  await makeBackup({ config, file: encrypted, passphrase: 'correct horse', now: START, ...quiet });
  expect([isEncrypted(encrypted), isEncrypted(file)]).toEqual([true, false]);
  expect(readFileSync(encrypted).includes('CLAUDE.md')).toBe(false);
  await expect(restoring(newFolder(), { from: encrypted, passphrase: 'wrong' })).rejects.toThrow('passphrase');
  const { entries } = await restoring(newFolder(), { from: encrypted, passphrase: 'correct horse' });
  expect(entries).toBe(12);
});

describe('a file that is not whole changes nothing', () => {
  const changed = (change: (bytes: Buffer) => Buffer, bytes = readFileSync(file)) => {
    const path = join(newFolder(), 'damaged');
    writeFileSync(path, change(bytes));
    return path;
  };
  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['cut in the middle', (bytes) => bytes.subarray(0, bytes.length / 2)],
    ['cut at its end', (bytes) => bytes.subarray(0, -20)],
    [
      'a byte changed',
      (bytes) =>
        Buffer.concat([bytes.subarray(0, 2_000), Buffer.from([(bytes[2_000] ?? 0) ^ 1]), bytes.subarray(2_001)]),
    ],
    ['empty', () => Buffer.alloc(0)],
    ['another kind of file', () => Buffer.from('hello '.repeat(1_000))],
  ])('%s', async (_, change) => {
    const to = newFolder();
    await expect(restoring(to, { from: changed(change) })).rejects.toMatchObject({ code: 'backup_damaged' });
    expect(readdirSync(join(to, 'data'))).toEqual(['lock.db']);
    expect(existsSync(join(to, 'groups'))).toBe(false);
    expect(() => refuseUnfinished(configOf(to))).not.toThrow();
  });

  test.each([
    '../outside',
    '/etc/cron.d/x',
    'groups/../../x',
    'data/pinch.db-wal',
    'data/lock.db',
    'dist/main.js',
    'groups//x',
    'groups/main/CLAUDE.template.md',
  ])('an archive that somebody made, with %s', async (name) => {
    const made = join(newFolder(), 'made');
    async function* entries(): AsyncGenerator<Entry> {
      yield {
        header: { name: 'backup.json', size: 21, type: 'file' },
        body: Readable.from([Buffer.from('{"format":1,"at":123}')]),
      };
      yield { header: { name, size: 1, type: 'file' }, body: Readable.from([Buffer.from('x')]) };
    }
    await writeArchive(made, entries());
    await expect(restoring(newFolder(), { from: made })).rejects.toThrow('no backup has');
  });

  test('a file below what is a link in it', async () => {
    const made = join(newFolder(), 'made');
    async function* entries(): AsyncGenerator<Entry> {
      yield {
        header: { name: 'groups/main/l', size: 0, type: 'symlink', linkname: join(secret, '..') },
        body: Readable.from([]),
      };
      yield {
        header: { name: 'groups/main/l/secret', size: 1, type: 'file' },
        body: Readable.from([Buffer.from('x')]),
      };
    }
    await writeArchive(made, entries());
    await expect(restoring(newFolder(), { from: made })).rejects.toMatchObject({ code: 'backup_damaged' });
    expect(readFileSync(secret, 'utf8')).toBe('of the machine');
  });
});

test('a home that is in use, or has something in it, is left alone; --force moves aside what is there', async () => {
  const to = newFolder();
  await restoring(to);
  writeFileSync(join(to, 'groups', 'main', 'CLAUDE.md'), 'newer');
  await expect(restoring(to)).rejects.toMatchObject({ code: 'home_not_empty' });
  const lock = lockHome(configOf(to));
  await expect(restoring(to, { force: true })).rejects.toMatchObject({ code: 'already_running' });
  lock.release();
  const { before = '' } = await restoring(to, { force: true });
  expect(readFileSync(join(to, 'groups', 'main', 'CLAUDE.md'), 'utf8')).toBe('remember');
  expect(readFileSync(join(before, 'groups', 'main', 'CLAUDE.md'), 'utf8')).toBe('newer');
  expect(existsSync(join(before, 'data', 'pinch.db'))).toBe(true);
});

test('a restore that was cut off: the daemon refuses the home, the next restore finishes it', async () => {
  const to = newFolder();
  await restoring(to);
  // As it is when the process dies between two moves.
  mkdirSync(join(to, 'data', 'restoring', 'data'), { recursive: true });
  rmSync(join(to, 'data', 'pinch.db'));
  expect(() => refuseUnfinished(configOf(to))).toThrow('interrupted');
  await restoring(to);
  expect(() => refuseUnfinished(configOf(to))).not.toThrow();
  expect(existsSync(join(to, 'data', 'pinch.db'))).toBe(true);
});

test('files that cannot be read are named, and the rest is kept', async () => {
  // A name that is no text; what is locked away from its owner as well, where the superuser does not run this.
  const path = Buffer.concat([Buffer.from(`${join(config.groupsDir, 'main')}/odd-`), Buffer.from([0xff])]);
  writeFileSync(path, 'x');
  const { left, entries } = await makeBackup({ config, file: join(newFolder(), 'b'), now: START, ...quiet });
  expect(left).toEqual(['groups/main/odd-\ufffd']);
  expect(entries).toBe(12);
  rmSync(path);
});

test('a backup is not made over another file, and a failed one leaves nothing', async () => {
  await expect(makeBackup({ config, file, now: START, ...quiet })).rejects.toMatchObject({ code: 'exists' });
  // One that was killed left its copy of the database.
  const copy = join(config.dataDir, 'restoring-copy-abc');
  mkdirSync(copy);
  await makeBackup({ config, file: join(newFolder(), 'b'), now: Date.now(), ...quiet });
  expect(existsSync(copy)).toBe(true);
  await makeBackup({ config, file: join(newFolder(), 'b'), now: Date.now() + 2 * 86_400_000, ...quiet });
  expect(existsSync(copy)).toBe(false);
  const folder = newFolder();
  const empty = newFolder();
  await expect(
    makeBackup({ config: configOf(empty), file: join(folder, 'b'), now: START, ...quiet }),
  ).rejects.toMatchObject({ code: 'no_home' });
  expect(readdirSync(folder)).toEqual([]);
  let entries = 0;
  await readArchive(file, async ({ body }) => {
    entries += 1;
    for await (const chunk of body) void chunk;
  });
  expect(entries).toBeGreaterThan(12);
});
