// The time limits of all tests. The first two bound a hang and measure nothing; the third is for promises that are made in seconds.

/**
 * How long a test waits for what must happen. A machine that does ten other things must not fail it, and it is shorter than the limit
 * of a whole test (vitest.config.ts), so that the failure names what was awaited.
 */
export const HANG_MS = 120_000;

/** The limit of a test that runs whole programs over and over: compilers, linters, other tests, killed commands. */
export const PROOF_MS = 10 * HANG_MS;

/**
 * How long a promise made for a quiet machine may take on one that is four times as busy, ms. What such a test has to tell apart is an
 * end that waits for something else (a tool of ten minutes, an engine that never answers), and that stays far beyond.
 */
export const whenBusy = (promisedMs: number): number => promisedMs * 4;
