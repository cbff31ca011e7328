// Time and chance as arguments: the only file that reads the wall clock, sets a timer or draws a random number.

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** 0 <= n < 1. */
  random(): number;
  /**
   * Calls `fire` once at or after `at` (epoch ms), however far away; `cancel` is harmless after firing. Should somebody set the clock back, it is
   * called when as much time has passed as was left: whoever waits for a time of day looks again then.
   */
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

/** What `work` resolved with; undefined when that takes longer than `ms`, or fails. Ends nothing, never rejects. */
export async function atMost<T>(clock: Pick<Clock, 'sleep'>, ms: number, work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController();
  const late = clock.sleep(ms, over.signal).then(() => undefined);
  const result = await Promise.race([work.catch(() => undefined), late]);
  over.abort();
  return result;
}

/**
 * Aborts after `ms`, also as one of several in `AbortSignal.any`: there Node, before 24, forgets a time limit that nobody listens to, and what
 * hangs hangs for ever.
 */
export function timeLimit(ms: number): AbortSignal {
  const limit = AbortSignal.timeout(ms);
  limit.addEventListener('abort', () => undefined);
  return limit;
}

/** The pause after so many failures in a row (from 1), ms: the first, doubled up to the longest. `jitter` 0..1 takes up to a quarter off, so that not all come back at once. */
export const backoffMs = (failures: number, jitter: number, [firstMs, maxMs]: readonly [number, number]): number =>
  Math.round(Math.min(firstMs * 2 ** (failures - 1), maxMs) * (0.75 + jitter / 4));

export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  at(at, fire) {
    const end = performance.now() + at - Date.now();
    return wait(() => Math.min(at - Date.now(), end - performance.now()), fire);
  },
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
