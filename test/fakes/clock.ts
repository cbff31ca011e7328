// A clock the test turns by hand.
import type { Clock } from '../../src/core/clock.js';

export interface FakeClock extends Clock {
  /** Moves time and fires what became due, in order. */
  advance(ms: number): Promise<void>;
  /** Somebody sets the clock: nothing fires by itself, and lengths of time that were waited for stay as long as they were. */
  set(to: number): void;
}

export function createFakeClock(start = Date.UTC(2026, 10, 21, 9)): FakeClock {
  let now = start;
  let timers: { at: number; fire: () => void; isLength?: boolean }[] = [];
  const clock: FakeClock = {
    now: () => now,
    random: () => 0.7654321,
    at(at, fire) {
      const timer = { at, fire };
      timers.push(timer);
      return {
        cancel: () => {
          timers = timers.filter((other) => other !== timer);
        },
      };
    },
    sleep(ms, signal) {
      return new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const done = () => {
          handle.cancel();
          signal?.removeEventListener('abort', done);
          resolve();
        };
        const handle = clock.at(now + ms, done);
        Object.assign(timers.at(-1) ?? {}, { isLength: true });
        signal?.addEventListener('abort', done);
      });
    },
    set(to) {
      for (const timer of timers) if (timer.isLength) timer.at += to - now;
      now = to;
    },
    async advance(ms) {
      const until = now + ms;
      for (;;) {
        const next = timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        timers = timers.filter((timer) => timer !== next);
        now = Math.max(now, next.at);
        next.fire();
        // Lets promise chains behind the timer run before the next one fires.
        await new Promise(setImmediate);
      }
      now = until;
      await new Promise(setImmediate);
    },
  };
  return clock;
}
