// Time and chance as arguments: the only file that reads the wall clock, sets a timer or draws a random number.

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** 0 <= n < 1. */
  random(): number;
  /** Calls `fire` once at or after `at` (epoch ms), however far away; `cancel` is harmless after firing. */
  at(at: number, fire: () => void): { cancel(): void };
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

// setTimeout fires at once above 2^31-1 ms (24.8 days), and a laptop's clock may jump while asleep: wait in short steps.
const MAX_STEP_MS = 60_000;

function wait(left: () => number, fire: () => void): { cancel(): void } {
  let timer: NodeJS.Timeout;
  const step = () => {
    const ms = left();
    timer = ms <= 0 ? setTimeout(fire, 0) : setTimeout(step, Math.min(ms, MAX_STEP_MS));
  };
  step();
  return { cancel: () => clearTimeout(timer) };
}

export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  at: (at, fire) => wait(() => at - Date.now(), fire),
  sleep(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        handle.cancel();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      // A length of time, whatever somebody sets the clock to meanwhile.
      const end = performance.now() + ms;
      const handle = wait(() => end - performance.now(), done);
      signal?.addEventListener('abort', done, { once: true });
    });
  },
};
