// What went wrong with a model call: by status, by the API's own name for it, and by the words of back ends that say it otherwise. Pure.
import { AnthropicError, APIConnectionError, APIError } from '@anthropic-ai/sdk';
import { describeError } from '../../../src/core/errors.js';
import { type ErrorClass, NO_MONEY } from '../../../src/wire.js';
import { head, wellFormed } from './text.js';

interface ErrorKind {
  /** Matches the status and the API's name, such as `429 rate_limit_error`. */
  kind?: RegExp;
  /** Matches what it says. */
  says?: RegExp;
  errorClass: ErrorClass;
  what: string;
}

const MODERATED = /moderation|flagged|content[_ ](policy|filter)|safety (system|filter)|violat/i;

/** The first one that fits. */
const ERROR_KINDS: ErrorKind[] = [
  { kind: /^402|billing_error/, errorClass: 'billing', what: 'the model back end asks for money' },
  { kind: /^4(00|03|29)/, says: NO_MONEY, errorClass: 'billing', what: 'the model back end asks for money' },
  { kind: /^429|rate_limit_error/, errorClass: 'rate_limit', what: 'the model back end is limiting our rate' },
  // One request was refused; the key is fine.
  { kind: /^403/, says: MODERATED, errorClass: 'invalid_request', what: 'the model back end refused the request' },
  { kind: /^40[13]/, errorClass: 'auth', what: 'the model back end refused the credential' },
  {
    kind: /^4(00|04|13|22)|invalid_request_error/,
    errorClass: 'invalid_request',
    what: 'the model back end refused the request',
  },
  {
    kind: /^5|overloaded_error|api_error/,
    errorClass: 'overloaded',
    what: 'the model back end is overloaded or broken',
  },
];
const OTHER_KIND: ErrorKind = { errorClass: 'unknown', what: 'the model back end failed' };

/** The class of any thrown value, by which the host decides what to do next, and a line for people. Never throws. */
export function classifyError(error: unknown): { errorClass: ErrorClass; message: string; retryAfterMs?: number } {
  const hasReply = error instanceof APIError && !(error instanceof APIConnectionError);
  const why = head(wellFormed((hasReply && error.apiMessage) || describeError(error)), 2_000);
  if (!(error instanceof AnthropicError)) return { errorClass: 'crash', message: `the agent runner failed: ${why}` };
  if (!hasReply) return { errorClass: 'network', message: `no whole reply from the model: ${why}` };
  const name = `${error.status ?? ''} ${error.type ?? ''}`.trim();
  const fits = ({ kind, says }: ErrorKind) => kind?.test(name) && (says?.test(why) ?? true);
  const { errorClass, what } = ERROR_KINDS.find(fits) ?? OTHER_KIND;
  const waitMs = Math.ceil(Number(error.headers?.get('retry-after') ?? Number.NaN) * 1_000);
  return { errorClass, message: `${what} (${name}): ${why}`, ...(waitMs >= 0 && { retryAfterMs: waitMs }) };
}

/** How back ends say that a conversation does not fit. */
const TOO_LONG = [
  /(prompt|input|request|conversation|messages?) (is|are) too long/i,
  /context[_ ](length|window|size|limit)/i,
  /too many (input |prompt )?tokens/i,
  /exceeds? (the |its |your )?(model|max(imum)?)?[ _]?(token|input|prompt|context)?[ _]?(limit|max length|length|tokens)/i,
  /exceeded (the |its |your )?(model )?token limit/i,
  /exceeds? the maximum number of tokens/i,
  /range of input length should be/i,
  /maximum (input|prompt|context|sequence) (length|size)/i,
];
/** Where they name the limit, in tokens. */
const LIMIT_NAMED = [
  /> *(\d{3,8})/,
  /\[\d+, *(\d{3,8})\]/,
  /allowed \((\d{3,8})\)/,
  /(?:limit|maximum(?: \w+){0,2}|length|size|window)(?: of| is|:)? *(\d{3,8})/i,
];

/** That the conversation does not fit, and the most tokens that do where the back end names it; undefined for any other error. */
export function tooLong(error: unknown): { limit?: number } | undefined {
  if (!(error instanceof APIError)) return undefined;
  const says = error.message;
  if (error.status !== 413 && !TOO_LONG.some((pattern) => pattern.test(says))) return undefined;
  const named = LIMIT_NAMED.map((pattern) => Number(pattern.exec(says)?.[1] ?? 0)).find(Boolean);
  return named ? { limit: named } : {};
}

/** How they name the longest reply that they give, in tokens. */
const REPLY_LIMIT = [
  /max_tokens\D{0,20}\d+ *> *(\d{3,7})/i,
  /at most (\d{3,7}) (?:completion|output) tokens/i,
  /max_(?:completion_)?tokens\b.{0,60}(?:at most|less than or equal to|<=|maximum(?: value)?(?: is| of)?|\[1,) *(\d{3,7})/i,
];

/** The longest reply that the back end gives, when it was asked for a longer one. */
export function replyLimit(error: unknown): number | undefined {
  if (!(error instanceof APIError) || (error.status !== 400 && error.status !== 422)) return undefined;
  return REPLY_LIMIT.map((pattern) => Number(pattern.exec(error.message)?.[1] ?? 0)).find(Boolean);
}

/** What of a request a back end refused for itself, so that the rest may go through without it. */
export function refusedPart(error: unknown): 'thinking' | 'media' | undefined {
  if (!(error instanceof APIError) || error.status === undefined || ![400, 413, 422].includes(error.status))
    return undefined;
  if (/signature|thinking/i.test(error.message)) return /thinking/i.test(error.message) ? 'thinking' : undefined;
  const isAboutMedia = /\b(image|picture|document|pdf|media|vision|multimodal)/i.test(error.message);
  return isAboutMedia ? 'media' : undefined;
}
