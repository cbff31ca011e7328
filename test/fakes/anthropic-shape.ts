// The shape of a Messages API request as zod schemas (unknown keys are errors, as in the API), and the models the fake knows.
// Of the server tools only the web search is modelled: Pinch sends no other, so the fake refuses them.
import { z } from 'zod';

const cacheControl = z.strictObject({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).optional() }).nullish();

const textBlock = z.strictObject({
  type: z.literal('text'),
  text: z.string(),
  cache_control: cacheControl,
  citations: z.array(z.unknown()).nullish(),
});
const imageBlock = z.strictObject({
  type: z.literal('image'),
  source: z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('base64'),
      media_type: z.enum(['image/jpeg', 'image/png', 'image/gif', 'image/webp']),
      data: z.string(),
    }),
    z.strictObject({ type: z.literal('url'), url: z.string() }),
  ]),
  cache_control: cacheControl,
});
const documentBlock = z.strictObject({
  type: z.literal('document'),
  source: z.record(z.string(), z.unknown()),
  title: z.string().nullish(),
  context: z.string().nullish(),
  citations: z.unknown().optional(),
  cache_control: cacheControl,
});
const toolId = z.string().regex(/^[a-zA-Z0-9_-]+$/, { error: "String should match pattern '^[a-zA-Z0-9_-]+$'" });
const toolUseBlock = z.strictObject({
  type: z.literal('tool_use'),
  id: toolId,
  name: z.string().min(1).max(200),
  input: z.record(z.string(), z.unknown()),
  cache_control: cacheControl,
  caller: z.strictObject({ type: z.literal('direct') }).optional(),
});
const toolResultBlock = z.strictObject({
  type: z.literal('tool_result'),
  tool_use_id: toolId,
  content: z
    .union([z.string(), z.array(z.discriminatedUnion('type', [textBlock, imageBlock, documentBlock]))])
    .optional(),
  is_error: z.boolean().optional(),
  cache_control: cacheControl,
});
const thinkingBlock = z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() });
const redactedBlock = z.strictObject({ type: z.literal('redacted_thinking'), data: z.string() });
const compactionBlock = z.strictObject({
  type: z.literal('compaction'),
  content: z.string().nullish(),
  cache_control: cacheControl,
});
const caller = z.strictObject({ type: z.literal('direct') }).optional();
const serverToolId = z
  .string()
  .regex(/^srvtoolu_[a-zA-Z0-9_]+$/, { error: "String should match pattern '^srvtoolu_[a-zA-Z0-9_]+$'" });
const serverToolUseBlock = z.strictObject({
  type: z.literal('server_tool_use'),
  id: serverToolId,
  name: z.literal('web_search'),
  input: z.strictObject({ query: z.string() }),
  cache_control: cacheControl,
  caller,
});
const foundPage = z.strictObject({
  type: z.literal('web_search_result'),
  url: z.string(),
  title: z.string(),
  encrypted_content: z.string(),
  page_age: z.string().nullish(),
});
const searchResultBlock = z.strictObject({
  type: z.literal('web_search_tool_result'),
  tool_use_id: serverToolId,
  content: z.union([
    z.array(foundPage),
    z.strictObject({ type: z.literal('web_search_tool_result_error'), error_code: z.string() }),
  ]),
  cache_control: cacheControl,
  caller,
});
const block = z.discriminatedUnion('type', [
  serverToolUseBlock,
  searchResultBlock,
  textBlock,
  imageBlock,
  documentBlock,
  toolUseBlock,
  toolResultBlock,
  thinkingBlock,
  redactedBlock,
  compactionBlock,
]);
export type RequestBlock = z.infer<typeof block>;

const message = z.strictObject({
  role: z.enum(['user', 'assistant', 'system']),
  content: z.union([z.string(), z.array(block)]),
});
export type RequestMessage = z.infer<typeof message>;

const tool = z.strictObject({
  type: z.literal('custom').nullish(),
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/, { error: "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'" }),
  description: z.string().optional(),
  input_schema: z.looseObject({ type: z.literal('object') }),
  cache_control: cacheControl,
  strict: z.boolean().optional(),
  eager_input_streaming: z.boolean().nullish(),
  defer_loading: z.boolean().optional(),
  input_examples: z.array(z.unknown()).optional(),
  allowed_callers: z.array(z.string()).optional(),
});

