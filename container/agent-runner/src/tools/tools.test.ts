import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { testMessage } from '../testing/host.js';
import { type Bench, isAlive, lastUserText, setUp, use } from '../testing/setup.js';

let bench: Bench;
let runs = 0;
beforeEach(async () => {
  runs = 0;
  bench = await setUp([]);
});
afterEach(() => bench.close());

const inWorkspace = (...names: string[]) => path.join(bench.paths.workspace, ...names);

/** Has the model make these calls in one reply; returns what it is told, in order. */
async function results(...calls: [name: string, input: object][]): Promise<{ text: string; isError: boolean }[]> {
  runs += 1;
  bench.fake.push({ content: calls.map(([name, input]) => use(name, input)) }, { text: 'ok' });
  await bench.run({ id: runs, messages: [testMessage(runs, 'go')] });
  expect(bench.fake.rejections()).toEqual([]);
  const last = bench.history().findLast((r) => r.kind === 'user' && r.origin === 'results');
  const content = last?.kind === 'user' ? last.content : [];
  return content.flatMap((b) =>
    b.type === 'tool_result' ? [{ text: String(b.content), isError: b.is_error === true }] : [],
  );
}

async function result(name: string, input: object): Promise<{ text: string; isError: boolean }> {
  return (await results([name, input]))[0] ?? { text: 'no result', isError: true };
}

test('a timed out command returns its output so far, and its children are dead', async () => {
  const command = 'echo begun; sleep 600 & echo $! > pid; wait';
  const { text } = await result('bash', { command, timeout_ms: 300 });
  expect(text).toBe('begun\n[timed out after 300 ms and was killed]');
  const pid = Number(fs.readFileSync(inWorkspace('pid'), 'utf8'));
  await expect.poll(() => isAlive(pid)).toBe(false);
});

test('the directory is kept between calls and runs, even when the command exits or the directory vanishes', async () => {
  await result('bash', { command: 'mkdir -p sub && cd sub && exit 4' });
  expect((await result('bash', { command: 'pwd' })).text).toBe(inWorkspace('sub'));
  await result('bash', { command: 'rmdir ../sub' });
  expect((await result('bash', { command: 'pwd' })).text).toBe(bench.paths.workspace);
});

test('both outputs come in the order they were written, with the exit code', async () => {
  const { text } = await result('bash', { command: 'echo 1; echo 2 >&2; echo 3; exit 9' });
  expect(text).toBe('1\n2\n3\n[exit code 9]');
});

test('commands see an allow-listed environment and an empty input', async () => {
  process.env.PINCH_TEST_SECRET = 'hidden';
  const { text } = await result('bash', { command: 'env; cat; echo end' });
  delete process.env.PINCH_TEST_SECRET;
  expect(text).not.toContain('hidden');
  expect(text).toContain('TZ=Europe/Berlin');
  expect(text).toContain('PATH=');
  // Other hosts are reached through the gateway, the gateway itself without it.
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'])
    expect(text).toMatch(new RegExp(`^${name}=http://127\\.0\\.0\\.1:\\d+$`, 'm'));
  for (const line of ['NO_PROXY=127.0.0.1,localhost,::1,[::1]', 'no_proxy=127.0.0.1,', 'NODE_USE_ENV_PROXY=1'])
    expect(text).toContain(line);
  expect(text.endsWith('end')).toBe(true);
});

test('a background job has the way to other hosts as well', async () => {
  const command = 'echo $https_proxy >p; mv p proxy';
  await result('bash', { command, background: true });
  await expect.poll(() => fs.existsSync(inWorkspace('proxy'))).toBe(true);
  expect(fs.readFileSync(inWorkspace('proxy'), 'utf8')).toBe(`http://127.0.0.1:${bench.host.port}\n`);
});

test.each([
  ['Error: getaddrinfo EAI_AGAIN x.example', '/network/SKILL.md]'],
  ['curl: (6) Could not resolve host: x.example', '/network/SKILL.md]'],
  ['OSError: [Errno 101] Network is unreachable', '/network/SKILL.md]'],
  ['curl: (56) CONNECT tunnel failed, response 403', '`curl -sSI <url>` shows why]'],
  ['Error: Proxy response (403) !== 200 when HTTP Tunneling', '`curl -sSI <url>` shows why]'],
])('%s: the model is told what it means', async (printed, hint) => {
  const { text } = await result('bash', { command: `printf %s '${printed}'; exit 6` });
  expect(text).toContain(`${printed}\n[`);
  expect(text).toContain(`${hint}\n[exit code 6]`);
  expect((await result('bash', { command: 'echo 403 words' })).text).toBe('403 words');
});

