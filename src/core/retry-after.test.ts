import { expect, test } from 'vitest';
import { retryAfterS } from './retry-after.js';

const now = Date.parse('2026-11-30T12:00:00Z');

test.each<[string | null, string | null, number | undefined]>([
  ['5', null, 5],
  ['0.5', null, 1],
  ['5s', null, 5],
  ['60 seconds', null, 60],
  ['5, 5', null, 5],
  ['Mon, 30 Nov 2026 12:01:00 GMT', null, 60],
  ['Monday, 30-Nov-26 12:01:00 GMT', null, 60],
  ['2026-11-30T12:01:00Z', null, 60],
  ['Mon, 30 Nov 2020 12:01:00 GMT', null, 0],
  [null, '1500', 2],
  ['7', '1500', 2],
  ['7', 'abc', 7],
  ['', '', undefined],
  ['-5', null, undefined],
  ['soon', null, undefined],
  ['in 3 days', null, undefined],
  ['Infinity', 'Infinity', undefined],
  [null, null, undefined],
])('retry-after %j, retry-after-ms %j', (after, ms, seconds) => expect(retryAfterS(after, ms, now)).toBe(seconds));
