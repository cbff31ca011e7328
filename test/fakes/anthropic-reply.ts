// Makes a complete reply out of a scripted step: ids, signed thinking, simulated usage. And the default answer, an echo.

import type { PromptCache } from './anthropic-cache.js';
import type { ReplyBlock, ReplyMessage } from './anthropic-events.js';
import { flatten, signThinking } from './anthropic-history.js';
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
    usage: { ...input, output_tokens: Math.ceil(JSON.stringify(content).length / 4), ...step.usage },
  };
}

function servedBlocks({ body, binds, secret, index }: ReplyContext, scripted: ScriptBlock[]): ReplyBlock[] {
  const before = flatten(body.messages);
  return scripted.map((block, at) => {
    const sign = (thinking: string) => signThinking({ secret, model: body.model, binds, before, thinking });
    const served = servedBlock(block, `toolu_fake${index}_${at}`, sign);
    before.push(...flatten([{ role: 'assistant', content: [served] }]));
    return served;
  });
}

function servedBlock(scripted: ScriptBlock, id: string, sign: (thinking: string) => string): ReplyBlock {
  if (scripted.type === 'thinking') {
    const { type, thinking, signature } = scripted;
    return { type, thinking, signature: signature ?? sign(thinking) };
  }
  if (scripted.type !== 'tool_use') return scripted;
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
