// Waiting without polling: a waiter looks again each time something happened. Knows nothing about Telegram.

export interface Waiters {
  /** Something changed: every waiter looks again. */
  notify(): void;
  /**
   * Resolves with the first value `look` gives that is not undefined. Rejects with what `look` throws, or after
   * `timeoutMs`, saying `what` was awaited.
   */
  until<T>(look: () => T | undefined, timeoutMs: number, what: () => string): Promise<T>;
}

export function createWaiters(): Waiters {
  const looks = new Set<() => void>();
  return {
    notify() {
      for (const look of [...looks]) look();
    },
    async until(look, timeoutMs, what) {
      const first = look();
      if (first !== undefined) return first;
      return new Promise((resolve, reject) => {
        const end = () => {
          clearTimeout(timer);
          looks.delete(again);
        };
        const again = () => {
          try {
            const value = look();
            if (value === undefined) return;
            end();
            resolve(value);
          } catch (error) {
            // It belongs to who waits: thrown on from here it would cut the call that woke us.
            end();
            reject(error);
          }
        };
        const timer = setTimeout(() => {
          end();
          reject(new Error(`waited ${timeoutMs} ms for ${what()}`));
        }, timeoutMs);
        looks.add(again);
      });
    },
  };
}
