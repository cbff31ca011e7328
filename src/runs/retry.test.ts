// What a failed attempt comes to: another one, a pause or the end.
import { describe, expect, test } from 'vitest';
import { decideFailure } from './retry.js';

describe('after a failed attempt', () => {
  const failure = { errorClass: 'network' as const, attempt: 1, retryAfterMs: undefined, parkCount: 0, jitter: 1 };
  test('a network that is gone for hours does not kill a run', () => {
    let waited = 0;
    for (let attempt = 1; attempt < 90; attempt++) {
      const decision = decideFailure({ ...failure, attempt, jitter: 0 });
      if (decision.kind !== 'retry') throw new Error('dead');
      waited += decision.delayMs;
      // Whoever waits need not wait much longer than the outage.
      expect(decision.delayMs).toBeLessThanOrEqual(5 * 60_000);
    }
    expect(waited).toBeGreaterThan(3 * 3_600_000);
    expect(decideFailure({ ...failure, attempt: 90 })).toEqual({ kind: 'dead' });
  });
  test('retry-after is kept, a lost engine costs no attempt, a wrong key parks', () => {
    expect(decideFailure({ ...failure, errorClass: 'rate_limit', retryAfterMs: 90_000 })).toEqual({
      kind: 'retry',
      delayMs: 90_000,
      counted: true,
    });
    expect(decideFailure({ ...failure, errorClass: 'sandbox', attempt: 999 })).toMatchObject({
      kind: 'retry',
      counted: false,
    });
    expect(decideFailure({ ...failure, errorClass: 'auth' })).toEqual({ kind: 'park', delayMs: 15_000 });
    expect(decideFailure({ ...failure, errorClass: 'auth', parkCount: 30 })).toEqual({
      kind: 'park',
      delayMs: 120_000,
    });
  });
  test('back-off grows from 5 s to 30 min', () => {
    expect(
      [1, 2, 3, 9, 10, 99].map((attempt) => decideFailure({ ...failure, errorClass: 'sandbox', attempt })),
    ).toMatchObject([5_000, 10_000, 20_000, 1_280_000, 1_800_000, 1_800_000].map((delayMs) => ({ delayMs })));
  });
});
