// What a session's shell remembers between calls and runs: the working directory, background jobs, the order of writers.
import type { Job } from '../processes.js';

export interface Shell {
  cwd: string;
  jobs: Map<string, { job: Job; runId: number; command: string }>;
  /** Runs writers (bash, write, edit) one after the other, in the order they were called. */
  inOrder<T>(work: () => Promise<T>): Promise<T>;
}

/** A fresh shell in `cwd`; one per session, as long as the container lives. */
export function createShell(cwd: string): Shell {
  let last: Promise<unknown> = Promise.resolve();
  return {
    cwd,
    jobs: new Map(),
    inOrder(work) {
      const next = last.then(work, work);
      last = next.catch(() => undefined);
      return next;
    },
  };
}
