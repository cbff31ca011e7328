// What went wrong with a model call: by status, by the API's own name for it, and by the words of back ends that say it otherwise. Pure.
import { AnthropicError, APIConnectionError, APIError } from '@anthropic-ai/sdk';
import * as z from 'zod';
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

const MODERATED =
  /moderation|flagged|content[_ ](policy|filter)|safety (system|filter)|violat|inappropriate|harmful|(prohibited|unsafe|sensitive) content/i;
/** Not every back end has a status for that. */
const WRONG_KEY =
  /(invalid|incorrect|expired|missing) (x-)?api[ -_]?key|api[ -_]?key (is )?(not valid|invalid|expired|missing)|organization has been disabled/i;

/** The first one that fits. */
const ERROR_KINDS: ErrorKind[] = [
  // The gateway's own word: nobody was there who could be broken.
  {
    kind: /^502/,
    says: /the model server \S+ could not be reached/,
    errorClass: 'network',
    what: 'no answer from the model',
  },
  { kind: /^402|billing_error/, errorClass: 'billing', what: 'the model back end asks for money' },
  { kind: /^4(00|03|29)/, says: NO_MONEY, errorClass: 'billing', what: 'the model back end asks for money' },
  { kind: /^400/, says: WRONG_KEY, errorClass: 'auth', what: 'the model back end refused the key' },
  { kind: /^429|rate_limit/, errorClass: 'rate_limit', what: 'the model back end limits our rate' },
  // One request was refused; the key is fine.
  { kind: /^403/, says: MODERATED, errorClass: 'invalid_request', what: 'the model back end refused the request' },
  { kind: /^40[13]/, errorClass: 'auth', what: 'the model back end refused the key' },
  {
    kind: /^(3|4(04|05|10))/,
    errorClass: 'invalid_request',
    what: 'the model back end has no such address, or no such model',
  },
  {
    kind: /^4(00|13|22)|invalid_request_error/,
    errorClass: 'invalid_request',
    what: 'the model back end refused the request',
  },
  {
    kind: /^(5|408|409|425|498)|overloaded_error|api_error/,
    errorClass: 'overloaded',
    what: 'the model back end is overloaded or broken',
  },
  // An error in the middle of an answer, by its words alone.
  {
    kind: /^$/,
    says: /overload|capacity|try again|temporar|time[d ]*out|unavailable|upstream/i,
    errorClass: 'overloaded',
    what: 'the model back end is overloaded or broken',
  },
];
const OTHER_KIND: ErrorKind = { errorClass: 'unknown', what: 'the model back end failed' };

/** The class of any thrown value, by which the host decides what to do next, and a line for people. Never throws. */
export function classifyError(error: unknown): { errorClass: ErrorClass; message: string; retryAfterMs?: number } {
  const hasReply = error instanceof APIError && !(error instanceof APIConnectionError);
  const all = hasReply ? wordsOf(error) : describeError(error);
  const why = head(wellFormed((hasReply && whyOf(error.error)) || withoutTags(describeError(error))), 2_000);
  if (!(error instanceof AnthropicError)) return { errorClass: 'crash', message: `the agent runner failed: ${why}` };
  if (!hasReply) return { errorClass: 'network', message: `no whole reply from the model: ${why}` };
  const name = `${statusOf(error) ?? ''} ${error.type ?? ''}`.trim();
  const fits = ({ kind, says }: ErrorKind) => kind?.test(name) && (says?.test(all) ?? true);
  const { errorClass, what } = ERROR_KINDS.find(fits) ?? OTHER_KIND;
  const waitMs = Math.ceil(Number(error.headers?.get('retry-after') ?? Number.NaN) * 1_000);
  return { errorClass, message: `${what} (${name}): ${why}`, ...(waitMs >= 0 && { retryAfterMs: waitMs }) };
}

/** Some say it in an answer that began well, as a code. */
function statusOf({ status, error }: APIError): number | undefined {
  return status ?? coded.safeParse(error).data?.error.code;
}
const coded = z.object({ error: z.object({ code: z.coerce.number().int().min(400).max(599) }) });

/** All that it says, its codes too. */
const wordsOf = ({ message, error }: APIError): string => `${message} ${JSON.stringify(error) ?? ''}`;

/** The words of a page that a proxy answered with. */
const withoutTags = (text: string): string =>
  /<(html|!doctype)/i.test(text)
    ? text
        .replace(/<(style|script)\b.*?<\/\1>|<[^>]*>/gis, ' ')
        .replace(/\s+/g, ' ')
        .trim()
    : text;

const reasons = z.object({ error: z.unknown(), message: z.unknown(), detail: z.unknown() }).partial();

/** What an error says in words, wherever a back end puts them. */
function whyOf(body: unknown): string | undefined {
  if (typeof body === 'string') return body;
  const { error, message, detail } = reasons.safeParse(body).data ?? {};
  const said = [error, message, detail].map((one) => (one === undefined ? undefined : whyOf(one)));
  return said.find((one) => one !== undefined);
}

