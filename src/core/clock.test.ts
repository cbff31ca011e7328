// Waiting for others: not for ever, and longer after each failure.
import { expect, test } from 'vitest';
import { atMost, backoffMs, systemClock } from './clock.js';

test('what takes longer than its time, or fails, is waited for no more', async () => {
  expect(await atMost(systemClock, 600_000, Promise.resolve('done'))).toBe('done');
  expect(await atMost(systemClock, 600_000, Promise.reject(new Error('no')))).toBeUndefined();
  expect(await atMost(systemClock, 1, new Promise(() => undefined))).toBeUndefined();
});

test('pauses double up to the longest, and jitter takes a quarter off', () => {
  expect([1, 2, 3, 9, 99].map((failures) => backoffMs(failures, 1, [1_000, 60_000]))).toEqual([
    1_000, 2_000, 4_000, 60_000, 60_000,
  ]);
  expect(backoffMs(1, 0, [1_000, 60_000])).toBe(750);
});
