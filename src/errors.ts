// The one error type of Pinch: a stable code for logs and tests, a message for people, a hint that says what to do next.

export interface PinchErrorOptions {
  /** True when the same call may succeed later without anybody changing anything. */
  retryable?: boolean;
  /** What the reader should do next, one sentence. */
  hint?: string;
  cause?: unknown;
}

export class PinchError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: PinchErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'PinchError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.hint = options.hint;
  }
}

/** Any thrown value as one line of text for people and logs; never throws. */
export function describeError(error: unknown): string {
  if (error instanceof PinchError && error.hint) return `${error.message} (${error.hint})`;
  return error instanceof Error ? error.message : String(error);
}
