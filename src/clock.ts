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

export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  at(at, fire) {
    let timer: NodeJS.Timeout;
    const step = () => {
      const left = at - Date.now();
      timer = left <= 0 ? setTimeout(fire, 0) : setTimeout(step, Math.min(left, MAX_STEP_MS));
    };
    step();
    return { cancel: () => clearTimeout(timer) };
  },
  sleep(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        handle.cancel();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const handle = systemClock.at(Date.now() + ms, done);
      signal?.addEventListener('abort', done, { once: true });
    });
  },
};
