import { existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createStopSwitch } from './stop-switch.js';

test.each<[string, (file: string) => void]>([
  ['an empty file', (file) => writeFileSync(file, '')],
  ['half a file', (file) => writeFileSync(file, '{"reas')],
  ['a link to nowhere', (file) => symlinkSync('/nowhere/at/all', file)],
  ['a folder', (file) => mkdirSync(join(file, 'with something in it'), { recursive: true })],
])('%s in the place of the stop file means stopped, until it is resumed', (_, make) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'pinch-stop-'));
  make(join(dataDir, 'stop.json'));
  const found = createStopSwitch(dataDir, () => 1);
  expect(found.stopped()).toBe(true);
  found.resume();
  expect([found.stopped(), createStopSwitch(dataDir, () => 1).stopped()]).toEqual([false, false]);
});

test('a stop that cannot be looked for means stopped; a stop survives a restart', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'pinch-stop-'));
  expect(createStopSwitch(join(dataDir, 'x'.repeat(5_000)), () => 1).stopped()).toBe(true);
  const first = createStopSwitch(dataDir, () => 1);
  expect(first.stopped()).toBe(false);
  first.stop('enough');
  expect(createStopSwitch(dataDir, () => 1).stopped()).toBe(true);
  expect(existsSync(join(dataDir, 'stop.json'))).toBe(true);
});
