// What one odd answer of a back end leads to, so that it does not break the conversation: a part that it refuses is left out, a limit that it
// names is kept to, a reply of nothing is no reply.
import type { RunContext } from './context.js';
import { learnReply, learnWindow, modelLimits, windowOf } from './limits.js';
import { asInput } from './mend.js';
import { isOfBoth, outputLimit, refusedPart, tooLong } from './model-errors.js';
import { type Block, type HistoryRecord, isMedia, THINKING, textOf, toolCalls } from './records.js';

type Part = NonNullable<ReturnType<typeof refusedPart>>;
const PARTS: Record<Part, string> = { thinking: 'its own earlier thinking', media: 'a picture or document' };

/**
 * What the back end refused: a part of the request, so that the next call goes through without it, or all of it, as being too long. Throws
 * any other error.
 */
export function afterRefusal(
  { session, run, host }: RunContext,
  error: unknown,
  maxTokens: number,
): 'again' | 'too long' {
  const most = outputLimit(error, maxTokens);
  if (most !== undefined) {
    host.event(run.id, 'note', { text: `the model back end gives at most ${most} tokens at once: asking for no more` });
    learnReply(run.model, most);
    return 'again';
  }
  const part = refusedPart(error);
  if (part && hasPart(session.records, part)) {
    host.event(run.id, 'note', { text: `the model back end refused ${PARTS[part]}: going on without it` });
    session.append({ kind: 'without', part });
    return 'again';
  }
  const long = tooLong(error);
  if (!long) throw error;
  const isNew = long.limit !== undefined && long.limit < (windowOf(run) ?? Number.POSITIVE_INFINITY);
  if (long.limit) learnWindow(run.model, long.limit);
  // With a shorter reply, which is part of a window, the same conversation may fit.
  return isNew && maxTokens > modelLimits(run).maxOutput && isOfBoth(error) ? 'again' : 'too long';
}

/** Whether there is any of it that was not left out yet. */
function hasPart(records: readonly HistoryRecord[], part: Part): boolean {
  const left = records.slice(records.findLastIndex((r) => r.kind === 'without' && r.part === part) + 1);
  const content = left.flatMap((r): Block[] => ('content' in r ? r.content : []));
  if (part === 'thinking') return content.some(({ type }) => THINKING.test(type));
  const inResult = (one: Block) =>
    one.type === 'tool_result' && Array.isArray(one.content) && one.content.some(isMedia);
  return content.some((one) => isMedia(one) || inResult(one));
}

const KEPT = /^(text|(redacted_)?thinking|tool_use|server_tool_use|web_search_tool_result)$/;

/**
 * Takes out of a reply, in place, what would have every later call refused: blocks of kinds that nobody here knows, inputs that are no
 * object, names and ids that are none.
 */
export function keepUsable(content: Block[]): void {
  const isUsable = (one: Block) =>
    KEPT.test(one.type) &&
    (one.type !== 'text' || typeof one.text === 'string') &&
    (one.type !== 'server_tool_use' || one.name === 'web_search');
  content.splice(0, content.length, ...content.filter(isUsable));
  for (const call of toolCalls(content)) {
    call.input = asInput(call.input);
    call.id = asName(call.id, 'call');
    call.name = asName(call.name, 'unnamed');
  }
}

const asName = (given: unknown, otherwise: string): string =>
  (typeof given === 'string' ? given : '').replace(/[^\w-]/g, '_').slice(0, 128) || otherwise;

/** Thinking alone, or nothing at all. */
export const saysNothing = (content: readonly Block[]): boolean =>
  textOf(content) === '' && content.every(({ type }) => type === 'text' || THINKING.test(type));

const TOLD = /^(send_message|send_file|ask)$/;

/** An empty end is meant: the people were told by a tool, nobody is there, or it is a sub-agent's. */
export function mayEndSilently({ session, run, callPrefix }: RunContext): boolean {
  const since = session.records.findLastIndex((r) => r.kind === 'user' && r.messageIds.length > 0);
  const calls = session.records.slice(since + 1).flatMap((r) => (r.kind === 'assistant' ? toolCalls(r.content) : []));
  return run.unattended !== undefined || callPrefix !== undefined || calls.some(({ name }) => TOLD.test(name));
}
