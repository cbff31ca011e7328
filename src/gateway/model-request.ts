// A model call as the container sent it: read within a limit, parsed, and checked for what would reach beyond the model. The container
// is untrusted. Knows nothing about back ends or money.
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { PinchError } from '../errors.js';
import { readJson } from './body.js';
import type { Room } from './bounds.js';

export const BODY_LIMIT_BYTES = 32 * 1024 * 1024;

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
  body: Buffer;
  json: z.infer<typeof callBody>;
  /** Bytes that become tokens; an image counts as a bounded number, however large its file. */
  billableBytes: number;
}

const callBody = z.looseObject({
  model: z.string().regex(/^[\w.:/@-]{1,200}$/, { error: 'not a model name' }),
  max_tokens: z.int().nonnegative().optional(),
  stream: z.boolean().nullish(),
  tools: z.array(z.looseObject({ type: z.string().nullish() })).nullish(),
  messages: z.array(z.unknown()),
});

/** Reads and checks one call; a Refusal says what to answer instead. Throws PinchError `too_many` without room for it. */
export async function readCall(request: IncomingMessage, room: Room): Promise<ModelCall | Refusal> {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  if (path !== '/v1/messages' && path !== '/v1/messages/count_tokens')
    return { status: 403, type: 'permission_error', message: `only the model's messages are available, not ${path}` };
  if (request.method !== 'POST') return invalid('only POST is available here', 405);
  const sent = await readJson(request, BODY_LIMIT_BYTES, room).catch((error: unknown) => error);
  if (sent instanceof PinchError && sent.code !== 'too_large') throw sent;
  if (sent instanceof PinchError) return { status: 413, type: 'request_too_large', message: sent.message };
  const { data: json, error } = callBody.safeParse(sent);
  if (error) return invalid(z.prettifyError(error));
  if (path === '/v1/messages' && json.max_tokens === undefined) return invalid('max_tokens: Field required');
  const blocks = blocksIn(json.messages);
  const reach = outsideReach(json, blocks);
  if (reach) return invalid(`${reach}: not available through this gateway`);
  // Written anew: a second key of the same name would reach the back end without having been checked.
  const body = Buffer.from(JSON.stringify(sent));
  const savedBytes = blocks.reduce((sum, block) => sum + imageBytes(block), 0);
  const beta = new URLSearchParams(query).get('beta') === 'true';
  return { path, query: beta ? '?beta=true' : '', body, json, billableBytes: body.length - savedBytes };
}

const invalid = (message: string, status = 400): Refusal => ({ status, type: 'invalid_request_error', message });

// A list of what is allowed, not of what is forbidden: the API grows, and each new field may call servers, run code or cost more.
const ALLOWED_FIELDS =
  /^(model|messages|system|max_tokens|stream|tools|tool_choice|thinking|temperature|top_[pk]|stop_sequences|metadata|cache_control|output_config|output_format|diagnostics)$/;
const ALLOWED_SOURCES: unknown[] = [undefined, 'base64', 'text', 'content'];

/** Names the first thing the provider would do beyond answering: another field, a server's tool, a source it would have to fetch. */
function outsideReach(json: ModelCall['json'], blocks: Block[]): string | undefined {
  const field = Object.keys(json).find((name) => !ALLOWED_FIELDS.test(name));
  const tool = json.tools?.find(({ type }) => (type ?? 'custom') !== 'custom');
  const block = blocks.find(({ source }) => !ALLOWED_SOURCES.includes(source.type));
  return field ?? tool?.type ?? (block && `a source of type ${block.source.type}`);
}

const anything = z.unknown().optional();
const source = z.object({ type: anything, media_type: anything, data: anything, content: anything }).partial();
const block = z.object({ content: anything, source: source.catch({}) }).catch({ content: undefined, source: {} });
type Block = z.infer<typeof block>;

/** Messages and their content blocks, with those inside tool results and documents. */
function blocksIn(nodes: unknown): Block[] {
  if (!Array.isArray(nodes)) return [];
  const blocks = nodes.map((node) => block.parse(node));
  return blocks.flatMap((node) => [node, ...blocksIn(node.content), ...blocksIn(node.source.content)]);
}

const IMAGE_BYTES = 15_000;

/** How many bytes of an image's file are not billed. */
function imageBytes({ source: { type, media_type, data } }: Block): number {
  const isImage = type === 'base64' && String(media_type).startsWith('image/') && typeof data === 'string';
  return isImage ? Math.max(0, data.length - IMAGE_BYTES) : 0;
}
