import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { HANG_MS } from './test/limits.js';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'container/agent-runner/src/**/*.test.ts', 'test/**/*.test.ts'],
    // For hangs alone, as HANG_MS is: a test is not slow because the machine is.
    testTimeout: 2 * HANG_MS,
    hookTimeout: 3 * HANG_MS,
    expect: { poll: { timeout: HANG_MS } },
    // Vitest leaves one core free, which is half of a small machine; the tests with daemons mostly wait.
    maxWorkers: Math.max(3, availableParallelism()),
  },
});
