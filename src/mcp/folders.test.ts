import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../core/clock.js';
import { measure, readText } from './folders.js';

const root = mkdtempSync(join(tmpdir(), 'pinch-folders-'));
mkdirSync(join(root, 'a', 'b', 'c'), { recursive: true });
mkdirSync(join(root, 'elsewhere'));
writeFileSync(join(root, 'elsewhere', 'large'), Buffer.alloc(1_000_000));
for (let n = 0; n < 1_200; n += 1) writeFileSync(join(root, 'a', 'b', `${n}`), 'x'.repeat(100));
symlinkSync(join(root, 'elsewhere'), join(root, 'a', 'b', 'c', 'link'));
symlinkSync(join(root, 'elsewhere', 'large'), join(root, 'a', 'package-lock.json'));

test('a folder is measured at every level, and no link in it is followed', async () => {
  const { bytes, files } = await measure(systemClock, root, 'a', { bytes: 1e9, files: 1e9 });
  expect(files).toBe(1_204);
  expect(bytes).toBeGreaterThan(120_000);
  expect(bytes).toBeLessThan(500_000);
});

test('once there is too much, the rest is not looked at', async () => {
  expect((await measure(systemClock, root, 'a', { bytes: 1e9, files: 1 })).files).toBe(2);
  expect((await measure(systemClock, root, 'gone', { bytes: 1, files: 1 })).files).toBe(0);
});

test('a file is read when it is a plain one, and not too large', () => {
  expect(readText(root, 'a', 'package-lock.json', 2_000_000)).toBeUndefined();
  expect(readText(root, 'elsewhere', 'large', 999_999)).toBeUndefined();
  expect(readText(root, 'a/b', '7', 100)).toBe('x'.repeat(100));
});
