// A small NanoClaw, with its database as its versions left it, becomes groups, chats and tasks of Pinch.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type MigrationBench, startMigrationBench } from './migrate-bench.js';

let bench: MigrationBench;
beforeEach(async () => {
  bench = await startMigrationBench();
});
afterEach(() => bench.close());

const run = (...args: string[]) => bench.run('migrate-from-nanoclaw.mjs', [bench.old, '--yes', ...args]);

type Row = Record<string, string | number | null>;
const group = (jid: string, name: string, folder: string, more: Row = {}): Row => ({
  jid,
  name,
  folder,
  trigger_pattern: '@Andy',
  added_at: '2026',
  ...more,
});
const job = (id: string, type: string, value: string, more: Row = {}): Row => ({
  ...{ id, group_folder: 'whatsapp_Family', chat_jid: '123-456@g.us', prompt: `work ${id}` },
  ...{ schedule_type: type, schedule_value: value, created_at: '2026', status: 'active', ...more },
});

/** A database in write-ahead mode that was not closed cleanly, as one of a running program. */
function writeDatabase(tables: Record<string, Row[]>): void {
  bench.has('store/.keep', '');
  const db = new Database(join(bench.old, 'store/messages.db'));
  db.pragma('journal_mode = WAL');
  for (const [table, rows] of Object.entries(tables)) {
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    db.exec(`CREATE TABLE ${table} (${columns.join(', ')})`);
    for (const row of rows)
      db.prepare(`INSERT INTO ${table} (${Object.keys(row)}) VALUES (${Object.keys(row).map(() => '?')})`).run(
        Object.values(row),
      );
  }
  open.push(db);
}
const open: Database.Database[] = [];
afterEach(() => {
  for (const db of open.splice(0)) db.close();
});

/** An installation with one of everything. */
function install(): void {
  bench.has('.env', 'ANTHROPIC_API_KEY=sk-ant-0123456789abcdef0123\nASSISTANT_NAME=Nano\nTZ=Europe/Berlin\n');
  bench.has('groups/global/CLAUDE.md', 'all know this');
  bench.has('groups/telegram_main/CLAUDE.md', 'I am Nano; mcp__nanoclaw__send_message');
  bench.has('groups/telegram_main/todo.md', 'milk');
  bench.has('groups/whatsapp_Family/CLAUDE.md', 'the family');
  bench.has('groups/whatsapp_Family/logs/container-1.log', 'noise');
  bench.has('groups/whatsapp_Family/conversations/2026-01-01.md', 'hello');
  bench.has('groups/forgotten/CLAUDE.md', 'nobody');
  writeDatabase({
    registered_groups: [
      group('tg:11', 'Me', 'telegram_main', { is_main: 1, requires_trigger: 0 }),
      group('123-456@g.us', 'Family', 'whatsapp_Family', {
        requires_trigger: 0,
        container_config: '{"additionalMounts":[{"hostPath":"~/photos"}]}',
      }),
      group('4917012345@s.whatsapp.net', 'Ben', 'ben'),
      group('dc:99', 'Discord', 'discord_dev'),
    ],
    scheduled_tasks: [
      job('morning', 'cron', '0 9 * * 1-5', { context_mode: 'group' }),
      job('often', 'interval', '3600000', { context_mode: 'isolated', status: 'paused' }),
      job('later', 'once', '2099-12-01T09:00:00.000Z'),
      job('local', 'once', '2099-12-01T09:00:00'),
      job('past', 'once', '2020-01-01T09:00:00.000Z'),
      job('done', 'once', '2020-01-01T09:00:00.000Z', { status: 'completed' }),
      job('gated', 'cron', '* * * * *', { script: 'echo {}' }),
      job('mine', 'cron', '0 7 * * *', { group_folder: 'telegram_main', chat_jid: 'tg:11' }),
      job('elsewhere', 'cron', '0 7 * * *', { group_folder: 'discord_dev', chat_jid: 'dc:99' }),
    ],
  });
}

