import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { invalid } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { failedStart, markCrashed, markEnded, markReady, markRunning } from './last-run.js';

const BOOTED_AT = 1_000;
let dataDir: string;
const begin = (now: number, bootedAt = BOOTED_AT) => markRunning(dataDir, now, bootedAt);
/** A start that succeeds. */
function start(now: number, bootedAt = BOOTED_AT): string | null {
  const last = begin(now, bootedAt);
  markReady(dataDir);
  return last;
}

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'pinch-marker-'));
});

test('the first start and one after a clean end have nothing to tell', () => {
  expect(start(2_000)).toBeNull();
  markEnded(dataDir);
  markEnded(dataDir);
  expect(start(3_000)).toBeNull();
});

test('a kill is told from a power cut by when the machine was started', () => {
  start(2_000);
  expect(start(3_000)).toBe('killed from outside, or out of memory');
  expect(start(9_000, 8_000)).toBe('the machine went down');
});

test('an error is told in one line, without places in the code', () => {
  start(2_000);
  markCrashed(dataDir, new TypeError(`x is not a function\n${'long '.repeat(200)}`));
  expect(start(3_000)).toBe('an error: x is not a function');
  markCrashed(dataDir, new PinchError('port_taken', 'the port is taken'));
  expect(start(4_000)).toBe('an error: the port is taken');
  markCrashed(dataDir, 'y'.repeat(5_000));
  expect(start(5_000)?.length).toBeLessThan(400);
});

test.each<[string, unknown, string]>([
  [
    'settings that cannot be used, all of them',
    invalid(['TELEGRAM_TOKEN: looks wrong: a number, a colon, letters', 'PINCH_PORT: use 1024 to 65535']),
    'the settings cannot be used: TELEGRAM_TOKEN: looks wrong: a number, a colon, letters; PINCH_PORT: use 1024 to 65535 (correct them in .env or the environment and start again)',
  ],
  [
    'a port in use',
    new PinchError('port_taken', 'cannot listen on 127.0.0.1:7462: another program uses it', {
      hint: 'set PINCH_PORT',
    }),
    'cannot listen on 127.0.0.1:7462: another program uses it (set PINCH_PORT)',
  ],
  ['an unknown error, without its places', new Error('no room\n    at open (file.js:1)'), 'no room'],
])('a start that failed is no run that ended: %s', (_name, error, why) => {
  begin(2_000);
  markCrashed(dataDir, error);
  expect(failedStart(dataDir)).toBe(why);
  expect(start(3_000)).toBe(`a start that failed: ${why}`);
  expect(failedStart(dataDir)).toBeUndefined();
});

test('a start that was killed, or is going on, has not failed', () => {
  begin(2_000);
  expect(failedStart(dataDir)).toBeUndefined();
  expect(start(3_000)).toBe('killed from outside, or out of memory');
  expect(failedStart('/nowhere/at/all')).toBeUndefined();
});

test('the marker of an older Pinch is that of a run', () => {
  writeFileSync(join(dataDir, 'running.json'), JSON.stringify({ pid: 1, startedAt: 2_000, error: 'the disk is full' }));
  expect(start(3_000)).toBe('an error: the disk is full');
});

test('a start that never had the home says nothing about the one that has it', () => {
  writeFileSync(join(dataDir, 'running.json'), JSON.stringify({ pid: process.pid + 1, startedAt: 2_000 }));
  markCrashed(dataDir, new PinchError('already_running', 'another Pinch is running'));
  expect(start(3_000)).toBe('killed from outside, or out of memory');
  markCrashed('/nowhere/at/all', new Error('no home'));
});

test('half a marker is still one', () => {
  writeFileSync(join(dataDir, 'running.json'), '{"pid":');
  expect(start(2_000)).toBe('unknown: its marker cannot be read');
});

test('a start that failed before it had the home is told by the next one, and until then', () => {
  start(2_000);
  const fails = (settings: Record<string, string>) =>
    spawnSync(
      process.execPath,
      [
        '-e',
        `import('./scripts/lib/failed-start.mjs').then(({ keepingWhy }) =>
        keepingWhy(async () => { throw new Error('the settings cannot be used:\\n  - PINCH_PORT: use a number\\n  - TZ: wrong'); }))`,
      ],
      { env: { ...process.env, ...settings } },
    ).status;
  const home = mkdtempSync(join(tmpdir(), 'pinch-home-'));
  expect(fails({ PINCH_HOME: home })).toBe(1);
  dataDir = join(home, 'data');
  expect(failedStart(dataDir)).toBeUndefined();
  mkdirSync(dataDir);
  start(2_000);
  expect(fails({ PINCH_HOME: home })).toBe(1);
  const why = 'the settings cannot be used: PINCH_PORT: use a number; TZ: wrong';
  expect(failedStart(dataDir)).toBe(why);
  expect(start(3_000)).toBe(`a start that failed: ${why}`);
  expect(failedStart(dataDir)).toBeUndefined();
  expect(start(4_000)).toBe('killed from outside, or out of memory');
});
