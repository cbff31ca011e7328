// A model call as the container sent it: read within limits and checked for what would reach beyond the model or cost more than its
// tokens. The container is untrusted. Knows nothing about back ends or money.
import type { IncomingMessage } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import type { Room } from '../gateway/bounds.js';
import { sizeOf } from '../gateway/scanner.js';
import { PROVIDER_SEARCH } from '../wire.js';
import { readModelBody } from './body.js';
import { type TokenUsage, tokensOf } from './sse.js';

/** An answer of the gateway itself, in the API's error shape. */
export interface Refusal {
  status: number;
  type: string;
  message: string;
}

export interface ModelCall {
  path: string;
  /** `?beta=true` or empty; nothing else of a query is forwarded. */
  query: string;
  body: Buffer[];
  bodyBytes: number;
  /** Long texts in it are replaced by names: only `body` has them. */
  json: z.infer<typeof callBody>;
  /** What asks the back end to count the prompt's tokens. */
  countBody(): Buffer[];
  /** The most that the back end can count, each token at the dearest price it can have. */
  worstCase: TokenUsage;
}

const anything = z.unknown().optional();
const cacheControl = z.object({ ttl: anything }).nullish().catch({ ttl: 'unknown' });
/** Reports one issue for the whole list. */
const objects = (most: number) =>
  z.custom<unknown[]>(
    (list) =>
      Array.isArray(list) && list.length <= most && list.every((one) => typeof one === 'object' && one !== null),
    `a list of ${most} objects at most`,
  );
const callBody = z.looseObject({
  model: z.string().regex(/^[\w.:/@-]{1,200}$/, { error: 'not a model name' }),
  max_tokens: z.int().nonnegative().optional(),
  stream: z.boolean().nullish(),
  system: z.union([z.string(), z.array(z.unknown())]).nullish(),
  tools: objects(1_000)
    .pipe(z.array(z.looseObject({ type: z.string().nullish(), cache_control: cacheControl })))
    .nullish(),
  messages: objects(20_000).pipe(z.array(z.looseObject({ content: anything }))),
  cache_control: cacheControl,
});

/** No model takes a longer prompt; one that is longer is refused by the provider, for nothing. */
const WINDOW_TOKENS = 1_000_000;
/** What the provider counts for one image at most, however large; a file of few bytes may be one of many pixels. */
const IMAGE_TOKENS = 5_000;
/** The provider's own text about the use of tools. */
const TOOLS_TOKENS = 1_000;

/** What one search finds, as the provider counts it: no bound of it is published, this is several times the usual. */
const SEARCH_TOKENS = 15_000;

/** Reads and checks one call; a Refusal says what to answer instead. Throws PinchError `too_many` without room for it. */
export async function readCall(
  request: IncomingMessage,
  { room, maySearch }: { room: Room; maySearch: boolean },
): Promise<ModelCall | Refusal> {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  if (path !== '/v1/messages' && path !== '/v1/messages/count_tokens')
    return { status: 403, type: 'permission_error', message: `only the model's messages are available, not ${path}` };
  if (request.method !== 'POST') return invalid('only POST is available here', 405);
  const sent = await readModelBody(request, room);
  if ('tooLarge' in sent) return { status: 413, type: 'request_too_large', message: sent.tooLarge };
  if (sent.isLarge) await setImmediate();
  const { data: json, error } = callBody.safeParse(sent.json);
  if (error) return invalid(z.prettifyError({ issues: error.issues.slice(0, 5) }).slice(0, 1_000));
  if (path === '/v1/messages' && json.max_tokens === undefined) return invalid('max_tokens: Field required');
  const found = await inspect(json, maySearch);
  if (found.forbidden) return invalid(`${found.forbidden}: not available through this gateway`);
  if (sent.isLarge) await setImmediate();
  // Written anew: a second key of the same name would reach the back end without having been checked.
  const fields = Object.entries<unknown>(Object(sent.json)).map(([name, value]) => ({
    name,
    bytes: sent.bytesOf(value),
  }));
  const body = objectOf(fields);
  const prefix = fields.filter(({ name }) => PREFIX.test(name));
  const sizes = { prefix: sizeOf(objectOf(prefix)), images: sizeOf(sent.bytesOf(found.images)), all: sizeOf(body) };
  const beta = new URLSearchParams(query).get('beta') === 'true';
  return {
    path,
    query: beta ? '?beta=true' : '',
    body,
    bodyBytes: sizes.all,
    countBody: () => objectOf(fields.filter(({ name }) => COUNTED.test(name))),
    json,
    worstCase: worstCaseOf(json, found, sizes),
  };
}

