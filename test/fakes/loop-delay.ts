// How long a piece of work holds the event loop, beside what this machine does to any work right now. For tests.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';

/** The longest turn of the event loop while `work` went on, ms: by the clock, and in processor time, which other programs do not add to. */
export async function longestTurn(work: () => Promise<unknown>): Promise<{ wallMs: number; busyMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let busyMs = 0;
  let running = true;
  const watch = async () => {
    while (running) {
      const [at, used] = [performance.now(), process.cpuUsage()];
      await setImmediate();
      const { user, system } = process.cpuUsage(used);
      // Other threads of ours (collecting garbage, compiling) count as used, but do not hold anybody.
      busyMs = Math.max(busyMs, Math.min((user + system) / 1_000, performance.now() - at));
    }
  };
  delay.enable();
  const watching = watch();
  await work();
  await setImmediate();
  running = false;
  await watching;
  delay.disable();
  return { wallMs: delay.max / 1e6, busyMs };
}

/** The same of work that gives way every 2 ms, for a second. */
export function longestHarmlessTurn() {
  return longestTurn(async () => {
    const end = performance.now() + 1_000;
    while (performance.now() < end) {
      const slice = performance.now() + 2;
      while (performance.now() < slice);
      await setImmediate();
    }
  });
}

/**
 * A check that work does not hold the loop: 20 ms on a quiet machine, of which the figures that are printed tell. What fails is what takes
 * many times as long, which no other program on the machine explains.
 */
export async function createLoopCheck() {
  const harmless = await longestHarmlessTurn();
  const allowedMs = 60 + 5 * harmless.busyMs;
  process.stdout.write(`harmless work: ${harmless.wallMs.toFixed(0)} ms, allowed: ${allowedMs.toFixed(0)} ms\n`);
  return async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const { wallMs, busyMs } = await longestTurn(work);
    process.stdout.write(`${name}: ${busyMs.toFixed(0)} ms busy, ${wallMs.toFixed(0)} ms by the clock\n`);
    if (busyMs > allowedMs) throw new Error(`${name} held the event loop for ${busyMs} ms`);
  };
}
