// Waiting that ends at once when the work is stopped. Knows nothing about what is waited for.

/** The run was stopped from outside or by its time limit. */
export class Stopped extends Error {
  constructor() {
    super('stopped: the work was cancelled');
    this.name = 'Stopped';
  }
}

/** `work`, or a rejection with `Stopped` as soon as `signal` aborts; what `work` does later is ignored. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => undefined);
  if (signal.aborted) return Promise.reject(new Stopped());
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Stopped());
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
