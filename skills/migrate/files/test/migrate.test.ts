// A plan is carried out once, shows itself first, and neither overwrites a file nor follows a link out of a group's folder.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type MigrationBench, startMigrationBench } from './migrate-bench.js';

let bench: MigrationBench;
beforeEach(async () => {
  bench = await startMigrationBench();
});
afterEach(() => bench.close());

/** Writes the plan and runs it. */
async function migrate(plan: object, ...args: string[]): Promise<{ code: number; out: string }> {
  const file = join(bench.top, 'plan.json');
  writeFileSync(file, JSON.stringify({ from: 'other', ...plan }));
  return bench.run('migrate.mjs', [file, '--yes', ...args]);
}

const chat = { chat: 'telegram:-100', folder: 'family', title: 'Family' };
const task = { id: 'a', chat: 'telegram:-100', prompt: 'Say hello', cron: '0 9 * * *', tz: 'Europe/Berlin' };

test('a dry run shows everything and changes nothing', async () => {
  bench.has('notes/one.md', 'one');
  const plan = { folders: [{ from: bench.old, to: 'family' }], chats: [chat], tasks: [task], left: ['a thing'] };
  const { out } = await migrate(plan, '--dry-run');
  for (const part of [
    'groups/family/notes/one.md',
    'telegram:-100 “Family” → family',
    'cron 0 9 * * * (Europe/Berlin)',
    'Say hello',
    'a thing',
  ])
    expect(out).toContain(part);
  expect(bench.files()).toEqual(['main/CLAUDE.md']);
  expect([bench.chats(), bench.tasks()]).toEqual([{}, []]);
});

test('a second run changes nothing, whatever became of the first one’s work', async () => {
  bench.has('CLAUDE.md', 'old memory');
  const plan = {
    folders: [{ from: bench.old, to: 'family' }],
    chats: [chat],
    tasks: [task, { ...task, id: 'b', prompt: 'Be quiet', paused: true }],
  };
  expect((await migrate(plan)).code).toBe(0);
  expect(bench.read('family/CLAUDE.md')).toBe('old memory');
  expect(bench.chats()).toEqual({ 'telegram:-100': { folder: 'family', listed: false } });
  expect(bench.tasks()).toMatchObject([
    { prompt: 'Say hello', state: 'active', starts: { kind: 'cron', timeZone: 'Europe/Berlin' } },
    { prompt: 'Be quiet', state: 'paused' },
  ]);
  bench.write('family/CLAUDE.md', 'what it learned since');
  const [first] = bench.store.tasks.open(null);
  await bench.dashboard.api('PATCH', `/api/tasks/${first?.id}`, { action: 'cancel' });
  expect(await migrate(plan)).toMatchObject({ code: 0, out: expect.stringContaining('Nothing to do') });
  expect(bench.files()).toEqual(['family/CLAUDE.md', 'main/CLAUDE.md']);
  expect(bench.tasks()).toMatchObject([{ prompt: 'Be quiet' }]);
});

test('after a crash between a task and its record the task is found, not made again', async () => {
  await migrate({ chats: [chat], tasks: [task] });
  writeFileSync(join(bench.home, 'data/migrated-from-other.json'), '{"files":[],"tasks":{}}');
  await migrate({ chats: [chat], tasks: [task] });
  expect(bench.tasks()).toHaveLength(1);
});

test('a file that is there stays; the old one lies beside it, once', async () => {
  bench.has('CLAUDE.md', 'I have mcp__tool');
  const plan = { folders: [{ from: bench.old, to: 'main' }], foreign: ['mcp__tool', 'other'] };
  const { out } = await migrate(plan);
  expect(out).toMatch(/to be read over\n {2}groups\/main\/CLAUDE\.from-other\.md: mcp__tool\n/);
  expect([bench.read('main/CLAUDE.md'), bench.read('main/CLAUDE.from-other.md')]).toEqual([
    'from the template\n',
    'I have mcp__tool',
  ]);
  await migrate(plan);
  expect(bench.files()).toEqual(['main/CLAUDE.from-other.md', 'main/CLAUDE.md']);
});

