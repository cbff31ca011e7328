// Small made-up OpenClaws, old and new, become memory, groups, chats and tasks of Pinch.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type MigrationBench, startMigrationBench } from './migrate-bench.js';

let bench: MigrationBench;
beforeEach(async () => {
  bench = await startMigrationBench();
});
afterEach(() => bench.close());

const run = (...args: string[]) => bench.run('migrate-from-openclaw.mjs', [bench.old, '--yes', ...args]);

const CONFIG = `// mine
{
  gateway: { auth: { token: 'it\\'s-a-secret-0123456789abcdef' } },
  agents: {
    defaults: { workspace: "~/gone/workspace", },
    list: [{ id: 'main', default: true }, { id: 'Ops', workspace: 'workspace-ops' }],
  },
  channels: {
    telegram: {
      botToken: "123456789:AAEabcdefghijklmnopqrstuvwxyz012345",
      allowFrom: [11],
      groupAllowFrom: ['telegram:11', "tg:12"],
      groups: { "*": { requireMention: true }, "-100123": {}, "-100555": { enabled: false }, "-100777": { allowFrom: ["*"] } },
    },
    whatsapp: { accounts: { biz: { groups: { "120363@g.us": { requireMention: false } } } } },
    discord: { token: "secret", guilds: {} }, /* the end */
  },
  bindings: [{ agentId: 'Ops', match: { channel: 'telegram', peer: { kind: 'group', id: '-100777' } } }],
}
`;

const cron = { kind: 'cron', expr: '0 7 * * *', tz: 'America/Los_Angeles' };
const turn = (message: string) => ({ kind: 'agentTurn', message });
const JOBS = [
  {
    id: 'brief',
    name: 'Morning brief',
    enabled: true,
    schedule: { ...cron, staggerMs: 30_000 },
    payload: { ...turn('Summarize.'), timeoutSeconds: 120 },
  },
  {
    id: 'often',
    enabled: false,
    schedule: { kind: 'every', everyMs: 5_400_000 },
    payload: { kind: 'systemEvent', text: 'Look around.' },
  },
  {
    id: 'utc',
    schedule: { kind: 'at', at: '2099-02-01T16:00:00' },
    payload: turn('Once.'),
    delivery: { mode: 'announce', channel: 'telegram', to: '-100123:topic:7' },
  },
  {
    id: 'family',
    schedule: { kind: 'cron', expr: '0 8 * * *' },
    payload: { ...turn('Family news.'), model: 'opus' },
    delivery: { mode: 'none', channel: 'whatsapp', to: '120363@g.us' },
  },
  {
    id: 'ops',
    agentId: 'Ops',
    schedule: cron,
    payload: turn('Check servers.'),
    delivery: { channel: 'telegram', to: 'telegram:group:-100777' },
  },
  { id: 'lost', agentId: 'Ops', schedule: cron, payload: turn('For whom?') },
  { id: 'past', schedule: { kind: 'at', at: '2020-02-01T16:00:00Z' }, payload: turn('Too late.') },
  { id: 'slack', schedule: cron, payload: turn('Tell Slack.'), delivery: { channel: 'slack', to: 'channel:C1' } },
  { id: 'hook', schedule: cron, payload: turn('Post it.'), delivery: { mode: 'webhook', to: 'https://example.com' } },
  { id: 'shell', schedule: cron, payload: { kind: 'command', argv: ['ls'] } },
  { id: 'odd', schedule: 'never', payload: {} },
];

function install(): void {
  bench.has('openclaw.json', CONFIG);
  bench.has('credentials/telegram.json', 'secret');
  for (const [name, text] of Object.entries({
    'IDENTITY.md': 'Molty',
    'SOUL.md': 'Kind.',
    'USER.md': 'Anna.',
    'MEMORY.md': 'Likes tea.',
  }))
    bench.has(`workspace/${name}`, text);
  bench.has('workspace/AGENTS.md', 'You run in openclaw.');
  bench.has('workspace/memory/2026-01-01.md', 'A good day.');
  bench.has('workspace/project/big.bin', 'x');
  bench.has('workspace/.git/config', 'x');
  bench.has('workspace-ops/SOUL.md', 'Strict.');
}