const searchTool = z.strictObject({
  type: z.literal('web_search_20250305'),
  name: z.literal('web_search'),
  max_uses: z.int().min(1).nullish(),
  allowed_domains: z.array(z.string()).nullish(),
  blocked_domains: z.array(z.string()).nullish(),
  user_location: z.unknown().optional(),
  cache_control: cacheControl,
});

const display = z.enum(['summarized', 'omitted', 'updates']).nullish();
const blockBinding = z.strictObject({ prefix_mismatch_behavior: z.enum(['error', 'drop_block']).nullish() }).nullish();
const thinking = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('adaptive'), display, block_binding: blockBinding }),
  z.strictObject({
    type: z.literal('enabled'),
    budget_tokens: z.int().min(1024),
    display,
    block_binding: blockBinding,
  }),
  z.strictObject({ type: z.literal('between_tools') }),
  z.strictObject({ type: z.literal('disabled') }),
]);
const toolChoice = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('auto'), disable_parallel_tool_use: z.boolean().optional() }),
  z.strictObject({ type: z.literal('any'), disable_parallel_tool_use: z.boolean().optional() }),
  z.strictObject({ type: z.literal('tool'), name: z.string(), disable_parallel_tool_use: z.boolean().optional() }),
  z.strictObject({ type: z.literal('none') }),
]);

const shared = {
  model: z.string().min(1),
  messages: z.array(message).min(1).max(100_000),
  system: z.union([z.string(), z.array(textBlock)]).optional(),
  tools: z.array(z.union([tool, searchTool])).optional(),
  tool_choice: toolChoice.optional(),
  thinking: thinking.optional(),
  cache_control: cacheControl,
  output_config: z
    .strictObject({
      effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
      format: z.strictObject({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) }).nullish(),
      task_budget: z.unknown().optional(),
    })
    .optional(),
  thread: z.unknown().optional(),
  compaction: z.unknown().optional(),
  context_management: z.unknown().optional(),
  mcp_servers: z.array(z.unknown()).optional(),
  fallbacks: z.unknown().optional(),
};

/** Body of `POST /v1/messages`. */
export const messagesBody = z.strictObject({
  ...shared,
  max_tokens: z.int().min(0),
  stream: z.boolean().optional(),
  stop_sequences: z.array(z.string().min(1)).optional(),
  metadata: z.strictObject({ user_id: z.string().max(512).nullish() }).optional(),
  service_tier: z.enum(['auto', 'standard_only']).optional(),
  speed: z.enum(['standard', 'fast']).nullish(),
  container: z.unknown().optional(),
  diagnostics: z.unknown().optional(),
  inference_geo: z.string().nullish(),
  // Still part of the shape so that the rule about them can answer with the API's own words.
  temperature: z.number().optional(),
  top_p: z.number().optional(),
  top_k: z.number().optional(),
});
export type MessagesBody = z.infer<typeof messagesBody>;

/** Body of `POST /v1/messages/count_tokens`. */
export const countBody = z.strictObject(shared);

export interface ModelProfile {
  maxTokens: number;
  windowTokens: number;
  /** The last message may be the assistant's, to be continued. */
  prefill: boolean;
  /** `tool_choice` any or tool is accepted. */
  forcedToolChoice: boolean;
  /** Thinking blocks are valid only behind the exact messages they were made after, and for this model. */
  bindsThinking: boolean;
}

const binding = {
  windowTokens: 1_000_000,
  maxTokens: 128_000,
  prefill: false,
  forcedToolChoice: false,
  bindsThinking: true,
};
const current = { ...binding, forcedToolChoice: true, bindsThinking: false };
const older = { windowTokens: 200_000, maxTokens: 64_000, prefill: true, forcedToolChoice: true, bindsThinking: false };

/** The models the fake serves; a test may add its own. */
export const knownModels: Readonly<Record<string, ModelProfile>> = {
  'claude-fable-5-1': binding,
  'claude-opus-5-5': binding,
  'claude-sonnet-5-5': binding,
  'claude-haiku-5-5': current,
  'claude-sonnet-5': current,
  'claude-opus-5': current,
  'claude-haiku-4-5': older,
  'claude-sonnet-4-5': older,
};

/** Content as a list of blocks, whichever way it was written. */
export function blocksOf(content: RequestMessage['content']): RequestBlock[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}
