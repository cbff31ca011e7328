// How long a piece of work holds the event loop, beside what this machine does to any work right now. For tests.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';

/** The longest time, ms, in which no timer could run while `work` went on. */
export async function worstDelayMs(work: () => Promise<unknown>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  await setImmediate();
  delay.disable();
  return delay.max / 1e6;
}

/** The same of work that gives way every 2 ms: on a busy machine even that is held up. */
export function baselineMs(): Promise<number> {
  return worstDelayMs(async () => {
    const end = performance.now() + 1_000;
    while (performance.now() < end) {
      const slice = performance.now() + 2;
      while (performance.now() < slice);
      await setImmediate();
    }
  });
}

/** What no input from a container may exceed on a machine that does `baseline` to harmless work. */
export const allowedMs = (baseline: number): number => 20 + 5 * baseline;
