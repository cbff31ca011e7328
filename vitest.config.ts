import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { HANG_MS } from './test/limits.js';

/** Begun last, these would run on alone. */
const LONGEST =
  /\/test\/(skills|skills-command|update|chaos\/(storm|odd-answers|tasks)|attack\/attack|toy-domain|toy-skill|e2e\/(mcp|ends|restart|page-control))\.test\.ts$/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLongest = ({ moduleId }: TestSpecification) => LONGEST.test(moduleId);
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))];
  }
}

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'container/agent-runner/src/**/*.test.ts', 'test/**/*.test.ts'],
    // For hangs alone, as HANG_MS is: a test is not slow because the machine is.
    testTimeout: 2 * HANG_MS,
    hookTimeout: 3 * HANG_MS,
    expect: { poll: { timeout: HANG_MS } },
    sequence: { sequencer: LongestFirst },
    // Vitest leaves one core free, which is half of a small machine; the tests with daemons wait for half of their time.
    maxWorkers: Math.max(4, availableParallelism()),
  },
});