/** JSON of an object from that of its fields. */
function objectOf(fields: { name: string; bytes: Buffer[] }[]): Buffer[] {
  const pieces = fields.flatMap(({ name, bytes }, at) => [
    Buffer.from(`${at === 0 ? '' : ','}${JSON.stringify(name)}:`),
    ...bytes,
  ]);
  return [Buffer.from('{'), ...pieces, Buffer.from('}')];
}

const invalid = (message: string, status = 400): Refusal => ({ status, type: 'invalid_request_error', message });

// Lists of what is allowed, not of what is forbidden: the API grows, and each new field or kind of block may call servers, run code or
// cost more. Not among them, though in the API: service_tier, speed, inference_geo, container, mcp_servers, stored files, and server tools but
// for the search, where the owner switched that on.
const FIELDS =
  /^(model|messages|system|max_tokens|stream|tools|tool_choice|thinking|temperature|top_[pk]|stop_sequences|metadata|cache_control|output_config|output_format|diagnostics)$/;
/** What is read before the messages, and kept with them where they are. */
const PREFIX = /^(system|tools)$/;
const COUNTED = /^(model|messages|system|tools|tool_choice|thinking)$/;
const MESSAGE_KINDS = /^(text|image|document|search_result|tool_use|tool_result|thinking|redacted_thinking)$/;
/** What a search of the provider leaves in the history. */
const SEARCH_KINDS = /^(server_tool_use|web_search_tool_result)$/;
const FOUND_KINDS = /^web_search_(result|tool_result_error)$/;
const RESULT_KINDS = /^(text|image|document|search_result)$/;
const TEXT_KIND = /^text$/;
const MEDIA_KEYS = /^(type|source|cache_control|title|context|citations)$/;
const SOURCE_KEYS = /^(type|media_type|data|content)$/;
const SOURCES: Record<string, RegExp> = {
  image: /^base64 image\/\w+$/,
  document: /^(base64 application\/pdf|text .*|content .*)$/,
};
const LIFETIMES: unknown[] = [undefined, null, '5m', '1h'];

interface Found {
  /** The first thing that is not allowed: with it the provider would do more than answer. */
  forbidden?: string | undefined;
  /** The data of its images. */
  images: unknown[];
  hasPdf: boolean;
  /** The history may have searches of the provider. */
  maySearch: boolean;
  /** How many it may make. */
  searches: number;
  /** How long the cache is to keep the tools and the system text, and the messages: what has been asked for, in any place. */
  prefixTtl: Set<unknown>;
  messageTtl: Set<unknown>;
}

const block = z.looseObject({
  type: z.string(),
  name: anything,
  content: anything,
  source: anything,
  cache_control: cacheControl,
});
const source = z.looseObject({ type: z.string(), media_type: anything, data: anything, content: anything });

const searchTool = z.strictObject({
  type: z.literal(PROVIDER_SEARCH.type),
  name: z.literal(PROVIDER_SEARCH.name),
  max_uses: z.int().min(1).max(PROVIDER_SEARCH.max_uses),
  cache_control: cacheControl,
});

async function inspect(json: ModelCall['json'], maySearch: boolean): Promise<Found> {
  const found: Found = {
    ...{ images: [], hasPdf: false, maySearch, searches: 0 },
    ...{ prefixTtl: new Set(), messageTtl: new Set() },
  };
  found.forbidden = Object.keys(json).find((name) => !FIELDS.test(name));
  for (const tool of json.tools ?? []) {
    const search = maySearch ? searchTool.safeParse(tool).data : undefined;
    found.searches += search?.max_uses ?? 0;
    if (!search && (tool.type ?? 'custom') !== 'custom') found.forbidden ??= tool.type ?? undefined;
    noteLifetime(found, found.prefixTtl, tool.cache_control);
  }
  noteLifetime(found, found.messageTtl, json.cache_control);
  inspectContent(found, json.system, TEXT_KIND, found.prefixTtl);
  for (const [index, { content }] of json.messages.entries()) {
    if (index % 100 === 99) await setImmediate();
    inspectContent(found, content, MESSAGE_KINDS, found.messageTtl);
  }
  return found;
}

function inspectContent(found: Found, content: unknown, kinds: RegExp, ttl: Set<unknown>): void {
  if (content === undefined || content === null || typeof content === 'string') return;
  if (!Array.isArray(content)) found.forbidden ??= 'content that is neither text nor a list';
  for (const one of Array.isArray(content) ? content : []) {
    const { data, error } = block.safeParse(one);
    const isSearch = found.maySearch && kinds === MESSAGE_KINDS && SEARCH_KINDS.test(data?.type ?? '');
    if (
      error ||
      !(kinds.test(data.type) || isSearch) ||
      (data.type === 'server_tool_use' && data.name !== 'web_search')
    ) {
      found.forbidden ??= `a block of type ${data?.type}`;
      return;
    }
    noteLifetime(found, ttl, data.cache_control);
    if (data.type === 'image' || data.type === 'document') inspectMedia(found, data, ttl);
    else if (typeof data.source === 'object' && data.source !== null) found.forbidden ??= `a source of a ${data.type}`;
    if (isSearch) inspectContent(found, [data.content ?? []].flat(), FOUND_KINDS, ttl);
    else inspectContent(found, data.content, data.type === 'search_result' ? TEXT_KIND : RESULT_KINDS, ttl);
  }
}

