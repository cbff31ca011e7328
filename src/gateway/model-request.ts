// A model call as the container sent it: read within a limit, parsed, and checked for what would reach beyond the model. The container
// is untrusted. Knows nothing about back ends or ledgers.
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { TokenUsage } from './sse.js';

export const BODY_LIMIT_BYTES = 32 * 1024 * 1024;

/** An answer of the gateway itself, in the API's error shape. */
export interface Refusal {
  status: number;
  type: string;
  message: string;
  /** `details.error_code`. */
  code?: string;
}

export interface ModelCall {
  path: '/v1/messages' | '/v1/messages/count_tokens';
  /** `?beta=true` or empty; nothing else of a query is forwarded. */
  query: string;
  body: Buffer;
  json: z.infer<typeof callBody>;
}

const callBody = z.looseObject({
  model: z.string().regex(/^[\w.:/@-]{1,200}$/, { error: 'not a model name' }),
  max_tokens: z.int().nonnegative().optional(),
  stream: z.boolean().nullish(),
  tools: z.array(z.looseObject({ type: z.string().nullish() })).nullish(),
  messages: z.array(z.unknown()),
  system: z.unknown().optional(),
});

/** Reads and checks one call; a Refusal says what to answer instead, undefined that the caller left while sending. Never rejects. */
export async function readCall(
  request: IncomingMessage,
  allowedModels?: ReadonlySet<string>,
): Promise<ModelCall | Refusal | undefined> {
  const [path, query = ''] = (request.url ?? '').split('?');
  if (path !== '/v1/messages' && path !== '/v1/messages/count_tokens') {
    return refuse(
      403,
      'permission_error',
      `only /v1/messages and /v1/messages/count_tokens are available, not ${path}`,
    );
  }
  if (request.method !== 'POST') return refuse(405, 'invalid_request_error', 'only POST is available here');
  const body = await readBody(request);
  if (body === 'left') return undefined;
  if (body === 'too large')
    return refuse(413, 'request_too_large', `the request is larger than ${BODY_LIMIT_BYTES} bytes`);
  const value = parseJson(body);
  const parsed = callBody.safeParse(value);
  if (!parsed.success) return refuse(400, 'invalid_request_error', z.prettifyError(parsed.error));
  const json = parsed.data;
  if (path === '/v1/messages' && json.max_tokens === undefined) {
    return refuse(400, 'invalid_request_error', 'max_tokens: Field required');
  }
  if (allowedModels && !allowedModels.has(json.model)) {
    return refuse(400, 'invalid_request_error', `the model ${json.model} is not allowed for this group`);
  }
  const reach = outsideReach(json);
  if (reach) return refuse(400, 'invalid_request_error', `${reach}: not available through this gateway`);
  return {
    path,
    query: new URLSearchParams(query).get('beta') === 'true' ? '?beta=true' : '',
    // Written anew: a second key of the same name would reach the back end without having been checked.
    body: Buffer.from(JSON.stringify(value)),
    json,
  };
}

function refuse(status: number, type: string, message: string): Refusal {
  return { status, type, message };
}

/** The whole body. One that is too large is read to its end, or else the answer would be lost, but not kept. */
async function readBody(request: IncomingMessage): Promise<Buffer | 'too large' | 'left'> {
  let chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request) {
      size += chunk.length;
      if (size <= BODY_LIMIT_BYTES) chunks.push(chunk);
      else chunks = [];
      // Somebody who goes on and on is cut off.
      if (size > 4 * BODY_LIMIT_BYTES) break;
    }
  } catch {
    return 'left';
  }
  return size > BODY_LIMIT_BYTES ? 'too large' : Buffer.concat(chunks);
}

/** Undefined when it is not JSON. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

// What the provider would do on the container's behalf: call other servers, run code, keep state, charge other prices.
const ALLOWED_FIELDS: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'max_tokens',
  'system',
  'tools',
  'tool_choice',
  'stream',
  'stop_sequences',
  'metadata',
  'thinking',
  'cache_control',
  'output_config',
  'output_format',
  'context_management',
  'compaction',
  'diagnostics',
  'temperature',
  'top_p',
  'top_k',
]);

/**
 * Names the first part of a request that would get around the container's missing network (server tools, MCP servers, images fetched by
 * URL, stored files) or around the price list (fast mode, fallbacks); undefined when there is none. Pure.
 */
export function outsideReach(json: z.infer<typeof callBody>): string | undefined {
  const field = Object.keys(json).find((name) => !ALLOWED_FIELDS.has(name));
  if (field) return field;
  const tool = json.tools?.find(({ type }) => type !== undefined && type !== null && type !== 'custom');
  if (tool) return `the tool type ${tool.type}`;
  return findBlock(json.messages, ({ type, source }) => {
    const kind = sourceType.safeParse(source).data?.type;
    return (type === 'image' || type === 'document') && (kind === 'url' || kind === 'file')
      ? `a source of type ${kind}`
      : undefined;
  });
}

const sourceType = z.object({ type: z.string() });
const contentHolder = z.object({ type: z.unknown(), source: z.unknown(), content: z.unknown() }).partial();
type Holder = z.infer<typeof contentHolder>;

/** Walks content blocks, those in messages and in tool results and documents alike. */
function findBlock<T>(nodes: unknown, look: (block: Holder) => T | undefined): T | undefined {
  if (!Array.isArray(nodes)) return undefined;
  for (const node of nodes) {
    const block = contentHolder.safeParse(node).data;
    if (!block) continue;
    const inSource = contentHolder.safeParse(block.source).data?.content;
    const found = look(block) ?? findBlock(block.content, look) ?? findBlock(inSource, look);
    if (found !== undefined) return found;
  }
  return undefined;
}

const IMAGE_TOKENS = 5_000;
const imageSource = z.object({
  type: z.literal('base64'),
  media_type: z.string().startsWith('image/'),
  data: z.string(),
});

/** Bytes of a request as far as they become tokens: the pixels of an image cost a bounded number, however large the file. */
export function billableBytes({ json, body }: Pick<ModelCall, 'json' | 'body'>, bytesPerToken: number): number {
  let bytes = body.length;
  findBlock(json.messages, ({ source }) => {
    const image = imageSource.safeParse(source).data;
    if (image) bytes += Math.min(0, IMAGE_TOKENS * bytesPerToken - image.data.length);
    return undefined;
  });
  return bytes;
}

/** The dearest way to read so many tokens that the request allows for: plain, or written to the cache. */
export function dearestInput({ body }: Pick<ModelCall, 'body'>, tokens: number): Omit<TokenUsage, 'outputTokens'> {
  const none = { inputTokens: 0, cacheReadTokens: 0, cacheWrite5mTokens: 0, cacheWrite1hTokens: 0 };
  if (!body.includes('cache_control')) return { ...none, inputTokens: tokens };
  return body.includes('"1h"') ? { ...none, cacheWrite1hTokens: tokens } : { ...none, cacheWrite5mTokens: tokens };
}
