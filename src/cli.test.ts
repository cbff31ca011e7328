// What `pinch` prints of other people's text.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type PageFixture, startPageFixture } from '../test/e2e/page-fixture.js';
import { runCli } from './cli.js';

let home: PageFixture;
beforeEach(async () => {
  home = await startPageFixture();
  mkdirSync(join(home.dataDir, 'data'));
  writeFileSync(join(home.dataDir, 'data', 'dashboard-token'), home.token);
  vi.stubEnv('PINCH_HOME', home.dataDir);
  vi.stubEnv('PINCH_PORT', String(home.port));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await home.close();
});

async function printed(...args: string[]): Promise<string> {
  let text = '';
  const keep = (piece: string | Uint8Array): boolean => {
    text += String(piece);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(keep);
  vi.spyOn(process.stderr, 'write').mockImplementation(keep);
  code = await runCli(args);
  vi.restoreAllMocks();
  return text;
}
let code: number;

const evil = 'kind\u001b]0;owned\u0007\u009b2K\u202Eevil\u200B\u{E0041}';

test('what steers a terminal or hides is written out, for people and in JSON', async () => {
  home.state.status.text = evil;
  home.intake.receiveFromPage(evil);
  home.tasks.add({ prompt: evil, title: evil, every: '1h' }, home.webChat());
  const run = home.store.runs.list('ready', 1)[0]?.id ?? 0;
  for (const args of [['status'], ['status', '--json'], ['tasks'], ['task', '1'], ['run', String(run)], [evil]]) {
    const text = await printed(...args);
    expect(text, args[0]).not.toMatch(/[^\P{C}\n]|\p{Default_Ignorable_Code_Point}/u);
  }
  expect(JSON.parse(await printed('status', '--json'))).toMatchObject({ text: evil });
});

test('task add, edit, pause, resume, cancel and run say what holds now; what is wrong gets one line', async () => {
  home.intake.receiveFromPage('hi');
  expect(await printed('task', 'add', 'every 2h', 'Watch', 'the', 'mail')).toMatch(
    /^Task 1 \(Watch the mail\) is active, every 2h; next: \w+ \d+ \w+ \d+, \d\d:\d\d(:\d\d)? · /,
  );
  expect(await printed('task', '1', 'edit', 'when', 'every weekday at 8:30')).toContain('cron 30 8 * * 1-5');
  expect(await printed('task', '1', 'edit', 'every 1h', 'Look')).toContain('every 1h');
  expect(await printed('task', '1', 'edit', 'title', 'Mail')).toContain('(Mail)');
  for (const args of [
    ['replay', '1', '--model', 'no model'],
    ['approve', '1', 'sometimes'],
    ['allow', ''],
  ])
    expect(await printed(...args), args[0]).toMatch(/^✗ [^\n✖]+\n$/);
  for (const [action, state] of ['pause paused', 'resume active', 'run active', 'cancel cancelled'].map((one) =>
    one.split(' '),
  ))
    expect(await printed('task', '1', action ?? '')).toContain(`is ${state}`);
  expect(await printed('task', '1')).toContain('  Look\n');
  expect(JSON.parse(await printed('task', '1', '--json'))).toMatchObject({ task: { prompt: 'Look' } });
  const wrong = [
    [],
    ['x'],
    ['add'],
    ['add', 'every 2h'],
    ['add', 'some day x'],
    ['1', 'explode'],
    ['1', 'edit'],
    ['9', 'run'],
  ];
  for (const args of [...wrong, ['1', 'edit', 'when'], ['add', 'every 2h x', '--chat', 'no:where']])
    expect(await printed('task', ...args), args.join(' ')).toMatch(/^✗ [^\n]+\n$/);
});

test('a home that is a file, or of another user, is not taken for one that was never used', async () => {
  const closed = join(home.dataDir, 'closed');
  mkdirSync(closed);
  vi.stubEnv('PINCH_HOME', join(home.dataDir, 'data', 'dashboard-token'));
  expect(await printed('status')).toMatch(/^✗ PINCH_HOME is no folder: \S+\n$/);
  vi.stubEnv('PINCH_HOME', closed);
  chmodSync(closed, 0);
  // The superuser may read everything.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  const said = await printed('status').finally(() => isRoot && process.seteuid?.(0));
  expect(said).toMatch(/^✗ \S+ belongs to another user of this machine \(.*\)\n$/);
});

test('config shows each setting, where it is from and no secret, and what services add to the prompt', async () => {
  const secret = 'canary-0123456789-secret';
  const file = [
    `ANTHROPIC_API_KEY=${secret}`,
    'PINCH_MODEL=claude-opus-5-5',
    `TRACKER=${secret}`,
    'PINCH_EGRESS=listed',
    'PINCH_MODLE=x',
  ];
  writeFileSync(join(home.dataDir, '.env'), file.join('\n'));
  vi.stubEnv('PINCH_EGRESS', 'none');
  vi.stubEnv('ANTHROPIC_BASE_URL', `https://me:${secret}@models.example/x?key=${secret}`);
  vi.stubEnv('TELEGRAM_BOT_TOKEN', secret);
  const words = (text: string) => text.split('\n').map((line) => line.trim().split(/ {2,}/).join(' '));
  const text = await printed('config');
  expect(words(text)).toEqual(
    expect.arrayContaining([
      'model: models.example',
      'ANTHROPIC_API_KEY set .env',
      'ANTHROPIC_BASE_URL https://***@models.example/x?*** environment',
      'PINCH_MODEL claude-opus-5-5 .env',
      'PINCH_EGRESS none environment',
      'PINCH_BUDGET_USD_DAY 10 default',
      'PINCH_WEB_SEARCH off default',
      'TELEGRAM_BOT_TOKEN set environment',
      'TRACKER set .env',
      '12 tokens notes (http): a line, for main',
    ]),
  );
  expect(text).toContain('! .env: nothing reads PINCH_MODLE; did you mean PINCH_MODEL?');
  const json = await printed('config', '--json');
  expect(text + json).not.toContain(secret);
  expect(JSON.parse(json)).toMatchObject({
    backend: 'http',
    settings: expect.arrayContaining([{ name: 'PINCH_EGRESS', value: 'none', from: 'environment' }]),
    prompt: [{ name: 'notes', tokens: 12 }],
  });
  vi.stubEnv('PINCH_PORT', '0');
  expect(await printed('config')).toContain('not known: Pinch is not running');
  expect(JSON.parse(await printed('config', '--json')).prompt).toBeNull();
});

test('logout signs every browser out', async () => {
  const headers = { authorization: `Bearer ${home.token}` };
  await fetch(`${home.url}/api/session`, { method: 'POST', headers });
  expect(await printed('logout')).toContain('Every browser is signed out');
  expect(home.store.pageSessions.endAll()).toBe(0);
});

test('the daemon of another home on the same port is not taken for ours', async () => {
  writeFileSync(join(home.dataDir, 'data', 'dashboard-token'), 'of-the-second-checkout');
  for (const args of [['status'], ['tasks'], ['stop'], ['runs', '--json']]) {
    const text = await printed(...args);
    expect(text, args[0]).toContain('the Pinch of another home answers');
    expect(text, args[0]).toContain('PINCH_PORT');
  }
});

test.each([
  ['runz', 'there is no command "runz"; did you mean runs?'],
  ['retry', 'retry: <id> is missing (pinch retry <id>)'],
  ['retry seven', '"seven" is no number'],
  ['status now', 'status: "now" is too much (pinch status)'],
  ['runs deed', 'there is no "deed", only ready, leased, done, dead, cancelled'],
  ['service instal', 'there is no "instal", only install'],
  ['tasks --follow', 'tasks: it takes no --follow'],
  ['logs --last', "Option '--last <value>' argument missing"],
  ['logs --last many', '--last takes a number'],
  ['runs --jsn', "Unknown option '--jsn'"],
  ['completion tcsh', 'there is no "tcsh", only bash, zsh, fish'],
])('what is written wrong gets one line and exit code 2: %s', async (line, said) => {
  const text = await printed(...line.split(' '));
  expect(text).toContain(said);
  expect(text.trimEnd().split('\n')).toHaveLength(1);
  expect(code).toBe(2);
});

test('runs and tasks are tables, one run and one task can be read, JSON stays for scripts', async () => {
  home.intake.receiveFromPage('What is new?');
  const run = home.store.runs.list('ready', 1)[0]?.id ?? 0;
  home.tasks.add({ prompt: 'Water the plants.', title: '花に水をやる', every: '1h' }, home.webChat());
  home.tasks.add({ prompt: 'Feed the cat.', title: 'cat', every: '2h' }, home.webChat());
  expect(await printed('runs', 'ready')).toMatch(
    /^RUN +STATE +BEGAN +TOOK +TRIES +COST +WHAT\n\d+ +waits +\d\d:\d\d +0 +“What is new\?”\n\npinch run \d+ says more; pinch recap /,
  );
  const rows = (await printed('tasks')).trimEnd().split('\n');
  expect(rows[0]).toMatch(/^TASK +STATE +NEXT +FAILED +STARTS +TITLE$/);
  expect(rows[1]).toMatch(/^1 +active +(tomorrow )?\d\d:\d\d .* 花に水をやる$/);
  expect(rows.map((row) => row.search(/TITLE|花|cat/))).toEqual(Array(3).fill(rows[0]?.indexOf('TITLE')));
  expect(await printed('run', String(run))).toMatch(/What is new\?\n[\s\S]*0 model calls/);
  expect(await printed('task', '1')).toMatch(/For .*:\n {2}Water the plants\.\n\nNext: /);
  expect(JSON.parse(await printed('run', String(run), '--json'))).toMatchObject({ run: { id: run } });
  expect(JSON.parse(await printed('task', '1', '--json'))).toMatchObject({ task: { title: '花に水をやる' } });
  expect(code).toBe(0);
});

test('of long lists the first are shown and how the others are seen; --all and --json have all of them', async () => {
  home.intake.receiveFromPage('hi');
  const { id: chatId, groupId } = home.webChat();
  const { store } = home;
  const run = { kind: 'message' as const, groupId: groupId ?? 0, chatId, session: 'chat1-1', runAt: 1, now: 1 };
  for (let n = 0; n < 40; n += 1) store.runs.enqueue({ ...run, key: `many:${n}` });
  home.tasks.add({ prompt: 'Hooked.', title: 'hooked' }, home.webChat(), { starts: { kind: 'hook' } });
  for (let hours = 60; hours > 0; hours -= 1)
    home.tasks.add({ prompt: 'x', title: `in ${hours}`, every: `${hours}h` }, home.webChat());
  for (let n = 1; n < 110; n += 1)
    store.egress.put({ groupId: null, host: `${n}.example`, ports: null, address: null, until: null, now: 1 });
  const lines = async (...args: string[]) => (await printed(...args)).trimEnd().split('\n');

  const runs = await lines('runs');
  // With a heading, and how to go on.
  expect(runs).toHaveLength(35);
  expect(runs.at(-1)).toBe('There are more: `pinch runs --all`');
  expect(await lines('runs', '--all')).toHaveLength(44);
  expect(await lines('runs', 'done')).toEqual(['no runs']);
  expect(JSON.parse(await printed('runs', '--json')).runs).toHaveLength(41);

  const tasks = await lines('tasks');
  expect(tasks).toHaveLength(53);
  expect(tasks[1]).toMatch(/ in 1$/);
  expect(tasks[50]).toMatch(/ in 50$/);
  expect(tasks.at(-1)).toBe('11 more: `pinch tasks --all`');
  expect((await lines('tasks', 'main')).at(-1)).toBe('11 more: `pinch tasks main --all`');
  expect(await lines('tasks', '--all')).toHaveLength(62);
  expect(JSON.parse(await printed('tasks', '--json')).tasks).toHaveLength(61);
  expect(await printed('tasks', 'nobody')).toContain('there is no group "nobody"');

  const egress = await lines('egress');
  expect(egress.at(-1)).toMatch(/^\d+ more: `pinch egress --all`$/);
  expect((await lines('egress', '--all')).length).toBeGreaterThan(109);
  expect(await printed('budgets', '--all')).toContain('it takes no --all');
});

test('alone it shows what is used every day, `help` all or one command, and other words lead to the one that is meant', async () => {
  const [short, all] = [await printed(), await printed('help')];
  for (const name of ['recap', 'status', 'runs', 'costs', 'undo', 'stop', 'logs', 'doctor'])
    expect(short).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
  expect(short).not.toContain('completion');
  expect(short.split('\n').length).toBeLessThan(24);
  expect(all).toContain('completion <shell>');
  for (const line of `${short}${all}`.split('\n')) expect(line.length).toBeLessThan(120);
  expect(await printed('help', 'undo')).toMatch(/^ {2}undo \[run\]/);
  expect(await printed('undo', '--help')).toMatch(/^ {2}undo \[run\]/);
  for (const [said, meant] of ['yesterday recap', 'cost costs', 'cancel stop', 'why runs', 'revert undo'].map((one) =>
    one.split(' '),
  ))
    expect(await printed(said ?? '')).toContain(`did you mean ${meant}?`);
  expect(await printed('help', 'nothinglikeit')).toContain('there is no command');
});

test('recap says what was done and how to go on; one that failed says why, in its list too', async () => {
  home.intake.receiveFromPage('Book the *table*');
  const run = home.store.runs.claim({ holder: 'w', now: Date.now(), excludeGroups: [] }) ?? expect.unreachable();
  const lease = { id: run.id, holder: 'w', attempt: run.attempt };
  home.store.runs.dead(lease, { errorClass: 'unknown', error: 'the disk is full', now: Date.now() });
  const text = await printed('recap');
  expect(text).toMatch(/^Since yesterday 18:00: 1 run, \$0\.00: 1 failed\.\n\n- ✗ \d\d:\d\d “Book the \*table\*”/);
  expect(text).toContain(`failed: the disk is full → pinch retry ${run.id}\n`);
  expect(text).toContain('Stop everything: pinch stop');
  expect(await printed('run', `${run.id}`)).toContain(
    `Failed: the disk is full\nTry it again: pinch retry ${run.id}\n`,
  );
  expect(await printed('recap', '12h')).toMatch(/^Since \S/);
  expect(await printed('recap', 'Easter')).toMatch(/^✗ recap: "Easter" is no time/);
  expect(code).toBe(2);
});