test('a big output is cut in the middle and kept whole on file', async () => {
  const { text } = await result('bash', { command: 'seq 1 20000' });
  expect(text.length).toBeLessThan(30_300);
  expect(text).toMatch(/^1\n2\n/);
  expect(text).toMatch(/20000$/);
  const file = /full output: (\S+)\]/.exec(text)?.[1] ?? '';
  expect(fs.readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(20_000);
});

test('output without end neither fills memory nor hangs', async () => {
  const { text } = await result('bash', { command: 'yes | head -c 30000000' });
  expect(text).toContain('more bytes were not kept');
  expect(text.length).toBeLessThan(30_300);
});

test('binary output does not reach the model as such', async () => {
  const { text } = await result('bash', { command: `printf 'a\\033[1mb\\000c\\xff\\xed\\xa0\\xbd'` });
  expect(text).toMatch(/^abc\ufffd+$/);
});

test('a child left running with & does not hold the call and goes on', async () => {
  const { text } = await result('bash', { command: '(sleep 0.3; echo late > late) & echo now' });
  expect(text).toBe('now');
  await result('bash', { command: 'while [ ! -e late ]; do sleep 0.05; done' });
});

test('commands of one reply run one after the other', async () => {
  await results(
    ['bash', { command: 'sleep 0.2; echo 1 >> log' }],
    ['bash', { command: 'echo 2 >> log' }],
    ['write', { path: 'done', content: '' }],
  );
  expect(fs.readFileSync(inWorkspace('log'), 'utf8')).toBe('1\n2\n');
});

test("a background job's output is read from its log file, its end is announced, and its group can be killed", async () => {
  const started = await result('bash', {
    command: 'echo up; while [ ! -e go ]; do sleep 0.05; done; echo bye >&2',
    background: true,
  });
  const [, job, log = '', pid = ''] = /as (\w+)\. .* to (\S+) .* -- -(\d+)$/.exec(started.text) ?? [];
  expect(job).toBe('job1');
  expect(isAlive(Number(pid))).toBe(true);
  await result('bash', { command: `until grep up ${log}; do sleep 0.05; done` });
  await result('bash', { command: 'touch go; sleep 0.4' });
  expect((await result('read', { path: log })).text).toBe('     1\tup\n     2\tbye\n     3\t[exit code 0]');
  expect(lastUserText(bench)).toContain('ended: [exit code 0]]');
  const second = await result('bash', { command: 'sleep 600', background: true });
  const group = /kill -- -\d+/.exec(second.text)?.[0] ?? '';
  await result('bash', { command: `${group}; sleep 0.2` });
  await result('todo', { items: [] });
  expect(lastUserText(bench)).toContain('[background job job2 (sleep 600) ended: [killed by SIGTERM]]');
});

test('a stopped run takes along what left its process group, and nothing of another session', async () => {
  const away =
    'setsid sleep 600 & echo $! > away; (setsid sleep 601 & echo $! > orphan); setsid bash -c "trap \'\' TERM HUP; sleep 602" & echo $! > deaf';
  const wait = 'until [ -s away ] && [ -s orphan ] && [ -s deaf ]; do sleep 0.01; done; touch began; sleep 600';
  bench.fake.push(
    { content: [use('bash', { command: 'echo $$ > theirs; exec sleep 603', background: true })] },
    { text: 'ok' },
  );
  await bench.run({ id: 1, session: 'other', messages: [testMessage(1, 'x')] });
  bench.fake.push({ content: [use('bash', { command: away, background: true }), use('bash', { command: wait })] });
  bench.start({ id: 2, messages: [testMessage(2, 'y')] });
  await expect.poll(() => fs.existsSync(inWorkspace('began'))).toBe(true);
  const pid = (name: string) => Number(fs.readFileSync(inWorkspace(name), 'utf8'));
  bench.host.push({ type: 'abort', runId: 2, reason: 'stop' });
  await bench.host.finished(2);
  expect(['away', 'orphan', 'deaf', 'theirs'].map((name) => isAlive(pid(name)))).toEqual([false, false, false, true]);
});

test('a background job dies with the abort of its run, its children as well', async () => {
  const command = 'sleep 600 & echo $! > child; wait';
  const wait = 'until [ -s child ]; do sleep 0.05; done; sleep 600';
  bench.fake.push({ content: [use('bash', { command, background: true }), use('bash', { command: wait })] });
  bench.start();
  await expect.poll(() => fs.existsSync(inWorkspace('child'))).toBe(true);
  bench.host.push({ type: 'abort', runId: 1, reason: 'stop' });
  expect(await bench.host.finished(1)).toMatchObject({ outcome: 'cancelled' });
  const child = Number(fs.readFileSync(inWorkspace('child'), 'utf8'));
  await expect.poll(() => isAlive(child)).toBe(false);
});

