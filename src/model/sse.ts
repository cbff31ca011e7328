// The usage in a reply of the Messages API, read off its raw bytes.
// Knows nothing about HTTP, prices or back ends.
import { StringDecoder } from 'node:string_decoder';
import { z } from 'zod';
import { parseJson } from '../gateway/body.js';

const count = z.number().nonnegative().catch(0);
const rawUsage = z.object({
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
  cache_creation: z.object({ ephemeral_1h_input_tokens: count }).catch({ ephemeral_1h_input_tokens: 0 }),
  server_tool_use: z.object({ web_search_requests: count }).catch({ web_search_requests: 0 }),
});

/** What OpenRouter and others say that the call cost, in USD; with a key of another provider, that one's bill comes on top. */
const reportedCost = z.object({
  cost: z.number().nonnegative(),
  is_byok: z.boolean().catch(false),
  cost_details: z.object({ upstream_inference_cost: count }).catch({ upstream_inference_cost: 0 }),
});

/** Micro USD; undefined where the reply does not say. */
function reportedMicroUsd(usage: object): number | undefined {
  const { data } = reportedCost.safeParse(usage);
  if (!data) return undefined;
  const usd = data.cost + (data.is_byok ? data.cost_details.upstream_inference_cost : 0);
  return Math.ceil(Number((usd * 1e6).toFixed(6)));
}

/** Token counts of one call in the parts that have different prices, and its searches. */
export type TokenUsage = ReturnType<typeof tokensOf>;

/** Reads the API's `usage` object; what is missing or no number counts as 0. */
export function tokensOf(usage: object) {
  const raw = rawUsage.parse(usage);
  const cacheWrite1hTokens = raw.cache_creation.ephemeral_1h_input_tokens;
  return {
    inputTokens: raw.input_tokens,
    outputTokens: raw.output_tokens,
    cacheReadTokens: raw.cache_read_input_tokens,
    // Writes without a split are five-minute ones, the default.
    cacheWrite5mTokens: Math.max(0, raw.cache_creation_input_tokens - cacheWrite1hTokens),
    cacheWrite1hTokens,
    webSearches: raw.server_tool_use.web_search_requests,
  };
}

const usage = z.record(z.string(), z.unknown()).optional().catch(undefined);
const text = z.string().catch('');
const usageEvent = z.object({
  type: text,
  message: z.object({ usage }).optional().catch(undefined),
  usage,
  stop_reason: text,
  delta: z.object({ stop_reason: text }).optional().catch(undefined),
  error: z.object({ type: text }).optional().catch(undefined),
});

// A line longer than this is no event whose usage we need; it must not fill the memory.
const MAX_LINE_CHARS = 1024 * 1024;

/** How a block with results of a search begins; in any other place of JSON its quotes are escaped. */
const SEARCH_RESULT = '"web_search_tool_result"';

/** Reads usage from a reply: `feed` takes bytes of an event stream, cut anywhere, `feedWhole` a JSON body. Neither throws. */
export type UsageTap = ReturnType<typeof createUsageTap>;

/** `onSearch` is called once, before `feed` or `feedWhole` returns with the first result of a search. */
export function createUsageTap(onSearch: () => void = () => undefined) {
  const decoder = new StringDecoder('utf8');
  const seen = { complete: false, hasStopped: false, isWhole: false, stopReason: '', error: '' };
  let raw: Record<string, unknown> = {};
  let line = '';
  let lookedAt = '';
  let hasSearched = false;

  /** Not in `take`: results may be longer than the lines that are kept, and their beginning must not pass before they are seen. */
  function lookForSearch(text: string): void {
    if (hasSearched) return;
    hasSearched = (lookedAt + text).includes(SEARCH_RESULT);
    lookedAt = (lookedAt + text).slice(-SEARCH_RESULT.length);
    if (hasSearched) onSearch();
  }

  function take(json: string): void {
    const event = usageEvent.safeParse(parseJson(json)).data;
    if (!event) return;
    const { message, delta } = event;
    // Later counts replace earlier ones, but a null says nothing.
    const given = Object.entries({ ...message?.usage, ...event.usage }).filter(([, value]) => value !== null);
    raw = { ...raw, ...Object.fromEntries(given) };
    seen.complete ||= event.usage !== undefined;
    seen.hasStopped ||= event.type === 'message_stop';
    seen.error = event.error?.type ?? seen.error;
    seen.stopReason = delta?.stop_reason || event.stop_reason || seen.stopReason;
  }

  return {
    feed(chunk: Buffer): void {
      const text = decoder.write(chunk);
      lookForSearch(text);
      const end = text.lastIndexOf('\n') + 1;
      const complete = end > 0 ? (line + text.slice(0, end - 1)).split('\n') : [];
      line = end > 0 ? text.slice(end) : line + text;
      if (line.length > MAX_LINE_CHARS) line = '';
      for (const one of complete) {
        if (one.startsWith('data:')) take(one.slice(5));
        // The blank line that ends an event.
        else if (one.trim() === '') seen.isWhole ||= seen.hasStopped;
      }
    },
    feedWhole(json: string): void {
      lookForSearch(json);
      take(json);
    },
    /** The event with which a stream ends was read to its end. */
    isWhole: () => seen.isWhole,
    result: () => ({
      usage: tokensOf(raw),
      reportedMicroUsd: reportedMicroUsd(raw),
      /** The input counts are the provider's. */
      started: Object.keys(raw).length > 0,
      /** All counts are: `message_delta`, or a whole reply, was read. */
      complete: seen.complete,
      stopReason: seen.stopReason || null,
      /** The reply was begun, and given up for this reason. */
      isOverloaded: seen.error === 'overloaded_error',
    }),
  };
}
