// Reads what the demo model needs from a Messages API request: the messages of the current turn and the tool calls made in it.
// Knows the runner's XML (container/agent-runner/src/prompt.ts), nothing about intents.
import { z } from 'zod';

const block = z.looseObject({ type: z.string() });
const content = z.union([z.string().transform((text) => [{ type: 'text', text }]), z.array(block)]);

/** The parts of a request the demo model reads; everything else is let through unseen. */
export const demoRequest = z.looseObject({
  model: z.string(),
  system: z.unknown().optional(),
  tools: z.array(z.looseObject({ name: z.string() })).optional(),
  messages: z.array(z.object({ role: z.string(), content })).min(1),
});
export type DemoRequest = z.infer<typeof demoRequest>;
type Block = z.infer<typeof block>;

export interface DemoCall {
  name: string;
  input: unknown;
  /** Undefined when the call has no result yet. */
  result: { text: string; isError: boolean } | undefined;
}

export interface DemoTurn {
  /** What people wrote in this turn, oldest first, unescaped. */
  messages: string[];
  /** Tool calls of this turn, in order. */
  calls: DemoCall[];
  /** The last text that is an instruction of the runner and not a message. */
  note: string;
}

/** The current turn: from the last user message that carries no tool results (or unanswered ones before it) to the end. Never throws. */
export function readTurn({ messages }: DemoRequest): DemoTurn {
  const isOpening = ({ role, content }: DemoRequest['messages'][number]) =>
    role === 'user' && !content.some((part) => part.type === 'tool_result');
  let first = Math.max(0, messages.findLastIndex(isOpening));
  // Messages of a failed attempt were never answered: they belong to this turn.
  while (messages[first - 1]?.role === 'user') first -= 1;
  const turn = messages.slice(first);
  const blocks = turn.flatMap((message) => message.content);
  const texts = turn.filter((message) => message.role === 'user').flatMap((message) => message.content.flatMap(textOf));
  const wrapped = texts.filter((text) => text.includes('<messages'));
  return {
    messages: wrapped.length > 0 ? wrapped.flatMap(messagesIn) : texts,
    calls: blocks.flatMap((part) => callOf(part, blocks)),
    note: texts.findLast((text) => !text.includes('<messages')) ?? '',
  };
}

/** Everything people wrote in the whole conversation, for a summary. */
export function allMessages({ messages }: DemoRequest): string[] {
  const texts = messages.filter(({ role }) => role === 'user').flatMap((message) => message.content.flatMap(textOf));
  return texts.flatMap(messagesIn);
}

const textBlock = z.object({ type: z.literal('text'), text: z.string() });
const toolUse = z.object({ type: z.literal('tool_use'), id: z.string(), name: z.string(), input: z.unknown() });
const toolResult = z.object({
  type: z.literal('tool_result'),
  tool_use_id: z.string(),
  content: content.optional(),
  is_error: z.boolean().optional(),
});

function textOf(part: Block): string[] {
  const text = textBlock.safeParse(part).data?.text;
  return text === undefined ? [] : [text];
}

function callOf(part: Block, blocks: Block[]): DemoCall[] {
  const use = toolUse.safeParse(part).data;
  if (!use) return [];
  const results = blocks.flatMap((other) => toolResult.safeParse(other).data ?? []);
  const result = results.find((other) => other.tool_use_id === use.id);
  const text = (result?.content ?? []).flatMap(textOf).join('\n');
  return [{ ...use, result: result && { text, isError: result.is_error === true } }];
}

// The runner puts these in front of the text, inside the element.
const PREAMBLE = /^(?:<reply-to\b[^>]*>[^<]*<\/reply-to>|<edited>[^<]*<\/edited>|<media\b[^>]*\/>)*/;

function messagesIn(xml: string): string[] {
  const elements = [...xml.matchAll(/<message\b[^>]*>([\s\S]*?)<\/message>/g)];
  return elements.map(([, inner = '']) => unescapeXml(inner.replace(PREAMBLE, '')));
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", '#39': "'", amp: '&' };

/** Undoes the runner's escaping, once. */
export function unescapeXml(text: string): string {
  return text.replace(/&(lt|gt|quot|apos|#39|amp);/g, (all, name: string) => ENTITIES[name] ?? all);
}
