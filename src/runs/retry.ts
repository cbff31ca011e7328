// What a failed attempt leads to, by error class: wait and try again, park the group, or be dead. Pure.
import { backoffMs } from '../core/clock.js';
import type { ErrorClass } from '../wire.js';

type FailureDecision =
  | { kind: 'retry'; delayMs: number; counted: boolean }
  /** All runs of the group wait; a person has to act (or the day has to end). The attempt is refunded. */
  | { kind: 'park'; delayMs: number }
  | { kind: 'dead' };

/**
 * Attempts before a run is dead. With those that a model back end causes which is away, a run outlasts hours: somebody waits for the first answer
 * after them, so their pauses are short.
 */
const MAX_ATTEMPTS: Partial<Record<ErrorClass, number>> = {
  invalid_request: 2,
  // A check script that failed is not tried again.
  check: 1,
  // It would fill the disk again.
  disk: 1,
  timeout: 2,
  // A full disk or a missing image also ends here: give the owner ten minutes.
  crash: 8,
  unknown: 4,
};
const IS_AWAY = /^(network|overloaded|rate_limit)$/;
const OUTLAST_OUTAGES = 90;

const FIRST_DELAY_MS = 5_000;
const MAX_DELAY_MS = 30 * 60_000;
const MAX_DELAY_AWAY_MS = 5 * 60_000;
const FIRST_PARK_MS = 15_000;
const MAX_PARK_MS: Partial<Record<ErrorClass, number>> = {
  auth: 2 * 60_000,
  billing: 30 * 60_000,
  budget: 30 * 60_000,
};

export interface Failure {
  errorClass: ErrorClass;
  /** The attempt that failed, from 1; those that a dying host cut off are not counted. */
  attempt: number;
  /** Tries that a task allows its runs; the class decides when it allows more. */
  maxAttempts?: number | undefined;
  /** What the other side asked for, ms. */
  retryAfterMs?: number | undefined;
  /** It is not worth while to wait longer: another model may answer by then. */
  withinMs?: number | undefined;
  /** Our own refusal that ended it: `isOwn` when the cap is that of the run or its task alone, else how long until the cap begins anew, ms. */
  refused?: { isOwn: boolean; waitMs: number } | undefined;
  /** How often the group was parked in a row. */
  parkCount: number;
  jitter: number;
}

export function decideFailure(failure: Failure): FailureDecision {
  const { errorClass, attempt, jitter } = failure;
  if (failure.refused?.isOwn) return { kind: 'dead' };
  const longestPark = MAX_PARK_MS[errorClass];
  if (longestPark) {
    const delayMs = Math.min(FIRST_PARK_MS * 2 ** failure.parkCount, longestPark);
    return { kind: 'park', delayMs: failure.refused ? Math.max(failure.refused.waitMs, FIRST_PARK_MS) : delayMs };
  }
  const most = Math.min(MAX_ATTEMPTS[errorClass] ?? OUTLAST_OUTAGES, failure.maxAttempts ?? Number.POSITIVE_INFINITY);
  if (errorClass !== 'sandbox' && attempt >= most) return { kind: 'dead' };
  const longest = IS_AWAY.test(errorClass) ? MAX_DELAY_AWAY_MS : MAX_DELAY_MS;
  const waitMs = Math.max(
    backoffMs(attempt, jitter, [FIRST_DELAY_MS, longest]),
    Math.min(failure.retryAfterMs ?? 0, 24 * 3_600_000),
  );
  const delayMs = Math.min(waitMs, failure.withinMs ?? waitMs);
  return { kind: 'retry', delayMs, counted: errorClass !== 'sandbox' };
}