/** How back ends say that a conversation does not fit. */
const TOO_LONG = [
  /(prompt|input|request|conversation|messages?) (is |are |was |were )?too (long|large|big)/i,
  /(reduce|shorten) (the |your )?(length|size|number) of (the |your )?(messages|prompt|input|conversation)/i,
  /context[_ -]?(length|window|size|limit)/i,
  /too many (total )?(input |prompt )?(tokens|text bytes)/i,
  /exceed(s|ed|ing)? (the |its |your |this )?((model|max(imum)?|allowed|configured|token|input|prompt|context|sequence|message)('s)?[ _]?)*(limit|length|size|tokens)/i,
  /exceeds? the (maximum number of tokens|token window)/i,
  /token (count|limit) (is )?exceed/i,
  /(prompt|input|conversation|context)( length| size| tokens)? (is (over|above|beyond) |exceeds )(the |its )?(limit|maximum|\d)/i,
  /context is full|n_ctx|max(imum)? input (characters|tokens)/i,
  /(longer|larger|greater|more) than the (model|maximum|context)/i,
  /range of input length should be/i,
  /maximum (input|prompt|context|sequence) (length|size)/i,
  /input token count/i,
  /`?inputs`? (tokens|must have)/i,
  /(输入|上下文|提示|prompt|内容|消息).{0,12}(超|过长)|超出?.{0,8}(上下文|最大长度)|コンテキスト長/i,
];
/** A number of tokens, perhaps as 128k or 131,072; of nothing else. */
const NUMBER = '(\\d{1,3}(?:,\\d{3})+|\\d+)(?:\\s?([km])\\b)?(?!,?\\d| *(?:[km]?b|bytes|characters|chars|letters)\\b)';
/** Where they name the limit, in tokens; the first one that fits. */
const LIMIT_NAMED = [
  `[<>]=? *(?:n_ctx \\(*)?${NUMBER}`,
  `n_ctx\\W+${NUMBER}`,
  `\\[\\d+, *${NUMBER}\\]`,
  // Up to four words without a number stand between; "exceeded by 3000" names none.
  `(?:context|max(?:imum)?|exceeds|最大长度|コンテキスト長は|limit|window|available|allowed|only|up to|less than|at most)(?:\\b|(?<=[^\\x00-\\x7f]))(?: (?!(?:by|characters|exceed\\w*)\\b)[a-z']+){0,4}[ :(=]*${NUMBER}`,
  `${NUMBER} (?:tokens? )?max`,
].map((pattern) => new RegExp(pattern, 'i'));
const UNITS: Record<string, number> = { k: 1_000, m: 1_000_000 };
/** No conversation fits into less: such a number means something else. */
const LEAST_LIMIT = 1_000;

function limitIn(says: string): number | undefined {
  for (const pattern of LIMIT_NAMED) {
    const [, digits = '', unit = ''] = pattern.exec(says) ?? [];
    const limit = Number(digits.replaceAll(',', '')) * (UNITS[unit.toLowerCase()] ?? 1);
    if (limit >= LEAST_LIMIT) return limit;
  }
  return undefined;
}

/** Statuses that are about who asks, how often or when, never about what is asked. */
const NOT_ABOUT_REQUEST = [401, 402, 403, 408, 429, 503, 529];
const isAboutRequest = (error: unknown): error is APIError =>
  error instanceof APIError &&
  !(error instanceof APIConnectionError) &&
  !NOT_ABOUT_REQUEST.includes(statusOf(error) ?? 0) &&
  !/rate_limit|overloaded/.test(error.type ?? '');

/** How large a picture is, no conversation. */
const OF_PICTURE = /pixels|dimensions/i;

/** That the conversation does not fit, and the most tokens that do where the back end names it; undefined for any other error. */
export function tooLong(error: unknown): { limit?: number } | undefined {
  if (!isAboutRequest(error)) return undefined;
  const says = wordsOf(error);
  if (OF_PICTURE.test(says)) return undefined;
  if (error.status !== 413 && !TOO_LONG.some((pattern) => pattern.test(says))) return undefined;
  const limit = limitIn(says);
  return limit ? { limit } : {};
}

/** The length of a reply, by the names it has in requests, and what is wrong with it. */
const REPLY_LENGTH =
  /max[_ ]?(output|completion|new)?[_ ]?tokens|maximum (number of )?tokens you requested|(output|completion) tokens/i;
const TOO_MUCH =
  /[<>]|exceed|too (large|high|big|many|much)|at most|maximum (allowed|value|is|of)|(less|lower|smaller) than|range|between|up to|超|非法/i;
const OF_INPUT = /context|input|prompt/i;
const OF_WINDOW = /context (length|window|size)( is| of|:)? *\d/i;
const LEAST_OUTPUT = 256;

/** The most tokens of a reply when `asked` was too much: what the back end names, else half; undefined for any other error. */
export function outputLimit(error: unknown, asked: number): number | undefined {
  if (!isAboutRequest(error) || asked <= LEAST_OUTPUT) return undefined;
  const says = whyOf(error.error) ?? error.message.replace(/^\d+ /, '');
  const at = says.search(REPLY_LENGTH);
  const ofInput = says.search(OF_INPUT);
  // What is said of the input first, or of the whole window, is about the conversation.
  const isAboutInput = (ofInput >= 0 && ofInput < at) || OF_WINDOW.test(says);
  if (at < 0 || !TOO_MUCH.test(says) || isAboutInput) return undefined;
  const named = [...says.matchAll(new RegExp(NUMBER, 'g'))].map(([, digits = '']) =>
    Number(digits.replaceAll(',', '')),
  );
  const fitting = named.filter((limit) => limit >= LEAST_OUTPUT && limit < asked);
  return fitting.length > 0 ? Math.max(...fitting) : Math.floor(asked / 2);
}

/** Whether what does not fit is the conversation and the room for its reply together. */
export const isOfBoth = (error: unknown): boolean =>
  error instanceof APIError && /max[_ ]?\w*tokens|completion|output/i.test(wordsOf(error));

/** What of a request a back end refused for itself, so that the rest may go through without it. */
export function refusedPart(error: unknown): 'thinking' | 'media' | undefined {
  if (!isAboutRequest(error)) return undefined;
  if (/signature|thinking/i.test(error.message)) return 'thinking';
  const isAboutMedia = /\b(image|picture|document|pdf|media|vision|multimodal|base64)|password|图片|图像/i.test(
    error.message,
  );
  return isAboutMedia ? 'media' : undefined;
}