test('groups, memory, chats and tasks come over; what cannot is named', async () => {
  install();
  bench.pair('telegram', '11');
  const { code, out } = await run();
  expect(code).toBe(0);
  expect(bench.files()).toEqual([
    'global/CLAUDE.md',
    'main/CLAUDE.from-nanoclaw.md',
    'main/CLAUDE.md',
    'main/todo.md',
    'whatsapp_family/CLAUDE.md',
    'whatsapp_family/conversations/2026-01-01.md',
  ]);
  expect(bench.chats()).toEqual({
    'telegram:11': { folder: 'main', listed: false },
    'whatsapp:123-456@g.us': { folder: 'whatsapp_family', listed: false },
    'whatsapp:4917012345': { folder: 'ben', listed: false },
  });
  const berlin = { timeZone: 'Europe/Berlin' };
  expect(bench.tasks()).toMatchObject([
    {
      prompt: 'work morning',
      starts: { kind: 'cron', cron: '0 9 * * 1-5', ...berlin },
      context: 'chat',
      chat: '123-456@g.us',
    },
    { prompt: 'work often', starts: { kind: 'every', everyMs: 3_600_000 }, context: 'fresh', state: 'paused' },
    { prompt: 'work later', starts: { kind: 'once', at: Date.parse('2099-12-01T09:00:00Z') } },
    { prompt: 'work local', starts: { kind: 'once', at: Date.parse('2099-12-01T08:00:00Z') } },
    { prompt: 'work mine', chat: '11' },
  ]);
  for (const part of [
    'dc:99 “Discord”: Pinch has no such channel',
    '“work past”: it was for 2020-01-01T09:00:00.000Z, which is over',
    '“work gated”: it has a script',
    '“work elsewhere”: Pinch has no channel for dc:99',
    'groups/forgotten: no chat is registered to it',
    'whatsapp_Family saw besides its own: ~/photos',
    'groups/main/CLAUDE.from-nanoclaw.md: mcp__nanoclaw__',
    'ASSISTANT_NAME=Nano',
    '“Family” was answered always',
  ])
    expect(out).toContain(part);
  expect(out).not.toContain('sk-ant');
  expect(out).not.toContain('work done');
  expect(await run()).toMatchObject({ code: 0, out: expect.stringContaining('Nothing to do') });
});

test('the old installation is only read', async () => {
  install();
  const contents = () =>
    readdirSync(bench.old, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name)).toString('base64')]);
  const before = contents();
  await run();
  expect(contents()).toEqual(before);
});

test('an early version without marks has its main group by name, and its global memory beside the groups', async () => {
  bench.has('groups/CLAUDE.md', 'all know this');
  bench.has('groups/main/CLAUDE.md', 'mine');
  writeDatabase({
    registered_groups: [group('49@s.whatsapp.net', 'Me', 'main'), group('1@g.us', '../../x', '../escape')],
  });
  const { code } = await run('--tz', 'America/New_York');
  expect(code).toBe(0);
  expect(bench.files()).toEqual(['global/CLAUDE.md', 'main/CLAUDE.from-nanoclaw.md', 'main/CLAUDE.md']);
  expect(bench.chats()).toEqual({ 'whatsapp:1@g.us': { folder: 'escape', listed: false } });
});

test.each([
  ['no folder groups', () => undefined, 'is no NanoClaw'],
  [
    'a database that is none',
    () => {
      bench.has('groups/CLAUDE.md', '');
      bench.has('store/messages.db', 'sk-secret');
    },
    'cannot be read',
  ],
  ['NanoClaw 2', () => bench.has('groups/global/CLAUDE.md', 'x'), 'a NanoClaw 2 keeps chats and tasks elsewhere'],
])('%s is said in words', async (_name, make, words) => {
  make();
  const { out } = await run('--dry-run');
  expect(out).toContain(words);
  expect(out).not.toContain('sk-secret');
});