test('memory, groups, chats and cron jobs come over; what cannot is named', async () => {
  install();
  bench.has('cron/jobs.json', JSON.stringify({ version: 1, jobs: JOBS }));
  bench.pair('telegram', '11');
  const { code, out } = await run();
  expect(code, out).toBe(0);
  expect(bench.files()).toEqual([
    'main/AGENTS.md',
    'main/CLAUDE.from-openclaw.md',
    'main/CLAUDE.md',
    'main/memory/2026-01-01.md',
    'ops/CLAUDE.md',
    'telegram-100123/CLAUDE.md',
    'whatsapp-120363/CLAUDE.md',
  ]);
  expect(bench.read('main/CLAUDE.from-openclaw.md')).toMatch(/Molty[\s\S]*Kind\.[\s\S]*Anna\.[\s\S]*Likes tea\./);
  expect(bench.chats()).toEqual({
    'telegram:11': { folder: 'main', listed: false },
    'telegram:-100123': { folder: 'telegram-100123', listed: ['11', '12'] },
    'telegram:-100777': { folder: 'ops', listed: false },
    'whatsapp:120363@g.us': { folder: 'whatsapp-120363', listed: false },
  });
  expect(bench.tasks()).toMatchObject([
    {
      title: 'Morning brief',
      prompt: 'Summarize.',
      chat: '11',
      context: 'fresh',
      starts: { cron: '0 7 * * *', timeZone: 'America/Los_Angeles' },
    },
    {
      prompt: 'Look around.',
      chat: '11',
      context: 'chat',
      state: 'paused',
      starts: { kind: 'every', everyMs: 5_400_000 },
    },
    { prompt: 'Once.', chat: '-100123', starts: { kind: 'once', at: Date.parse('2099-02-01T16:00:00Z') } },
    { prompt: 'Family news.', chat: '120363@g.us', starts: { timeZone: 'Asia/Tokyo' } },
    { prompt: 'Check servers.', chat: '-100777' },
  ]);
  for (const part of [
    '“For whom?”: its agent Ops has no chat',
    '“Too late.”: its time is over',
    '“Tell Slack.”: it answers on slack',
    '“Post it.”: it posts its result to a web address',
    'it runs a command',
    '1 cron jobs of a kind that is not known here',
    'channel discord: Pinch has none',
    'workspace: project; copy what the agent shall have',
    '“Family news.” told nobody its result',
    'On telegram it served every group',
  ])
    expect(out).toContain(part);
  for (const secret of ['AAEabc', 'a-secret']) expect(out).not.toContain(secret);
  expect(await run()).toMatchObject({ code: 0, out: expect.stringContaining('Nothing to do') });
});

test('people in a group get the persona, not the private memory of the owner', async () => {
  install();
  await run();
  expect(bench.read('telegram-100123/CLAUDE.md')).toContain('Molty');
  expect(bench.read('telegram-100123/CLAUDE.md')).not.toMatch(/Anna|tea/);
});

test('a new version keeps its jobs in a database, and they count there', async () => {
  bench.has('openclaw.json', '{"agents":{"entries":{"main":{}}}}');
  bench.has('cron/jobs.json', JSON.stringify([{ id: 'old', schedule: cron, payload: turn('Old.') }]));
  bench.has('state/.keep', '');
  const db = new Database(join(bench.old, 'state/openclaw.sqlite'));
  db.exec('CREATE TABLE cron_jobs (job_id TEXT, enabled INTEGER, job_json TEXT, sort_order INTEGER)');
  const add = db.prepare('INSERT INTO cron_jobs VALUES (?, ?, ?, 1)');
  add.run('a', 1, JSON.stringify({ name: 'A', schedule: cron, payload: turn('New.') }));
  add.run('b', 0, JSON.stringify({ schedule: cron, payload: turn('Off.') }));
  db.close();
  await run('--tz', 'Europe/Berlin');
  expect(bench.tasks()).toMatchObject([
    { prompt: 'New.', state: 'active' },
    { prompt: 'Off.', state: 'paused' },
  ]);
});

test.each([
  ['no configuration', () => undefined, 'is no OpenClaw'],
  ['one that cannot be read', () => bench.has('openclaw.json', '{ token: sk-secret }'), 'cannot be read'],
  [
    'jobs that cannot be read',
    () => {
      bench.has('openclaw.json', '{}');
      bench.has('cron/jobs.json', '{"sk-secret');
    },
    'holds cron jobs that cannot be read',
  ],
])('%s is said in words, without a piece of the file', async (_name, make, words) => {
  make();
  const { code, out } = await run();
  expect([code, out]).toEqual([1, expect.stringContaining(words)]);
  expect(out).not.toContain('sk-secret');
});
