// Makes a complete reply out of a scripted step: ids, signed thinking, simulated usage. And the default answer, an echo.

import type { PromptCache } from './anthropic-cache.js';
import type { ReplyBlock, ReplyMessage } from './anthropic-events.js';
import { encryptPage, flatten, signThinking } from './anthropic-history.js';
import type { ReplyStep, ScriptBlock } from './anthropic-serve.js';
import { blocksOf, type MessagesBody } from './anthropic-shape.js';

export interface ReplyContext {
  /** Position of the request; makes ids unique. */
  index: number;
  body: MessagesBody;
  /** The model ties thinking blocks to what came before them. */
  binds: boolean;
  secret: string;
  cache: PromptCache;
}

/** The reply a step stands for. Uses the cache: call it once per request. */
export function replyMessage(context: ReplyContext, step: ReplyStep): ReplyMessage {
  const { body, index } = context;
  const content = servedBlocks(context, step.content ?? [{ type: 'text', text: step.text ?? '' }]);
  const { input_tokens, ...cached } = context.cache.use(body);
  const total = input_tokens + cached.cache_read_input_tokens + cached.cache_creation_input_tokens;
  const input = step.noCacheFields ? { input_tokens: total } : { input_tokens, ...cached };
  return {
    id: `msg_fake${index}`,
    type: 'message',
    role: 'assistant',
    model: body.model,
    content,
    stop_reason: step.stopReason ?? (content.some((block) => block.type === 'tool_use') ? 'tool_use' : 'end_turn'),
    stop_sequence: null,
    usage: {
      ...input,
      ...searchesOf(content),
      output_tokens: Math.ceil(JSON.stringify(content).length / 4),
      ...step.usage,
    },
  };
}

/** Those that failed cost nothing. */
function searchesOf(content: ReplyBlock[]) {
  const done = content.filter((block) => block.type === 'web_search_tool_result' && Array.isArray(block.content));
  return done.length > 0 ? { server_tool_use: { web_search_requests: done.length } } : {};
}

function servedBlocks({ body, binds, secret, index }: ReplyContext, scripted: ScriptBlock[]): ReplyBlock[] {
  const before = flatten(body.messages);
  return scripted.map((block, at) => {
    const sign = (thinking: string) => signThinking({ secret, model: body.model, binds, before, thinking });
    const served = servedBlock(block, { id: `toolu_fake${index}_${at}`, sign, secret });
    before.push(...flatten([{ role: 'assistant', content: [served] }]));
    return served;
  });
}

const caller = { type: 'direct' as const };

function servedSearch(scripted: ScriptBlock, secret: string): ReplyBlock | undefined {
  if (scripted.type === 'server_tool_use') {
    const { type, id, query } = scripted;
    return { type, id, name: 'web_search' as const, input: { query }, caller };
  }
  if (scripted.type === 'text' && scripted.cites !== undefined) {
    const { type, text, cites: url } = scripted;
    const index = { type: 'web_search_result_location' as const, encrypted_index: encryptPage(secret, url, text) };
    return { type, text, citations: [{ ...index, url, title: 'cited', cited_text: text }] };
  }
  if (scripted.type !== 'web_search_tool_result') return undefined;
  const { type, id: tool_use_id, found } = scripted;
  const error = { type: 'web_search_tool_result_error' as const, error_code: String(found) };
  if (typeof found === 'string') return { type, tool_use_id, content: error, caller };
  const pages = found.map(({ url, title }) => ({
    ...{ type: 'web_search_result' as const, url, title, page_age: null },
    encrypted_content: encryptPage(secret, url, title),
  }));
  return { type, tool_use_id, content: pages, caller };
}

interface Serving {
  id: string;
  sign(thinking: string): string;
  secret: string;
}

function servedBlock(scripted: ScriptBlock, { id, sign, secret }: Serving): ReplyBlock {
  const search = servedSearch(scripted, secret);
  if (search) return search;
  if (scripted.type === 'thinking') {
    const { type, thinking, signature } = scripted;
    return { type, thinking, signature: signature ?? sign(thinking) };
  }
  if (scripted.type === 'text') return { type: 'text', text: scripted.text };
  if (scripted.type === 'redacted_thinking' || scripted.type === 'compaction') return scripted;
  if (scripted.type !== 'tool_use') throw new Error(`no ${scripted.type} is served`);
  return { type: 'tool_use', id: scripted.id ?? id, name: scripted.name, input: scripted.input ?? {} };
}

/** The default answer: `You said: <the last message>`; Pinch's XML around the message is taken off. */
export function echo(body: MessagesBody | undefined): ReplyStep {
  const blocks = body?.messages.flatMap((message) => (message.role === 'user' ? blocksOf(message.content) : [])) ?? [];
  const text = blocks.findLast((block) => block.type === 'text')?.text ?? '';
  return { text: `You said: ${lastMessage(text)}` };
}

function lastMessage(text: string): string {
  const inner = [...text.matchAll(/<message\b[^>]*>([\s\S]*?)<\/message>/g)].at(-1)?.[1];
  const bare =
    inner
      ?.replace(/<\/?forwarded>/g, '')
      .replace(/^(<reply-to\b[^>]*>[^<]*<\/reply-to>|<edited>[^<]*<\/edited>|<media\b[^>]*\/>)*/, '') ?? text;
  const entities: Record<string, string> = {
    '&lt;': '<',
    '&gt;': '>',
    '&quot;': '"',
    '&#39;': "'",
    '&apos;': "'",
    '&amp;': '&',
  };
  return bare.replace(/&(lt|gt|quot|#39|apos|amp);/g, (entity) => entities[entity] ?? entity);
}
