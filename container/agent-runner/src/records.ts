// The session history: what its records (lines of /sessions/<session>.jsonl) are, and the model's messages made from them.
// Pure: knows nothing about files, the host or the SDK client.
import type Anthropic from '@anthropic-ai/sdk';
import * as z from 'zod';
import type { AnswerReport, RunSpec } from '../../../src/wire.js';

export type Block = Anthropic.Beta.BetaContentBlockParam;
export type ImageBlock = Anthropic.Beta.BetaImageBlockParam;
export type ToolResult = Anthropic.Beta.BetaToolResultBlockParam;
export type ToolCall = Anthropic.Beta.BetaToolUseBlockParam;
export type Message = { role: 'user' | 'assistant'; content: Block[] };

// Blocks belong to the API: only what this code relies on is checked, and all goes back byte for byte.
const checkedBy = <T>(schema: z.ZodType) => z.custom<T>((value) => schema.safeParse(value).success);
const block = checkedBy<Block>(z.looseObject({ type: z.string() }));
const result = checkedBy<ToolResult>(z.looseObject({ type: z.literal('tool_result'), tool_use_id: z.string() }));

export const todoItem = z.object({ text: z.string().min(1), status: z.enum(['pending', 'in_progress', 'done']) });
const MARK = { pending: ' ', in_progress: '~', done: 'x' } as const;

/** As Markdown check boxes. */
export function todoText(items: z.infer<typeof todoItem>[]): string {
  return items.map((item) => `- [${MARK[item.status]}] ${item.text}`).join('\n') || '(the list is empty)';
}

const withContent = z.object({ content: z.array(block) });
const origin = z.enum(['messages', 'results', 'continue']);
const entry = z.discriminatedUnion('kind', [
  /** `origin` says why it was written; `messageIds` are the host's ids of the messages in it. */
  withContent.extend({ kind: z.literal('user'), origin, messageIds: z.array(z.int()) }),
  /** `tokens` is the context size after the reply, 0 when the back end reported none. */
  withContent.extend({ kind: z.literal('assistant'), model: z.string(), stopReason: z.string(), tokens: z.number() }),
  /** One tool call ended. Written at once: a crash while the reply's other calls run must not lose it. */
  z.object({ kind: z.literal('tool_done'), result }),
  /** For the model, `content` (a user message) takes the place of everything before. */
  withContent.extend({ kind: z.literal('compact') }),
  /** The back end refuses this part of what stands before: it is left out from then on. */
  z.object({ kind: z.literal('without'), part: z.enum(['thinking', 'media']) }),
  z.object({ kind: z.literal('todo'), items: z.array(todoItem) }),
  /** Tools that the conversation found, by name: they are in its prompt from then on. */
  z.object({ kind: z.literal('tools'), names: z.array(z.string()) }),
  z.object({ kind: z.literal('job'), id: z.string(), state: z.enum(['started', 'ended']) }),
]);
/** A record without what the session adds. */
export type Entry = z.infer<typeof entry>;
export const historyRecord = z.intersection(z.object({ seq: z.int(), ts: z.int(), runId: z.int() }), entry);
export type HistoryRecord = z.infer<typeof historyRecord>;

export const INTERRUPTED = 'This call was interrupted: it may have taken effect, check before repeating it.';

export const toolCalls = (content: readonly Block[]): ToolCall[] => content.filter((part) => part.type === 'tool_use');

export const textBlock = (text: string): Block => ({ type: 'text', text });

export function toolResult(id: string, content: NonNullable<ToolResult['content']>, isError = false) {
  return { type: 'tool_result' as const, tool_use_id: id, content, ...(isError && { is_error: true }) };
}

/** All text of a message, blocks joined, without leading or trailing white space. */
export function textOf(content: readonly Block[]): string {
  const texts = content.map((part) => (part.type === 'text' ? part.text : ''));
  return texts.join('').trim();
}

/** The last record that is shown to the model as a message. */
export function lastTurn(records: readonly HistoryRecord[]) {
  return records.findLast((r) => r.kind === 'assistant' || r.kind === 'user' || r.kind === 'compact');
}

/** The results of calls that ended, by tool_use id. */
export function recordedResults(records: readonly HistoryRecord[]): Map<string, ToolResult> {
  return new Map(records.flatMap((r) => (r.kind === 'tool_done' ? [[r.result.tool_use_id, r.result]] : [])));
}

/**
 * Gives a call whose id the conversation has already another one, in place: some back ends use the same ids again and again, and results and
 * what the host does once go by them. `prefix` sets the calls of a sub-agent apart.
 */
export function renameRepeated(content: Block[], records: readonly HistoryRecord[], prefix = ''): void {
  const calls = toolCalls(content);
  if (calls.length === 0) return;
  const known = new Set(
    records.flatMap((r) => (r.kind === 'assistant' ? toolCalls(r.content).map(({ id }) => id) : [])),
  );
  for (const [at, call] of calls.entries()) {
    if (known.has(prefix + call.id)) call.id += `_${(records.at(-1)?.seq ?? 0) + 1}_${at}`;
    call.id = prefix + call.id;
    known.add(call.id);
  }
}

