// The one error type of Pinch: a stable code for logs and tests, a message for people, a hint that says what to do next.

export class PinchError extends Error {
  /** What the reader should do next, one sentence. */
  readonly hint: string | undefined;

  constructor(
    readonly code: string,
    message: string,
    { hint, cause }: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.name = 'PinchError';
    this.hint = hint;
  }
}

/** Any thrown value as one line of text for people and logs; never throws. */
export function describeError(error: unknown): string {
  if (error instanceof PinchError && error.hint) return `${error.message} (${error.hint})`;
  return error instanceof Error ? error.message : String(error);
}
