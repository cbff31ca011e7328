import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { PinchError } from '../core/errors.js';
import { markCrashed, markEnded, markRunning } from './last-run.js';

const BOOTED_AT = 1_000;
let dataDir: string;
const start = (now: number, bootedAt = BOOTED_AT) => markRunning(dataDir, now, bootedAt);

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
