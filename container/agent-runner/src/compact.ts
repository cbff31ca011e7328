// Compaction: when a conversation nears the model's window, a summary takes its place. Knows nothing about tools or chats.
import type Anthropic from '@anthropic-ai/sdk';
import type { ModelCall } from './model.js';
import { callModel } from './model.js';
import type { Block, HistoryRecord, Message } from './records.js';
import { textOf, toMessages } from './records.js';
import type { Session } from './session.js';
import { cutMiddle } from './text.js';
import { todoText } from './tools/chat.js';

/** Context window and largest reply in tokens, by the beginning of the model's name. Unknown models get the last line. */
const MODELS: [name: string, window: number, maxOutput: number][] = [
  ['claude-opus-5-5', 1_000_000, 128_000],
  ['claude-sonnet-5-5', 1_000_000, 128_000],
  ['claude-haiku-5-5', 1_000_000, 128_000],
  ['claude-fable-5', 1_000_000, 128_000],
  ['claude-', 200_000, 64_000],
  ['', 128_000, 32_000],
];

/** Limits of a model: `compactAt` is the context size in tokens from which the conversation is summarized. */
export function modelLimits(model: string): { compactAt: number; maxOutput: number } {
  const [, window, maxOutput] = MODELS.find(([name]) => model.startsWith(name)) ?? ['', 128_000, 32_000];
  // Above 100k tokens of prompt this model costs five times as much.
  const compactAt = model.startsWith('claude-haiku-5-5') ? 90_000 : Math.min(0.75 * window, 150_000);
  return { compactAt, maxOutput };
}

/** True when the last reply filled the context that far, and the last compaction was not just now. Pure. */
export function needsCompaction(records: readonly HistoryRecord[], compactAt: number): boolean {
  const replies = records.slice(records.findLastIndex((r) => r.kind === 'compact') + 1);
  const assistant = replies.filter((r) => r.kind === 'assistant');
  const compacted = replies.length < records.length;
  // A summary that is itself too long must not be summarized on every call.
  return (assistant.at(-1)?.tokens ?? 0) >= compactAt && (!compacted || assistant.length >= 3);
}

const ASK =
  'The conversation has become too long. Summarize it now for yourself: who the people are and what they want, decisions, facts, file names and commands that matter, what is done, what is open, promises made. No tool calls, only the summary.';
const TRANSCRIPT_CHARS = 120_000;
const BLOCK_CHARS = 2_000;

function blockText(block: Block): string {
  if (block.type === 'text') return block.text;
  if (block.type === 'tool_use') return `[${block.name} ${JSON.stringify(block.input)}]`;
  if (block.type === 'tool_result') return `[result: ${JSON.stringify(block.content)}]`;
  return `[${block.type}]`;
}

/** The conversation as one text that fits any window; for when the conversation itself does not. */
function transcript(messages: Message[]): Message[] {
  const lines = messages.flatMap(({ role, content }) =>
    content.map((block) => `${role}: ${cutMiddle(blockText(block), BLOCK_CHARS, 'not kept')}`),
  );
  const text = cutMiddle(lines.join('\n'), TRANSCRIPT_CHARS, 'not kept');
  return [{ role: 'user', content: [{ type: 'text', text: `<transcript>\n${text}\n</transcript>\n${ASK}` }] }];
}

function withQuestion(messages: Message[]): Message[] {
  const last = messages.at(-1);
  const question: Block = { type: 'text', text: ASK };
  if (last?.role !== 'user') return [...messages, { role: 'user', content: [question] }];
  return [...messages.slice(0, -1), { role: 'user', content: [...last.content, question] }];
}

/** What the people of this run asked, without images: the work goes on after the summary. */
function openRequest(records: readonly HistoryRecord[], runId: number): string {
  const asked = records.filter((r) => r.kind === 'user' && r.runId === runId && r.messageIds.length > 0);
  return asked.map((r) => (r.kind === 'user' ? textOf(r.content) : '')).join('\n');
}

export interface Compaction {
  client: Anthropic;
  session: Session;
  call: Omit<ModelCall, 'messages'>;
  /** True when the back end refused the conversation as too long: then only a transcript of it is sent. */
  tooLong: boolean;
}

/** Writes a summary record. Throws what `callModel` throws, or an Error when the model gives no summary. */
export async function compact({ client, session, call, tooLong }: Compaction): Promise<void> {
  const messages = toMessages(session.records, call.model);
  // Same system, tools and messages as before, so that the provider's cache is read and not written again.
  const first = tooLong ? transcript(messages) : withQuestion(messages);
  let summary = textOf((await callModel(client, { ...call, messages: first })).content);
  if (summary === '') summary = textOf((await callModel(client, { ...call, messages: transcript(messages) })).content);
  if (summary === '') throw new Error('the model gave no summary of a conversation that is too long');
  const todo = session.todo();
  const request = openRequest(session.records, call.runId);
  const text = [
    `[Summary of the conversation so far]\n${summary}`,
    ...(todo.length > 0 ? [`[Your list of steps]\n${todoText(todo)}`] : []),
    ...(request === '' ? [] : [`[The request you are working on]\n${request}`]),
  ].join('\n\n');
  session.append({ kind: 'compact', content: [{ type: 'text', text }] });
}
