// Counts what vitest's JSON report says. Pure.

/**
 * @typedef {{ numPassedTests: number, numFailedTests: number,
 *   testResults: { status: string, assertionResults: { status: string }[] }[] }} VitestReport
 */

/**
 * A file that could not be loaded counts as one failed test, and so does a run that failed without naming any.
 * @param {VitestReport | undefined} results none when vitest wrote no report
 * @param {number} exitCode vitest's
 */
export function countResults(results, exitCode) {
  if (!results) return { passed: 0, failed: 1 };
  const broken = results.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = results.numFailedTests + broken;
  return { passed: results.numPassedTests, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}
