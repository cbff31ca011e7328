// How long a server asks to wait, in the forms that servers give it. Pure.

const SECONDS = /^\s*(\d+(?:\.\d+)?)\s*(?:s|secs?|seconds?)?\s*(?:,|$)/i;
/** The dates of HTTP, and of ISO; what else the parser of dates would take for one is none. */
const DATE = /^\s*([a-z]{3,9},? \d|\d{4}-\d\d-\d\dT)/i;

/** Whole seconds by `retry-after` and `retry-after-ms`, which the latter says more exactly; undefined when neither can be read. */
export function retryAfterS(after: string | null = '', ms: string | null = '', now: number): number | undefined {
  const [, inMs] = SECONDS.exec(ms ?? '') ?? [];
  if (inMs) return Math.ceil(Number(inMs) / 1_000);
  const [, seconds] = SECONDS.exec(after ?? '') ?? [];
  if (seconds) return Math.ceil(Number(seconds));
  const at = DATE.test(after ?? '') ? Date.parse(after ?? '') : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - now) / 1_000));
}
