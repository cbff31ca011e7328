// How everything ends: what may take seconds goes together, and nothing is waited for longer than a service manager would wait for us.
import { atMost } from '../core/clock.js';
import type { BaseDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';

interface Stoppable {
  stop(): void | Promise<void>;
}
export type Stages = ReturnType<typeof createStages>;

/** What has been started so far, so that an end in the middle of a start ends that much. */
export function createStages() {
  const parts = new Map<string, Stoppable>();
  let isOver = false;
  return {
    isOver: () => isOver,
    /** What is started after the end has come is ended at once. */
    add(name: string, part: Stoppable | undefined): void {
      if (isOver) void part?.stop();
      else if (part) parts.set(name, part);
    },
    /** Begins to end each. */
    stopAll(): Record<string, Promise<void>> {
      isOver = true;
      return Object.fromEntries([...parts].map(([name, part]) => [name, (async () => part.stop())()]));
    },
  };
}

/** Waits for `parts` until all have ended, `ms` at most; the log names those that have not, or failed. Never rejects. */
export async function endWithin(
  { clock, log }: BaseDeps,
  ms: number,
  parts: Record<string, Promise<unknown>>,
): Promise<void> {
  const left = new Set(Object.keys(parts));
  const failed = (part: string) => (error: unknown) =>
    log.error({ part, error: describeError(error) }, 'a part of Pinch did not end well');
  const each = Object.entries(parts).map(([name, part]) => part.catch(failed(name)).finally(() => left.delete(name)));
  await atMost(clock, ms, Promise.all(each));
  if (left.size > 0) log.warn({ left: [...left], ms }, 'some parts of Pinch did not end in time');
}
