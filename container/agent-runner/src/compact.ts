// Compaction: before a conversation is too long for the model, a summary takes its place. Knows nothing about chats.
import { type LoopContext, Stopped } from './context.js';
import { keepText } from './fit.js';
import { type Model, modelLimits, windowOf } from './limits.js';
import { alwaysNow } from './memories.js';
import { callModel } from './model.js';
import { type HistoryRecord, lastTurn, type Message, textBlock, textOf, todoText, toMessages } from './records.js';
import { cutMiddle } from './text.js';
import { WRITE_DOWN, writeDown } from './write-down.js';

/** True when the context of the last reply was that long, unless there was a compaction just before. Pure. */
export function needsCompaction(records: readonly HistoryRecord[], compactAt: number): boolean {
  const compactedAt = records.findLastIndex((r) => r.kind === 'compact');
  const replies = records.slice(compactedAt + 1).filter((r) => r.kind === 'assistant');
  // A paused reply goes on only when nothing comes after it.
  if (replies.at(-1)?.stopReason === 'pause_turn' && lastTurn(records)?.kind === 'assistant') return false;
  // A summary that is itself too long must not be summarized before every call.
  return (replies.at(-1)?.tokens ?? 0) >= compactAt && (compactedAt < 0 || replies.length >= 3);
}

const REQUEST =
  'The conversation has become too long. Summarize it now for yourself: who the people are and what they want, decisions, facts, file names and commands that matter, what is done, what is open, promises made. No tool calls, only the summary.';
const KEPT_BESIDE =
  'These words of the people here hold always. They stay beside your summary word for word: do not repeat them, and let nothing in it say otherwise.';
const ALWAYS_CHARS = 8_000;
const TRANSCRIPT_CHARS = 120_000;
const BLOCK_CHARS = 2_000;

/** The conversation shortened to one text that fits the model, and what is asked about it. */
function transcript(messages: Message[], run: Model, request: string): Message[] {
  const parts = messages.flatMap(({ role, content }) => content.map((part) => ({ role, ...part })));
  const kept = parts.filter(({ type }) => !/thinking|image|web_search_tool_result/.test(type));
  const lines = kept.map((part) => cutMiddle(JSON.stringify(part), BLOCK_CHARS, 'not kept'));
  // Half of a window, at three characters a token.
  const most = Math.min(TRANSCRIPT_CHARS, (windowOf(run) ?? TRANSCRIPT_CHARS) * 1.5);
  const text = cutMiddle(lines.join('\n'), most, 'not kept');
  return [{ role: 'user', content: [textBlock(`<transcript>\n${text}\n</transcript>\n${request}`)] }];
}

interface Compaction {
  maxTokens: number;
  /** It is summarized from a transcript. */
  isTooLong: boolean;
  /** What must not be lost was written down before. */
  wroteDown: boolean;
}

/** Appends a summary that replaces the conversation. False when the model gave none. Throws what its calls throw. */
export async function compact(context: LoopContext, { maxTokens, isTooLong, wroteDown }: Compaction): Promise<boolean> {
  const { session, run } = context;
  context.host.event(run.id, 'note', { text: 'the conversation is too long: summarizing it' });
  const messages = toMessages(session.records, run);
  // Nobody must be shown half a summary as a reply.
  const withoutText = (error: unknown) => Promise.reject(error instanceof Stopped ? new Stopped() : error);
  const summarize = async (prompt: Message[]) => {
    const { content, stopReason } = await callModel(context, prompt, maxTokens).catch(withoutText);
    // What it began to say before it declined would take the place of everything.
    return /^(refusal|model_context_window_exceeded)$/.test(stopReason) ? '' : textOf(content);
  };
  // Same system, tools and messages as before, so that the provider's cache is read and not written again.
  const after = (request: string): Message[] => [
    ...messages.slice(0, -1),
    { role: 'user', content: [...(messages.at(-1)?.content ?? []), textBlock(request)] },
  ];
  if (!wroteDown)
    await writeDown(context, isTooLong ? transcript(messages, run, WRITE_DOWN) : after(WRITE_DOWN), maxTokens);
  void context.journal.handOver(run);
  // As it stands now, also when this run wrote it.
  const always = alwaysNow(context.paths, Math.min(ALWAYS_CHARS, modelLimits(run).compactAt / 2));
  const request = always === '' ? REQUEST : `${REQUEST}\n\n${KEPT_BESIDE}\n<always>\n${always}\n</always>`;
  let summary = isTooLong ? '' : await summarize(after(request));
  for (let tries = 0; tries < 2 && summary === ''; tries += 1)
    summary = await summarize(transcript(messages, run, request));
  if (summary === '') return false;
  // The run goes on after the summary: its request (without images) and its list of steps stay word for word.
  const asked = session.records.flatMap((r) =>
    r.kind === 'user' && r.runId === run.id && r.messageIds.length > 0 ? [textOf(r.content)] : [],
  );
  const todo = session.records.findLast((r) => r.kind === 'todo')?.items ?? [];
  // Also in a window that is small, and with letters that are a token each.
  const most = Math.floor(modelLimits(run).compactAt / 8);
  const text = [
    `[Summary of the conversation so far]\n${summary}`,
    ...(always === '' ? [] : [`[What holds always, in the words of the people here]\n${always}`]),
    `[Your list of steps]\n${cutMiddle(todoText(todo), most, 'not kept')}`,
    ...(asked.length > 0 ? [`[The request you are working on]\n${shortRequest(context, asked.join('\n'), most)}`] : []),
  ].join('\n\n');
  session.append({ kind: 'compact', content: [textBlock(text)] });
  return true;
}

/** A request that would fill what was just made room for is kept in a file. */
function shortRequest({ paths, run }: LoopContext, text: string, most: number): string {
  return text.length > most ? cutMiddle(text, most, keepText(paths, `request-${run.id}.txt`, text)) : text;
}