test('links are not followed, neither out of the old folder nor out of a group', async () => {
  bench.has('notes/a.md', 'a');
  symlinkSync('/etc/hostname', join(bench.old, 'host'));
  const trap = join(bench.top, 'trap');
  mkdirSync(trap);
  mkdirSync(join(bench.home, 'groups/family'));
  symlinkSync(trap, join(bench.home, 'groups/family/notes'));
  const { out } = await migrate({ folders: [{ from: bench.old, to: 'family' }] });
  expect(out).toContain('groups/family/notes/a.md: family/notes is in the way');
  expect(out).toContain('host: a symbolic link');
  expect(bench.files()).toEqual(['family/notes', 'main/CLAUDE.md']);
});

test('what may be a key is neither copied nor printed', async () => {
  const key = 'sk-ant-api03-AbCdEf0123456789AbCdEf';
  for (const name of ['.env', 'google-credentials.json', 'id_ed25519', 'deep/server.pem']) bench.has(name, key);
  const { out } = await migrate({
    folders: [{ from: bench.old, to: 'family' }],
    chats: [chat],
    tasks: [{ ...task, prompt: `Call the service with ${key} each day` }],
  });
  for (const name of ['.env', 'google-credentials.json', 'id_ed25519', 'server.pem'])
    expect(out).toContain(`${name}: it may hold a key`);
  expect(out).not.toContain(key);
  expect(bench.files()).toEqual(['main/CLAUDE.md']);
  expect(bench.tasks()).toHaveLength(1);
});

test('chats of others stay theirs, and what Pinch refuses is named', async () => {
  await migrate({ chats: [chat] });
  const { out } = await migrate({
    chats: [
      { ...chat, folder: 'friends' },
      { chat: 'signal:1', folder: 'friends', title: 'Signal' },
    ],
    tasks: [
      { ...task, cron: 'often' },
      { ...task, id: 'b', chat: 'telegram:5' },
    ],
  });
  expect(out).toContain('telegram:-100: it is registered to family already, not to friends');
  expect(out).toContain('signal:1: there is no chat "signal:1"');
  expect(out).toMatch(/task “Say hello”: .*often/);
  expect(out).toContain('telegram:5 is not registered');
  expect(bench.tasks()).toEqual([]);
});

test('work for the main group goes to its owner: the paired chat, else the page', async () => {
  await migrate({ tasks: [{ ...task, chat: 'main' }] });
  bench.pair('telegram', '11');
  await migrate({ tasks: [{ ...task, id: 'b', chat: 'main', prompt: 'More' }] });
  expect(bench.tasks().map((one) => one.chat)).toEqual(['owner', '11']);
});

test('without a running Pinch the files come over, and it says what does not', async () => {
  bench.has('a.md', 'a');
  await bench.dashboard.down();
  const { code, out } = await migrate({ folders: [{ from: bench.old, to: 'family' }], chats: [chat] });
  expect([code, bench.files()]).toEqual([1, ['family/a.md', 'main/CLAUDE.md']]);
  expect(out).toContain('Chats and tasks need a running Pinch');
  await bench.dashboard.up();
  expect(await migrate({ folders: [{ from: bench.old, to: 'family' }], chats: [chat] })).toMatchObject({ code: 0 });
});

test.each([
  [{ chats: [{ ...chat, folder: 'main' }] }, 'is not for other chats'],
  [{ texts: [{ to: 'family', file: '../main/CLAUDE.md', text: '' }] }, 'is not a path below the folder'],
  [{ folders: [{ from: '/tmp', to: '..' }] }, 'is not a folder name'],
])('a plan that reaches too far is refused: %j', async (plan, words) => {
  expect(await migrate(plan)).toMatchObject({ code: 1, out: expect.stringContaining(words) });
});

test('a plan that cannot be read is not printed', async () => {
  const file = join(bench.top, 'plan.json');
  writeFileSync(file, '{"token": "sk-secret" nonsense');
  const { code, out } = await bench.run('migrate.mjs', [file]);
  expect([code, out]).toEqual([1, expect.not.stringContaining('sk-secret')]);
  expect(readFileSync(file, 'utf8')).toContain('sk-secret');
});
