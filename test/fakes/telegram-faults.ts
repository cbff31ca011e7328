// What may go wrong with a call, on a test's order: an error answer, silence, a cut connection, or a lost acceptance.
// Knows nothing about methods or chats.

export interface Fault {
  /** Answers with this HTTP status and error shape instead of performing the call. */
  status?: number;
  /** Telegram's usual text for the status unless told. */
  description?: string;
  parameters?: Record<string, number>;
  /** A raw body instead of the error shape, e.g. a proxy's HTML page. */
  body?: string;
  /** Performs the call first; then the client gets the rest of this fault, a cut connection when it says nothing else. */
  after?: 'accepted';
  /** Waits this long before the rest; `Infinity`: until the client gives up. Alone it is only a slow answer. */
  hangMs?: number;
  /** Cuts the connection instead of answering. */
  dropConnection?: boolean;
}

export interface Faults {
  /** The next `times` (1) calls of `method` fail so; `*` is any method, `file` a download. Orders queue up. */
  next(method: string, fault: Fault, times?: number): void;
  /** Every call fails so, after the queued orders, until `clear`. */
  always(method: string, fault: Fault): void;
  /** Forgets the faults of one method, or all. */
  clear(method?: string): void;
  /** Takes the fault due for this call. */
  take(method: string): Fault | undefined;
}

const DESCRIPTIONS: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
};

export function createFaults(): Faults {
  const queued = new Map<string, Fault[]>();
  const standing = new Map<string, Fault>();
  // Method names are not case-sensitive, on the real server either.
  const key = (method: string) => method.toLowerCase();
  return {
    next(method, fault, times = 1) {
      const list = queued.get(key(method)) ?? [];
      for (let n = 0; n < times; n += 1) list.push(fault);
      queued.set(key(method), list);
    },
    always(method, fault) {
      standing.set(key(method), fault);
    },
    clear(method) {
      if (method === undefined) {
        queued.clear();
        standing.clear();
        return;
      }
      queued.delete(key(method));
      standing.delete(key(method));
    },
    take(method) {
      for (const name of [key(method), '*']) {
        const due = queued.get(name)?.shift() ?? standing.get(name);
        if (due) return due;
      }
      return undefined;
    },
  };
}

/** The body of an error answer, exactly as the Bot API shapes it. */
export function errorBody(status: number, description?: string, parameters?: Record<string, number>): string {
  const retryAfter = parameters?.retry_after;
  const usual = status === 429 ? `Too Many Requests: retry after ${retryAfter ?? 0}` : DESCRIPTIONS[status];
  return JSON.stringify({
    ok: false,
    error_code: status,
    description: description ?? usual ?? 'Internal Server Error',
    ...(parameters && { parameters }),
  });
}
