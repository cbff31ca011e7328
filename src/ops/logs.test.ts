import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { eventually } from '../../test/e2e/harness.js';
import { createLog } from '../core/log.js';
import { logFile, rotatingFile, startLog, trimStartLog } from './log-file.js';
import { followLogs, readLogs, searchLogs } from './logs.js';

let dataDir: string;
let file: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'pinch-logs-'));
  file = logFile(dataDir);
});

const view = () => ({ file, last: 1_000 });
const numbers = (text: string) => [...text.matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n));

test('five files of the size at most, the oldest lines go, the order stays', async () => {
  const log = createLog('info', String, rotatingFile(file, { maxBytes: 1_000 }));
  for (let n = 0; n < 200; n += 1) log.info({ n }, 'line');
  const files = readdirSync(join(dataDir, 'logs')).sort();
  expect(files).toEqual(['pinch.log', 'pinch.log.1', 'pinch.log.2', 'pinch.log.3', 'pinch.log.4']);
  for (const name of files) expect(statSync(join(dataDir, 'logs', name)).size).toBeLessThanOrEqual(1_000);
  const left = numbers(await readLogs({ ...view(), json: true }));
  expect(left.length).toBeGreaterThan(50);
  expect(left).toEqual(Array.from({ length: left.length }, (_, index) => 200 - left.length + index));
});

test('the size counts on after a restart, and a line longer than a file is kept whole', () => {
  rotatingFile(file, { maxBytes: 100 }).write(`${'a'.repeat(60)}\n`);
  const next = rotatingFile(file, { maxBytes: 100 });
  next.write(`${'b'.repeat(60)}\n`);
  next.write(`${'c'.repeat(500)}\n`);
  expect(readFileSync(`${file}.2`, 'utf8')).toMatch(/^a{60}\n$/);
  expect(readFileSync(`${file}.1`, 'utf8')).toMatch(/^b{60}\n$/);
  expect(readFileSync(file, 'utf8')).toMatch(/^c{500}\n$/);
});

test('nobody else may read the log', () => {
  rotatingFile(file).write('x\n');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(dataDir, 'logs')).mode & 0o777).toBe(0o700);
});

test('lines that could not be written do not end the process, and are counted in the next one that could', async () => {
  const out = rotatingFile(file, { maxBytes: 10, keep: 2 });
  out.write('{"n":0}\n');
  mkdirSync(`${file}.1/in the way`, { recursive: true });
  for (const n of [1, 2, 3]) expect(() => out.write(`{"n":${n}}\n`)).not.toThrow();
  rmSync(`${file}.1`, { recursive: true });
  out.write('{"n":4}\n');
  expect(await readLogs({ ...view(), json: true })).toBe(
    '{"n":0}\n{"level":40,"lines":3,"msg":"log lines lost"}\n{"n":4}\n',
  );
});

test('people read the lines of one run; what is no JSON comes as it is', async () => {
  const log = createLog('info', String, rotatingFile(file));
  log.info({ runId: 7 }, 'run started');
  log.info({ runId: 71, text: ',"runId":7,' }, 'other run');
  writeFileSync(file, '{"runId":7,"msg":"torn', { flag: 'a' });
  expect(await readLogs({ ...view(), run: 7 })).toMatch(
    /^\[\d{4}-\d\d-\d\d [\d:]+\] INFO: run started \{"runId":7\}\n.*torn\n$/,
  );
  expect(await readLogs({ ...view(), run: 71 })).toContain('other run');
  expect(await readLogs({ ...view(), last: 1 })).toContain('torn');
  expect(await readLogs({ ...view(), last: 0 })).toBe('');
  await expect(readLogs({ ...view(), file: `${file}.none` })).rejects.toThrow('there is no log');
});

test('following goes on across a rotation', async () => {
  const out = rotatingFile(file, { maxBytes: 2_000 });
  out.write('{"n":0}\n');
  const over = new AbortController();
  let printed = '';
  const done = followLogs({ ...view(), json: true }, over.signal, (text) => {
    printed += text;
  });
  const arrived = (n: number) => eventually(() => numbers(printed).includes(n) || undefined, `line ${n}`);
  // Until tail(1) is there, lines come and go unseen.
  for (let n = 1; !numbers(printed).includes(n - 1) || n === 1; n += 1) {
    out.write(`{"n":${n}}\n`);
    await sleep(50);
  }
  for (let n = 1_000; n < 1_300; n += 1) {
    out.write(`{"n":${n}}\n`);
    if (n % 50 === 49) await arrived(n);
  }
  over.abort();
  await done;
  expect(numbers(printed).filter((n) => n >= 1_000)).toEqual(Array.from({ length: 300 }, (_, index) => 1_000 + index));
});

test('what a start that fails for months prints does not fill the disk', () => {
  rotatingFile(file).write('x\n');
  trimStartLog(dataDir);
  writeFileSync(startLog(dataDir), 'short');
  trimStartLog(dataDir);
  expect(statSync(startLog(dataDir)).size).toBe(5);
  writeFileSync(startLog(dataDir), Buffer.alloc(1024 * 1024 + 1));
  trimStartLog(dataDir);
  expect(statSync(startLog(dataDir)).size).toBe(0);
});

test('a line that holds somebody else’s text steers no terminal, in colours or without', async () => {
  const evil = 'a\u001b[2K\u001b]0;owned\u0007\u009b1A\u202Eb';
  createLog('info', String, rotatingFile(file)).info({ detail: evil, err: new Error(evil) }, evil);
  writeFileSync(file, `${readFileSync(file, 'utf8')}${evil}\n`);
  for (const colorize of [false, true]) {
    const text = await readLogs({ ...view(), colorize });
    expect(text.replaceAll(/\u001b\[\d*m/g, '')).not.toMatch(/[^\P{C}\n]/u);
    expect(text).toContain('\\u202eb');
  }
});

test('a search over all files gives the newest first, in any case, by a word or by a run, and torn lines as they are', async () => {
  const log = createLog('info', String, rotatingFile(file, { maxBytes: 2_000 }));
  for (let n = 0; n < 40; n += 1) log.info({ n, runId: n % 20 }, n % 2 ? 'an odd line' : 'an Even line');
  rotatingFile(file, { maxBytes: 1e6 }).write('{"torn":\n');
  const found = (await searchLogs(file, 'EVEN', 5)) ?? [];
  expect(found.map(({ message, fields }) => [message, JSON.parse(fields).n])).toEqual(
    [38, 36, 34, 32, 30].map((n) => ['an Even line', n]),
  );
  expect((await searchLogs(file, 'run:1', 9))?.map(({ fields }) => JSON.parse(fields).n)).toEqual([21, 1]);
  expect(await searchLogs(file, 'torn', 9)).toEqual([{ at: null, level: 30, message: '{"torn":', fields: '' }]);
  expect(await searchLogs(join(dataDir, 'none.log'), '', 9)).toBeUndefined();
});