/** Every call gets one result, from `content`, else as recorded, else "interrupted". The rest of `content` follows. */
export function answerCalls(calls: ToolCall[], content: Block[], recorded: Map<string, ToolResult>): Block[] {
  const given = new Map(content.flatMap((part) => (part.type === 'tool_result' ? [[part.tool_use_id, part]] : [])));
  const results = calls.map(({ id }) => given.get(id) ?? recorded.get(id) ?? toolResult(id, INTERRUPTED, true));
  return [...results, ...content.filter((part) => part.type !== 'tool_result')];
}

export const THINKING = /^(redacted_)?thinking$/;
/** What the provider's own search leaves in a reply. */
const SEARCH = /^(server_tool_use|web_search_tool_result)$/;

export const isMedia = ({ type }: { type: string }): boolean => type === 'image' || type === 'document';
const NOT_SHOWN = textBlock(
  '[A picture or document stood here. The model back end refused it, so you cannot see it: say so in half a sentence where it matters.]',
);

/** Also those in results of tools. */
function withoutMedia(content: readonly Block[]): Block[] {
  return content.map((part) => {
    if (isMedia(part)) return NOT_SHOWN;
    if (part.type !== 'tool_result' || !Array.isArray(part.content)) return part;
    return {
      ...part,
      content: part.content.map((one) => (isMedia(one) ? { type: 'text' as const, text: textOf([NOT_SHOWN]) } : one)),
    };
  });
}

function blocksFor(content: readonly Block[], refused: RegExp): Block[] {
  return content.filter((part) => !refused.test(part.type) && (part.type !== 'text' || part.text.trim() !== ''));
}

/** Searches and what they found, for a back end that may not search: the words of the reply stay, without what only the provider can read. */
function withoutSearches(content: readonly Block[]): Block[] {
  const kept = content.filter(({ type }) => !SEARCH.test(type));
  return kept.map((part) => (part.type === 'text' ? textBlock(part.text) : part));
}

/**
 * The provider refuses a search without its result, and a result without its search. One may wait for its result only at the end, where
 * it goes on: last of all, or before the results of other calls.
 */
function pairSearches(messages: Message[]): Message[] {
  const all = messages.flatMap(({ content }) => content);
  const asked = new Set(all.flatMap((part) => (part.type === 'server_tool_use' ? [part.id] : [])));
  if (asked.size === 0) return messages;
  const found = new Set(all.flatMap((part) => (part.type === 'web_search_tool_result' ? [part.tool_use_id] : [])));
  const end = messages.findLast(({ role }) => role === 'assistant');
  const after = messages.at(-1) === end ? [] : (messages.at(-1)?.content ?? []);
  const isPaused = after.length === 0 || after.some(({ type }) => type === 'tool_result');
  const isWhole = (message: Message) => (part: Block) => {
    if (part.type === 'web_search_tool_result') return asked.has(part.tool_use_id);
    return part.type !== 'server_tool_use' || found.has(part.id) || (message === end && isPaused);
  };
  const paired = messages.map((message) => ({ ...message, content: message.content.filter(isWhole(message)) }));
  return paired.filter(({ content }) => content.length > 0);
}

/**
 * The conversation as the API wants it, whatever a crash left behind: user first, roles alternate, calls answered. `search`: who searches
 * the web in it.
 */
export function toMessages(
  records: readonly HistoryRecord[],
  { model, search }: Pick<RunSpec, 'model' | 'search'>,
): Message[] {
  const hasSearched = records.some((r) => r.kind === 'assistant' && r.content.some(({ type }) => SEARCH.test(type)));
  const isCleaned = hasSearched && search !== 'model';
  const recorded = recordedResults(records);
  const messages: Message[] = [];
  const add = (role: Message['role'], content: Block[]) => {
    const last = messages.at(-1);
    const calls = last?.role === 'assistant' ? toolCalls(last.content) : [];
    const blocks = role === 'user' ? answerCalls(calls, content, recorded) : content;
    if (blocks.length === 0 || (role === 'assistant' && !last)) return;
    if (last?.role === role) last.content.push(...blocks);
    else messages.push({ role, content: [...blocks] });
  };
  const refusedAt = (part: string) => records.findLastIndex((r) => r.kind === 'without' && r.part === part);
  const [noThinking, noMedia] = [refusedAt('thinking'), refusedAt('media')];
  for (const [at, record] of records.entries()) {
    if (record.kind === 'compact') messages.length = 0;
    if (record.kind === 'user' || record.kind === 'compact')
      add('user', at < noMedia ? withoutMedia(record.content) : record.content);
    if (record.kind !== 'assistant') continue;
    add('user', []);
    // Thinking is signed for one model and for all that came before; with anything else it is refused.
    const blocks = blocksFor(record.content, record.model === model && !isCleaned && at > noThinking ? /^$/ : THINKING);
    add('assistant', isCleaned ? withoutSearches(blocks) : blocks);
  }
  return pairSearches(messages);
}