test('a log file grows no further than 10 MB, and the job goes on', async () => {
  const { text } = await result('bash', { command: 'yes | head -c 30000000; echo done > end', background: true });
  await result('bash', { command: 'until [ -e end ]; do sleep 0.05; done; sleep 0.2' });
  const log = / to (\S+) /.exec(text)?.[1] ?? '';
  expect(fs.statSync(log).size).toBe(10 * 1024 * 1024);
});

test('looking at the log of a running job again and again is not taken for being stuck', async () => {
  await result('bash', { command: 'sleep 600', background: true });
  const look = { content: [use('bash', { command: 'tail .out/main-1-job1.log' })] };
  bench.fake.push(look, look, look, look, { text: 'still at it' });
  expect(await bench.run({ id: 9, messages: [testMessage(9, 'wait')] })).toMatchObject({ text: 'still at it' });
});

test('a job that died with its container is announced as lost', async () => {
  const record = { seq: 1, ts: 0, runId: 9, kind: 'job', id: 'job1', state: 'started' };
  fs.writeFileSync(path.join(bench.paths.sessions, 'main-1.jsonl'), `${JSON.stringify(record)}\n`);
  await result('todo', { items: [] });
  expect(lastUserText(bench)).toContain('job job1 is gone');
});

test('files are read with line numbers, in parts, and binary ones are named as such', async () => {
  fs.writeFileSync(inWorkspace('a.txt'), 'one\ntwo\nthree\n');
  fs.writeFileSync(inWorkspace('b.bin'), Buffer.from([0, 1, 2, 255]));
  expect((await result('read', { path: 'a.txt' })).text).toBe('     1\tone\n     2\ttwo\n     3\tthree');
  const part = await result('read', { path: 'a.txt', offset: 2, limit: 1 });
  expect(part.text).toBe('     2\ttwo\n[3 lines in all; go on with offset 3]');
  expect(await result('read', { path: 'b.bin' })).toMatchObject({
    isError: true,
    text: expect.stringContaining('binary'),
  });
  expect(await result('read', { path: 'none' })).toMatchObject({ isError: true });
  fs.writeFileSync(inWorkspace('big.txt'), 'x'.repeat(1_000).concat('\n').repeat(1_000));
  const big = await result('read', { path: 'big.txt' });
  expect(big.text.length).toBeLessThan(256 * 1024 + 100);
  expect(big.text).toContain('go on with offset');
});

test('write and edit change files whole; an edit needs one exact place', async () => {
  await result('write', { path: 'd/e.sh', content: 'a $& a' });
  fs.chmodSync(inWorkspace('d/e.sh'), 0o755);
  expect(await result('edit', { path: 'd/e.sh', old_string: 'a', new_string: 'b' })).toMatchObject({ isError: true });
  await result('edit', { path: 'd/e.sh', old_string: 'a', new_string: '$1', replace_all: true });
  expect(fs.readFileSync(inWorkspace('d/e.sh'), 'utf8')).toBe('$1 $& $1');
  expect(fs.statSync(inWorkspace('d/e.sh')).mode & 0o777).toBe(0o755);
  expect(fs.readdirSync(inWorkspace('d'))).toEqual(['e.sh']);
});

test('file tools stay in their folders, also through links', async () => {
  fs.symlinkSync('/etc', inWorkspace('link'));
  fs.symlinkSync(path.join(bench.paths.root, 'nowhere'), inWorkspace('dangling'));
  for (const file of ['/etc/passwd', '../../../../etc/passwd', 'link/passwd', '../sessions/main-1.jsonl']) {
    expect(await result('read', { path: file })).toMatchObject({
      isError: true,
      text: expect.stringContaining('outside'),
    });
  }
  await result('write', { path: 'dangling', content: 'x' });
  expect(fs.existsSync(path.join(bench.paths.root, 'nowhere'))).toBe(false);
});

test('glob and grep find by name and content', async () => {
  for (const file of ['a.ts', 'src/b.ts', 'src/deep/c.tsx', 'node_modules/x/d.ts', '.github/e.md']) {
    fs.mkdirSync(path.dirname(inWorkspace(file)), { recursive: true });
    fs.writeFileSync(inWorkspace(file), `needle in ${file}\n`);
  }
  expect((await result('glob', { pattern: '**/*.{ts,tsx}' })).text).toBe('a.ts\nsrc/b.ts\nsrc/deep/c.tsx');
  expect((await result('glob', { pattern: '**/*.md' })).text).toContain('.github/e.md');
  const found = await result('grep', { pattern: 'need.e', path: 'src', glob: '*.ts' });
  expect(found.text).toBe(`${inWorkspace('src/b.ts')}:1:needle in src/b.ts`);
  expect((await result('grep', { pattern: 'absent' })).text).toBe('Nothing found.');
  expect((await result('grep', { pattern: '(' })).isError).toBe(true);
  expect(await result('glob', { pattern: '*', path: '/etc' })).toMatchObject({ isError: true });
});
