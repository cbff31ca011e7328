// How tests check a property: with as many examples as its time allows, but never fewer than some. Knows nothing about what is checked.
import fc from 'fast-check';

/** The same examples each time, so that a change is what makes a test fail; PINCH_TEST_SEED tries others. */
export const SEED = Number(process.env.PINCH_TEST_SEED ?? 20_261_130);
/** A busy machine tries fewer examples instead of failing. */
const TIME_MS = 2_000;

/** `minRuns` are tried however long they take. */
interface Runs {
  numRuns?: number;
  minRuns?: number;
}

/** As fc.assert, with the seed and the smallest example when it fails. PINCH_TEST_RUNS: so many examples, in any time. */
export async function holds<T>(property: fc.IRawProperty<T>, { numRuns = 100, minRuns = 20 }: Runs = {}) {
  const wanted = process.env.PINCH_TEST_RUNS;
  await fc.assert(property, { seed: SEED, numRuns: Number(wanted ?? minRuns) });
  const limits = { interruptAfterTimeLimit: TIME_MS, markInterruptAsFailure: false };
  if (!wanted) await fc.assert(property, { seed: SEED + 1, numRuns: numRuns - minRuns, ...limits });
}