const MAX_SOURCES = 8;

/** The text with the pages that it is from, which whoever shows results of a search has to name. */
function withSources(content: readonly Block[]): string {
  const text = textOf(content);
  const cited = content.flatMap((part) => (part.type === 'text' ? (part.citations ?? []) : []));
  const urls = cited.flatMap((one) => (one.type === 'web_search_result_location' ? [one.url] : []));
  const shown = [...new Set(urls)].filter((url) => /^https?:\/\/[^\s<>]+$/.test(url) && !text.includes(url));
  return shown.length > 0
    ? `${text}\n\nSources:\n${shown
        .slice(0, MAX_SOURCES)
        .map((url) => `- <${url}>`)
        .join('\n')}`
    : text;
}

/** The last reply together with the parts it continues; `step` is its place in the history. */
export function lastReply(records: readonly HistoryRecord[]): AnswerReport {
  const input = records.findLastIndex((r) => r.kind === 'user' && r.origin !== 'continue');
  const replies = records.slice(input + 1).filter((r) => r.kind === 'assistant');
  const whole = replies.slice(0, -1).findLastIndex(({ stopReason }) => !/^(max_tokens|pause_turn)$/.test(stopReason));
  const said = replies.slice(whole + 1).flatMap(({ content }) => content);
  // Text before a call is not sent, the provider's own search being one.
  const last = said.slice(said.findLastIndex(({ type }) => SEARCH.test(type)) + 1);
  const text = withSources(textOf(last) === '' ? said : last);
  return { text, step: replies.at(-1)?.seq ?? 0 };
}

/** True for a reply with which the model ended its turn, also one that was cut at its length limit. */
export const isFinalReply = (record: HistoryRecord | undefined): boolean =>
  record?.kind === 'assistant' &&
  !/^(pause_turn|aborted)$/.test(record.stopReason) &&
  toolCalls(record.content).length === 0;

/** A reply that the API goes on with by itself when nothing comes after it: one that it paused, but never behind a text. */
export const isPaused = ({ stopReason, content }: { stopReason: string; content: readonly Block[] }): boolean =>
  stopReason === 'pause_turn' && content.length > 0 && content.at(-1)?.type !== 'text';

/** The final reply of a run to the messages it took in; undefined when the last of them have none yet. */
export function finalReplyOf(records: readonly HistoryRecord[], runId: number): AnswerReport | undefined {
  const tookIn = (r: HistoryRecord) => r.kind === 'user' && r.messageIds.length > 0;
  const at = records.findLastIndex((r) => r.runId === runId && (isFinalReply(r) || tookIn(r)));
  return isFinalReply(records[at]) ? lastReply(records.slice(0, at + 1)) : undefined;
}

/** Tools that the conversation found, in that order: a summary takes the place of what was found before it. */
export function foundTools(records: readonly HistoryRecord[]): string[] {
  const since = records.slice(records.findLastIndex(({ kind }) => kind === 'compact') + 1);
  return [...new Set(since.flatMap((record) => (record.kind === 'tools' ? record.names : [])))];
}

/** A run that comes again has messages that were among the last ones, and its reply among these. */
const KEPT_MESSAGES = 10_000;
const KEPT_REPLIES = 20;

/**
 * Of records before a summary, what later runs ask for: which messages the conversation has, the replies of the last runs (a host that died may
 * not have them), the list of steps, the jobs that nobody was told the end of. The model is shown none of it.
 */
export function keptOfArchived(records: readonly HistoryRecord[]): HistoryRecord[] {
  const last = records.at(-1);
  if (!last) return [];
  const kept = new Set<HistoryRecord>();
  let replies = 0;
  for (const runId of new Set(records.map((r) => r.runId).reverse())) {
    if (replies === KEPT_REPLIES) break;
    if (finalReplyOf(records, runId) === undefined) continue;
    replies += 1;
    const end = records.findLastIndex((r) => r.runId === runId && isFinalReply(r));
    const input = records.findLastIndex((r, at) => at < end && r.kind === 'user' && r.origin !== 'continue');
    for (const record of records.slice(Math.max(0, input), end + 1)) kept.add(record);
  }
  const jobs = new Map(records.flatMap((r) => (r.kind === 'job' ? [[r.id, r] as const] : [])));
  // The last one says how many there were.
  const [latest] = [...jobs.values()].reverse();
  for (const job of jobs.values()) if (job.state === 'started' || job === latest) kept.add(job);
  const todo = records.findLast((r) => r.kind === 'todo');
  if (todo) kept.add(todo);
  const messageIds = records.flatMap((r) => (r.kind === 'user' ? r.messageIds : [])).slice(-KEPT_MESSAGES);
  const { seq, ts } = last;
  const known = { seq, ts, runId: 0, kind: 'user' as const, origin: 'messages' as const, messageIds, content: [] };
  const withoutInput = (r: HistoryRecord) => (r.kind === 'user' ? { ...r, content: [], messageIds: [] } : r);
  return [...records.filter((r) => kept.has(r)).map(withoutInput), known];
}
