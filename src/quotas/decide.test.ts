import { expect, test } from 'vitest';
import { isDue, type Level, levelOf, mostOf, mustEnd, shareOf } from './decide.js';

const quota = { bytes: 1_000, files: 100 };
const none = { bytes: Number.POSITIVE_INFINITY, files: Number.POSITIVE_INFINITY };

test.each([
  [{ bytes: 500, files: 10, isHidden: false }, 0.5],
  [{ bytes: 500, files: 120, isHidden: false }, 1.2],
  [{ bytes: 0, files: 0, isHidden: true }, 1.01],
])('%j is this part of the quota: %d', (use, share) => expect(shareOf(use, quota)).toBe(share));

test.each<[number, Level, Level]>([
  [1, 'ok', 'ok'],
  [1.01, 'ok', 'full'],
  [0.97, 'full', 'full'],
  [0.95, 'full', 'ok'],
  [1.3, 'ok', 'far'],
  [1.2, 'far', 'full'],
])('%d, which was %s before: %s', (share, before, level) => expect(levelOf(share, before)).toBe(level));

test('a container is ended when it is far past the quota and goes on; one that cleans up is not', () => {
  expect([mustEnd(1.2, 0), mustEnd(1.3, 0), mustEnd(2, 2), mustEnd(1.9, 2), mustEnd(2.1, 2)]).toEqual([
    ...[false, true, false, false, true],
  ]);
});

test('counting goes on far enough to see that a group which is far past its quota still grows', () => {
  expect(mostOf(quota, 0)).toEqual({ bytes: 2_000, files: 200 });
  expect(mostOf(quota, 7)).toEqual({ bytes: 8_000, files: 800 });
  expect(JSON.parse(JSON.stringify(mostOf(none, 0)))).toEqual({ bytes: Number.MAX_SAFE_INTEGER, files: 5_000_000 });
});

const calm = { level: 'ok' as Level, sinceMs: 60_000, tookMs: 10, gone: { bytes: 0, files: 0 }, isLive: true };
test.each([
  ['nothing happened for a minute', {}, false],
  ['nothing happened for long', { sinceMs: 300_000 }, true],
  ['it has no container', { sinceMs: 300_000, isLive: false }, false],
  ['the disk has less room', { gone: { bytes: 60, files: 0 }, sinceMs: 2_000 }, true],
  ['the disk has room for fewer files', { gone: { bytes: 0, files: 6 }, sinceMs: 2_000 }, true],
  ['it was counted just now', { gone: { bytes: 900, files: 0 }, sinceMs: 1_900 }, false],
  ['counting takes long', { gone: { bytes: 900, files: 0 }, sinceMs: 60_000, tookMs: 7_000 }, false],
  ['somebody may be making room', { level: 'full' as Level, sinceMs: 5_000 }, true],
])('counted again when %s: %j is %s', (_name, change, due) => {
  expect(isDue({ ...calm, ...change }, quota)).toBe(due);
});