function inspectMedia(found: Found, media: z.infer<typeof block>, ttl: Set<unknown>): void {
  const { data: from } = source.safeParse(media.source);
  const kind = `${from?.type} ${from?.media_type ?? ''}`;
  const keys = [
    ...Object.keys(media).filter((key) => !MEDIA_KEYS.test(key)),
    ...Object.keys(from ?? {}).filter((key) => !SOURCE_KEYS.test(key)),
  ];
  if (!from || !SOURCES[media.type]?.test(kind)) found.forbidden ??= `a source of type ${from?.type}`;
  if (keys.length > 0) found.forbidden ??= `${keys[0]} of a ${media.type}`;
  if (media.type === 'image') found.images.push(from?.data);
  if (kind === 'base64 application/pdf') found.hasPdf = true;
  inspectContent(found, from?.content, /^(text|image)$/, ttl);
}

function noteLifetime(found: Found, ttl: Set<unknown>, control: z.infer<typeof cacheControl>): void {
  if (!control) return;
  if (!LIFETIMES.includes(control.ttl)) found.forbidden ??= `a cache lifetime of ${control.ttl}`;
  ttl.add(control.ttl ?? '5m');
}

/**
 * No token is shorter than a byte. How many pages a PDF has, which are counted one by one, cannot be seen from its size. What is to be
 * cached costs more: everything from the first byte up to the mark.
 */
function worstCaseOf(json: ModelCall['json'], found: Found, bytes: Record<'prefix' | 'images' | 'all', number>) {
  const toolsTokens = json.tools?.length ? TOOLS_TOKENS : 0;
  const counted = bytes.all - bytes.images + found.images.length * IMAGE_TOKENS + toolsTokens;
  const all = found.hasPdf ? WINDOW_TOKENS : Math.min(WINDOW_TOKENS, counted);
  const prefix = Math.min(all, bytes.prefix + toolsTokens);
  const usage: TokenUsage = { ...tokensOf({}), outputTokens: json.max_tokens ?? 0, webSearches: found.searches };
  usage[writtenAs([...found.prefixTtl, ...found.messageTtl])] += prefix;
  usage[writtenAs([...found.messageTtl])] += all - prefix;
  return usage;
}

/**
 * The worst case with what the searches of the call may add: what each finds, and the prompt with all that was found before, read again after each.
 * Pure.
 */
export function withSearches(worstCase: TokenUsage): TokenUsage {
  const { webSearches: times, inputTokens, cacheWrite5mTokens, cacheWrite1hTokens, cacheReadTokens } = worstCase;
  if (times === 0) return worstCase;
  const written = (['cacheWrite1hTokens', 'cacheWrite5mTokens'] as const).find((kind) => worstCase[kind] > 0);
  const prompt = inputTokens + cacheWrite5mTokens + cacheWrite1hTokens + cacheReadTokens;
  const usage = { ...worstCase };
  usage[written ?? 'inputTokens'] += times * SEARCH_TOKENS;
  usage[written ? 'cacheReadTokens' : 'inputTokens'] += times * prompt + (SEARCH_TOKENS * times * (times - 1)) / 2;
  return usage;
}

/** A count is an estimate, says the provider. */
const COUNT_MARGIN = 1.1;

/** The worst case of a prompt whose tokens were counted: never more than by its bytes; the dearest kinds of tokens first. Pure. */
export function worstCaseCounted(worstCase: TokenUsage, countedTokens: number): TokenUsage {
  const usage = { ...worstCase };
  let left = Math.ceil(countedTokens * COUNT_MARGIN) + TOOLS_TOKENS;
  for (const kind of ['cacheWrite1hTokens', 'cacheWrite5mTokens', 'inputTokens', 'cacheReadTokens'] as const) {
    usage[kind] = Math.min(usage[kind], left);
    left -= usage[kind];
  }
  return usage;
}

function writtenAs(lifetimes: unknown[]): 'cacheWrite1hTokens' | 'cacheWrite5mTokens' | 'inputTokens' {
  if (lifetimes.includes('1h')) return 'cacheWrite1hTokens';
  return lifetimes.length > 0 ? 'cacheWrite5mTokens' : 'inputTokens';
}
