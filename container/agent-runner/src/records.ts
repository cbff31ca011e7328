// The session history: what one line of /sessions/<session>.jsonl is, and what the model is shown of it.
// Pure: knows nothing about files, the host or the SDK client.
import type Anthropic from '@anthropic-ai/sdk';
import * as z from 'zod';
import type { AnswerReport } from '../../../src/wire.js';

export type Block = Anthropic.Beta.BetaContentBlockParam;
export type ToolResult = Anthropic.Beta.BetaToolResultBlockParam;
export type ToolUse = Anthropic.Beta.BetaToolUseBlockParam;
export type Message = { role: 'user' | 'assistant'; content: Block[] };

// The blocks are the API's own; only what this code relies on is checked, the rest must come back byte for byte.
const block = z.custom<Block>((value) => z.looseObject({ type: z.string() }).safeParse(value).success);
const resultShape = z.looseObject({ type: z.literal('tool_result'), tool_use_id: z.string() });
const anyResult = z.custom<ToolResult>((value) => resultShape.safeParse(value).success);

export const todoItem = z.object({ text: z.string().min(1), status: z.enum(['pending', 'in_progress', 'done']) });
const MARK = { pending: ' ', in_progress: '~', done: 'x' } as const;

/** The list of steps as Markdown check boxes. */
export function todoText(items: z.infer<typeof todoItem>[]): string {
  return items.map((item) => `- [${MARK[item.status]}] ${item.text}`).join('\n') || '(the list is empty)';
}

const spoken = z.object({ content: z.array(block) });
const origin = z.enum(['messages', 'results', 'continue']);
const entry = z.discriminatedUnion('kind', [
  /** `origin` says why it was written; `messageIds` are the host's ids it carries. */
  spoken.extend({ kind: z.literal('user'), origin, messageIds: z.array(z.int()) }),
  /** `tokens` is the context size after the reply, 0 when the back end reported none. */
  spoken.extend({ kind: z.literal('assistant'), model: z.string(), stopReason: z.string(), tokens: z.number() }),
  /** One tool call ended; written before its siblings end, so that a crash does not lose it. */
  z.object({ kind: z.literal('tool_done'), result: anyResult }),
  /** Everything before is replaced by `content` (a user message) for the model. */
  spoken.extend({ kind: z.literal('compact') }),
  z.object({ kind: z.literal('todo'), items: z.array(todoItem) }),
  z.object({ kind: z.literal('job'), id: z.string(), state: z.enum(['started', 'ended']) }),
]);
export type Entry = z.infer<typeof entry>;
export const historyRecord = z.intersection(z.object({ seq: z.int(), ts: z.int(), runId: z.int() }), entry);
export type HistoryRecord = z.infer<typeof historyRecord>;

export const INTERRUPTED = 'This call was interrupted: it may have taken effect, check before repeating it.';

export const toolUses = (content: readonly Block[]): ToolUse[] => content.filter((part) => part.type === 'tool_use');

export const textBlock = (text: string): Block => ({ type: 'text', text });

export function toolResult(id: string, text: string, isError = false) {
  return { type: 'tool_result' as const, tool_use_id: id, content: text, ...(isError && { is_error: true }) };
}

/** All text of a message, blocks joined, without leading or trailing white space. */
export function textOf(content: readonly Block[]): string {
  const texts = content.map((part) => (part.type === 'text' ? part.text : ''));
  return texts.join('').trim();
}

/** The last record that is part of the conversation. */
export function lastSpoken(records: readonly HistoryRecord[]) {
  return records.findLast((r) => r.kind === 'assistant' || r.kind === 'user' || r.kind === 'compact');
}

/** How each call recorded as ended did end, by tool_use id. */
export function recordedResults(records: readonly HistoryRecord[]): Map<string, ToolResult> {
  return new Map(records.flatMap((r) => (r.kind === 'tool_done' ? [[r.result.tool_use_id, r.result]] : [])));
}

/** Every call answered exactly once: as given in `content`, else as recorded, else as interrupted. Results come first. */
export function answerCalls(calls: ToolUse[], content: Block[], done: Map<string, ToolResult>): Block[] {
  const given = new Map(content.flatMap((part) => (part.type === 'tool_result' ? [[part.tool_use_id, part]] : [])));
  const results = calls.map(({ id }) => given.get(id) ?? done.get(id) ?? toolResult(id, INTERRUPTED, true));
  return [...results, ...content.filter((part) => part.type !== 'tool_result')];
}

function shownToModel(content: readonly Block[], sameModel: boolean): Block[] {
  // Thinking is signed for one model; another one refuses it.
  const refused = sameModel ? [] : ['thinking', 'redacted_thinking'];
  return content.filter((part) => !refused.includes(part.type) && (part.type !== 'text' || part.text.trim() !== ''));
}

/** The conversation as the API wants it, whatever a crash left behind: user first, roles alternate, calls answered. */
export function toMessages(records: readonly HistoryRecord[], model: string): Message[] {
  const done = recordedResults(records);
  const messages: Message[] = [];
  const add = (role: Message['role'], content: Block[]) => {
    const last = messages.at(-1);
    const calls = last?.role === 'assistant' ? toolUses(last.content) : [];
    const blocks = role === 'user' ? answerCalls(calls, content, done) : content;
    if (blocks.length === 0 || (role === 'assistant' && !last)) return;
    if (last?.role === role) last.content.push(...blocks);
    else messages.push({ role, content: [...blocks] });
  };
  for (const record of records) {
    if (record.kind === 'compact') messages.length = 0;
    if (record.kind === 'user' || record.kind === 'compact') add('user', record.content);
    if (record.kind !== 'assistant') continue;
    add('user', []);
    add('assistant', shownToModel(record.content, record.model === model));
  }
  return messages;
}

/** The last reply together with the parts it continues; `step` is its place in the history. */
export function lastReply(records: readonly HistoryRecord[]): AnswerReport {
  const from = records.findLastIndex((r) => r.kind === 'user' && r.origin !== 'continue');
  const replies = records.slice(from + 1).filter((r) => r.kind === 'assistant');
  const whole = replies.slice(0, -1).findLastIndex(({ stopReason }) => !/^(max_tokens|pause_turn)$/.test(stopReason));
  const text = textOf(replies.slice(whole + 1).flatMap(({ content }) => content));
  return { text, step: replies.at(-1)?.seq ?? 0 };
}

/** True for a reply with which the model ended its turn, also one that was cut at its length limit. */
export const isFinalReply = (record: HistoryRecord | undefined): boolean =>
  record?.kind === 'assistant' &&
  !/^(pause_turn|aborted)$/.test(record.stopReason) &&
  toolUses(record.content).length === 0;

/** The final reply of a run to the messages it took in; undefined when the last of them have none yet. */
export function finalReplyOf(records: readonly HistoryRecord[], runId: number): AnswerReport | undefined {
  const tookIn = (r: HistoryRecord) => r.kind === 'user' && r.messageIds.length > 0;
  const at = records.findLastIndex((r) => r.runId === runId && (isFinalReply(r) || tookIn(r)));
  return isFinalReply(records[at]) ? lastReply(records.slice(0, at + 1)) : undefined;
}
