// The archive of a session: what lies before the last summary is read by no run again, is not lost and not there twice.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Entry, finalReplyOf, type HistoryRecord, textBlock, toMessages } from './records.js';
import { openSession } from './session.js';
import { createShell, endedJobs } from './shell.js';
import { makePaths, readHistory } from './testing/setup.js';

const MODEL = { model: 'claude-sonnet-5-5', search: undefined };
const LONG = 'x'.repeat(60_000);
const bundle = path.join(makePaths().root, 'child.mjs');
let paths: ReturnType<typeof makePaths>;

beforeAll(async () => {
  const entryPoints = [path.join(import.meta.dirname, 'testing/archive-child.ts')];
  await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outfile: bundle });
});
beforeEach(() => {
  paths = makePaths();
});
afterEach(() => fs.rmSync(paths.root, { recursive: true }));

const asked = (id: number, text = `question ${id} ${LONG}`): Entry => ({
  kind: 'user',
  origin: 'messages',
  messageIds: [id],
  content: [textBlock(text)],
});
const said = (text: string): Entry => ({
  kind: 'assistant',
  model: MODEL.model,
  stopReason: 'end_turn',
  tokens: 5,
  content: [textBlock(text)],
});
const summary: Entry = { kind: 'compact', content: [textBlock('the summary')] };

function write(runId: number, ...entries: Entry[]): void {
  const session = openSession({ dir: paths.sessions, name: 'main-1', runId });
  for (const entry of entries) session.append(entry);
  session.close();
}
/** What a run of this id finds. */
function open(runId: number): HistoryRecord[] {
  const session = openSession({ dir: paths.sessions, name: 'main-1', runId });
  session.close();
  return session.records;
}
const sizeOf = (name: string) => fs.statSync(path.join(paths.sessions, name)).size;
/** What people have of it, each record once. */
function everything(): number[] {
  const archived = readHistory(paths, 'main-1.archive');
  const last = archived.at(-1)?.seq ?? 0;
  return [...archived, ...readHistory(paths).filter(({ seq }) => seq > last)].map(({ seq }) => seq);
}
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

function plantYears(): void {
  write(1, asked(1), said('first'), asked(11), said('answer of run 1'));
  write(
    2,
    asked(2),
    { kind: 'job', id: 'job1', state: 'started' },
    { kind: 'job', id: 'job2', state: 'started' },
    { kind: 'job', id: 'job2', state: 'ended' },
  );
  write(
    3,
    { kind: 'todo', items: [{ text: 'one step', status: 'pending' }] },
    said('answer of run 3'),
    summary,
    said('go on'),
  );
}

test('a run reads from the last summary on, and finds what it asks for of the rest', () => {
  plantYears();
  const before = toMessages(open(3), MODEL);
  const records = open(9);
  expect(toMessages(records, MODEL)).toEqual(before);
  expect(sizeOf('main-1.jsonl')).toBeLessThan(20_000);
  expect(sizeOf('main-1.archive.jsonl')).toBeGreaterThan(120_000);
  expect(everything()).toEqual(upTo(12));
  // Also after it was opened again.
  for (const found of [records, open(10)]) {
    expect([1, 2].map((run) => finalReplyOf(found, run)?.text)).toEqual(['answer of run 1', undefined]);
    expect(found.findLast((r) => r.kind === 'todo')?.items).toHaveLength(1);
  }
  const session = openSession({ dir: paths.sessions, name: 'main-1', runId: 10 });
  expect([1, 11, 2, 3].map(session.knows)).toEqual([true, true, true, false]);
  expect(endedJobs({ session, shell: createShell('/') })).toEqual([
    '[background job job1 is gone: its container was stopped]',
  ]);
  session.close();
});

test('a run that comes again finds all of it', () => {
  plantYears();
  open(3);
  expect(fs.readdirSync(paths.sessions)).toEqual(['main-1.jsonl']);
});

test('one summary after the other: each record is in one place', () => {
  plantYears();
  for (let run = 10; run < 14; run++)
    write(run, asked(run), asked(run + 100), asked(run + 200), asked(run + 300), said(`answer ${run}`), summary);
  const records = open(20);
  expect(everything()).toEqual(upTo(12 + 4 * 6));
  expect(finalReplyOf(records, 12)?.text).toBe('answer 12');
  expect(finalReplyOf(records, 1)?.text).toBe('answer of run 1');
});

// The archive, its folder, the new history, its folder.
test.each([1, 2, 3, 4])('killed after fsync %i, nothing is lost or there twice', (n) => {
  plantYears();
  const kill = () =>
    spawnSync(process.execPath, [bundle], { env: { ...process.env, KILL_AFTER: String(n), DIR: paths.sessions } });
  expect(kill().signal).toBe('SIGKILL');
  expect(everything()).toEqual(upTo(12));
  expect(toMessages(open(8), MODEL)).toEqual(toMessages(readHistory(paths), MODEL));
  expect(everything()).toEqual(upTo(12));
  expect(fs.readdirSync(paths.sessions).sort()).toEqual(['main-1.archive.jsonl', 'main-1.jsonl']);
});

test('a line that a crash cut off in the archive is written anew, also a long one', () => {
  plantYears();
  open(8);
  const archive = path.join(paths.sessions, 'main-1.archive.jsonl');
  for (const torn of ['{"seq":12,"ki', `{"seq":12,"text":"${'y'.repeat(200_000)}`]) {
    fs.appendFileSync(archive, torn);
    const run = everythingSafely();
    write(run, asked(run), asked(run + 1), asked(run + 2), asked(run + 3), said('so'), summary);
    open(run + 500);
    expect(everything()).toEqual(upTo(run === 100 ? 18 : 24));
  }
});
let runs = 0;
const everythingSafely = (): number => (runs += 100);

test('when nothing can be archived the history stays as it is', () => {
  plantYears();
  fs.mkdirSync(path.join(paths.sessions, 'main-1.archive.jsonl'));
  expect(open(9)).toHaveLength(12);
  expect(readHistory(paths)).toHaveLength(12);
});

test('a history of 60 MB is read once, and then no more', { timeout: 60_000 }, () => {
  const file = path.join(paths.sessions, 'main-1.jsonl');
  const line = (seq: number, entry: Entry) =>
    `${JSON.stringify({ seq, ts: 1, runId: Math.ceil(seq / 2), ...entry })}\n`;
  for (let seq = 1; seq <= 15_000; seq += 2)
    fs.appendFileSync(file, line(seq, asked(seq, 'q'.repeat(4_000))) + line(seq + 1, said('a'.repeat(4_000))));
  fs.appendFileSync(file, line(15_001, summary));
  const timed = (runId: number) => {
    const before = performance.now();
    open(runId);
    return performance.now() - before;
  };
  const [first, second] = [timed(90_000), timed(90_001)];
  console.log(
    `the first run of it ${Math.round(first)} ms, the next one ${second.toFixed(1)} ms, ${sizeOf('main-1.jsonl')} bytes are left`,
  );
  expect(second).toBeLessThan(first / 10);
  expect(sizeOf('main-1.jsonl')).toBeLessThan(256 * 1024);
});
