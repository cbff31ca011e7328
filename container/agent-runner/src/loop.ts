// The agent loop of one run: model calls, tool calls, new messages, limits; each step is on disk before the next. Knows nothing about HTTP.
import { type AnswerReport, aboutTokens, type PromptMessage } from '../../../src/wire.js';
import { compact, needsCompaction } from './compact.js';
import { type LoopContext, type RunContext, Stopped } from './context.js';
import { modelLimits } from './limits.js';
import { present } from './media.js';
import { callModel, type Reply } from './model.js';
import { classifyError } from './model-errors.js';
import type { Block, ToolCall, ToolResult } from './records.js';
import {
  isFinalReply,
  isPaused,
  lastReply,
  lastTurn,
  renameRepeated,
  textBlock,
  textOf,
  toMessages,
  toolCalls,
  toolResult,
} from './records.js';
import { afterRefusal, keepUsable, mayEndSilently, saysNothing } from './recover.js';
import { doesNotFit, isTooLong, whyTooSmall } from './small-window.js';
import { head } from './text.js';

const MAX_CUT_REPLIES = 2;
const MAX_SAME_STEPS = 3;
const MAX_EMPTY_REPLIES = 1;
/** Of what the model says before its tool calls, in the timeline. */
const MAX_SAID_CHARS = 1_000;

/** The caller adds the ids of the messages that were handled. */
export type Outcome =
  | ({ outcome: 'done' } & AnswerReport)
  | { outcome: 'cancelled' }
  | ({ outcome: 'failed' } & ReturnType<typeof classifyError>);

interface Progress {
  maxTokens: number;
  callsLeft: number;
  /** Replies cut off at their length limit. */
  cutReplies: number;
  /** Replies of nothing. */
  emptyReplies: number;
  /** The conversation was too long for the back end and was summarized. */
  wasTooLong: boolean;
  /** The model was given its chance to write down what a summary may lose. */
  wroteDown: boolean;
  /** The last tool calls with their results. */
  lastSteps: string[];
}

/** Ends the run with a text of ours, kept as a reply so that the model knows it and a second attempt finds it. */
function endWith({ session, run }: RunContext, text: string, stopReason = 'end_turn'): Outcome {
  session.append({ kind: 'assistant', model: run.model, stopReason, tokens: 0, content: [textBlock(text)] });
  return { outcome: 'done', ...lastReply(session.records) };
}

/** Messages that are not in the history yet. A stopped run takes in no more: they are for the next run. */
export const newMessages = ({ session, messages, signal }: RunContext): PromptMessage[] =>
  signal.aborted ? [] : messages.filter(({ id }) => !session.knows(id));

/**
 * When new messages wait, hands a final reply to the host before they follow it in the history: so only the last reply of a run can be
 * unknown to the host. False when the run has to end with it.
 */
export async function handOverReply(context: RunContext, reply: AnswerReport): Promise<boolean> {
  if (reply.text === '' || newMessages(context).length === 0) return true;
  return context.host.answer(context.run.id, reply, context.signal);
}

type Input = { results?: ToolResult[]; messages: PromptMessage[]; intro?: Block[] };

/** Appends tool results and messages, with `intro` before these, as one user record. False when there is neither. */
export async function appendInput(context: RunContext, input: Input): Promise<boolean> {
  const { results = [], messages, intro = [textBlock('[sent while you were working]')] } = input;
  if (results.length + messages.length === 0) return false;
  const texts = messages.length > 0 ? [...intro, ...(await present(context, messages))] : [];
  const origin = results.length > 0 ? 'results' : 'messages';
  const messageIds = messages.map(({ id }) => id);
  // The next model call needs it only in memory; its reply is on disk together with it before anything else happens.
  context.session.note({ kind: 'user', origin, messageIds, content: [...results, ...texts] });
  return true;
}

/** Why the run ends: the same calls had the same results too often in a row. */
function whyStuck({ shell }: RunContext, progress: Progress, calls: ToolCall[], results: ToolResult[]) {
  const step = JSON.stringify([calls.map(({ name, input }) => [name, input]), results.map(({ content }) => content)]);
  progress.lastSteps = [...progress.lastSteps, step].slice(-MAX_SAME_STEPS);
  const isRepeated = progress.lastSteps.filter((last) => last === step).length === MAX_SAME_STEPS;
  // Looking at the log of a background job again and again is waiting.
  const isWaiting = [...shell.jobs].some(([id, { job }]) => job.exit() === undefined && step.includes(`${id}.log`));
  if (!isRepeated || isWaiting) return undefined;
  return `I stopped because I repeated the same step (${calls.at(-1)?.name}) without getting further.`;
}

/** Why the run ends: too many replies were cut off. Until then the next one may be longer. */
function whyCutTooOften(context: RunContext, progress: Progress): string | undefined {
  giveMoreRoom(context, progress);
  progress.cutReplies += 1;
  if (progress.cutReplies < MAX_CUT_REPLIES) return undefined;
  return 'I stopped: my replies kept running into the length limit.';
}

function giveMoreRoom({ run }: RunContext, progress: Progress): void {
  const most = Math.max(progress.maxTokens, modelLimits(run).maxOutput);
  progress.maxTokens = Math.min(progress.maxTokens * 2, most);
}

/** Of the next reply, by what is known of the model now. */
const mostTokens = ({ run }: RunContext, { maxTokens }: Progress): number =>
  Math.min(maxTokens, modelLimits(run).maxOutput);

async function afterToolCalls(context: LoopContext, progress: Progress, reply: Reply): Promise<Outcome | undefined> {
  const calls = toolCalls(reply.content);
  const said = textOf(reply.content);
  // For the people who wait; what a sub-agent says is for its caller.
  if (said && context.callPrefix === undefined)
    context.host.event(context.run.id, 'note', { said: head(said, MAX_SAID_CHARS) });
  const isCut = reply.stopReason === 'max_tokens';
  // The input of the last call may be cut off and still look whole.
  const note = 'Not run: your reply was cut at its length limit. Write less at a time.';
  const results = isCut ? calls.map(({ id }) => toolResult(id, note, true)) : await reply.runTools();
  const why = isCut ? whyCutTooOften(context, progress) : whyStuck(context, progress, calls, results);
  // When the run ends here, nobody would work on new messages: they are for the next run.
  const isOver = why !== undefined || progress.callsLeft === 0;
  await appendInput(context, { results, messages: isOver ? [] : newMessages(context) });
  return why === undefined ? undefined : endWith(context, why);
}

async function afterText(context: LoopContext, progress: Progress, reply: Reply): Promise<Outcome | undefined> {
  if (reply.stopReason === 'pause_turn') return isPaused(reply) ? undefined : askToContinue(context);
  const isCut = reply.stopReason === 'max_tokens' && textOf(reply.content) !== '';
  if (isCut && progress.cutReplies < MAX_CUT_REPLIES) {
    progress.cutReplies += 1;
    return askToContinue(context);
  }
  const final = lastReply(context.session.records);
  const goesOn =
    progress.callsLeft > 0 &&
    (await handOverReply(context, final)) &&
    (await appendInput(context, { messages: newMessages(context) }));
  return goesOn ? undefined : { outcome: 'done', ...final };
}

export function askToContinue({ session }: RunContext): undefined {
  const content = [textBlock('Your reply was cut off. Continue exactly where it ended.')];
  session.append({ kind: 'user', origin: 'continue', messageIds: [], content });
}

/** Searches of the provider in the run's timeline. They may have begun in the reply before. */
function tellSearches({ session, host, run }: RunContext, reply: Reply): void {
  const known = session.records.flatMap((r) => (r.kind === 'assistant' ? r.content : []));
  for (const part of reply.content) {
    if (part.type !== 'web_search_tool_result') continue;
    const id = part.tool_use_id;
    const call = known.findLast((one) => one.type === 'server_tool_use' && one.id === id);
    const input = head(JSON.stringify(call?.type === 'server_tool_use' ? call.input : {}), 500);
    host.event(run.id, 'tool_started', { tool: 'web_search', id, input });
    // How long it took, only the provider knows.
    host.event(run.id, 'tool_finished', { id, ok: Array.isArray(part.content), durationMs: 0 });
  }
}

/** A reply of nothing is not kept: once more, with more room where that was missing, and then the people are told. */
async function afterNothing(context: LoopContext, progress: Progress, reply: Reply): Promise<Outcome | undefined> {
  if (await appendInput(context, { messages: newMessages(context) })) return undefined;
  progress.emptyReplies += 1;
  if (reply.stopReason === 'max_tokens') giveMoreRoom(context, progress);
  if (progress.emptyReplies <= MAX_EMPTY_REPLIES) return undefined;
  return endWith(context, 'The model gave no answer, twice. Ask again, perhaps in other words.');
}

/** A reply, or what became of a call that is refused, by the back end or because it surely would be. */
function callOrRefuse(context: LoopContext, maxTokens: number): Promise<Reply | ReturnType<typeof afterRefusal>> {
  const messages = toMessages(context.session.records, context.run);
  if (isTooLong(context, messages)) return Promise.resolve('too long');
  return callModel(context, messages, maxTokens).catch((error) => afterRefusal(context, error, maxTokens));
}

/** A summary in the place of what does not fit. Where not even that fits, the people are told. */
async function afterTooLong(context: LoopContext, progress: Progress): Promise<Outcome | undefined> {
  const why = whyTooSmall(context);
  if (why) return endWith(context, why);
  const made = await summary(context, progress, true);
  if (made === 'again') progress.wasTooLong = false;
  return made === true || made === 'again' ? undefined : endWith(context, doesNotFit(context));
}

/** Whether there is a summary now, or what became of the call that was to make it. */
async function summary(context: LoopContext, progress: Progress, isTooLong: boolean) {
  const maxTokens = mostTokens(context, progress);
  const { wroteDown } = progress;
  progress.wroteDown = true;
  const making = compact(context, { maxTokens, isTooLong, wroteDown });
  const made = await making.catch((error) => afterRefusal(context, error, maxTokens));
  if (made === true) progress.wroteDown = false;
  return made;
}

/** Before it is too long; undefined when the next call may be made. */
async function afterLong(context: LoopContext, progress: Progress): Promise<'again' | 'too long' | undefined> {
  if (!needsCompaction(context.session.records, modelLimits(context.run).compactAt)) return undefined;
  const made = await summary(context, progress, false);
  // Without a summary it still fits.
  return typeof made === 'string' ? made : undefined;
}

/** One model call and what follows from it; the outcome when the run is over. */
async function step(context: LoopContext, progress: Progress): Promise<Outcome | undefined> {
  const { run, session } = context;
  const tooSmall = whyTooSmall(context);
  if (tooSmall) return endWith(context, tooSmall);
  const reply = (await afterLong(context, progress)) ?? (await callOrRefuse(context, mostTokens(context, progress)));
  if (reply === 'again') return undefined;
  if (reply === 'too long' || reply.stopReason === 'model_context_window_exceeded') {
    if (progress.wasTooLong) return endWith(context, doesNotFit(context));
    progress.wasTooLong = true;
    return afterTooLong(context, progress);
  }
  if (reply.stopReason === 'refusal') {
    return endWith(context, 'The model declined to answer this. Ask differently, or start over with /new.');
  }
  keepUsable(reply.content);
  const isOver = reply.stopReason !== 'pause_turn' || reply.content.length === 0;
  if (isOver && saysNothing(reply.content) && !mayEndSilently(context)) return afterNothing(context, progress, reply);
  const { content, stopReason, tokens } = reply;
  renameRepeated(content, session.records, context.callPrefix);
  session.append({ kind: 'assistant', model: run.model, stopReason, tokens, content });
  tellSearches(context, reply);
  return toolCalls(content).length > 0 ? afterToolCalls(context, progress, reply) : afterText(context, progress, reply);
}

function endStopped(context: LoopContext, partialText: string): Outcome {
  const { session, signal, run } = context;
  const after = (why: string) => [partialText, why].filter(Boolean).join('\n\n');
  if (signal.reason?.name === 'TimeoutError') {
    // The model was done and only the hand-over took too long: the report carries its reply.
    if (isFinalReply(lastTurn(session.records))) return { outcome: 'done', ...lastReply(session.records) };
    const minutes = Math.round(run.limits.wallClockMs / 60_000);
    return endWith(context, after(`I stopped after ${minutes} minutes and am not done. Say "go on" if I should.`));
  }
  endWith(context, after('[stopped by the user]'), 'aborted');
  return { outcome: 'cancelled' };
}

const startOf = ({ run }: LoopContext): Progress => {
  const { maxTokens, maxModelCalls: callsLeft } = run.limits;
  return { maxTokens, callsLeft, cutReplies: 0, emptyReplies: 0, wasTooLong: false, wroteDown: false, lastSteps: [] };
};

/** Has the conversation summarized now, and says how long it was and is. A second attempt finds what the first one made. */
export async function shorten(context: LoopContext): Promise<Outcome> {
  const { session, run, signal } = context;
  const says = (text: string): Outcome => ({ outcome: 'done', text, step: session.records.length });
  const isShorter = (before: string) => {
    const after = aboutTokens(JSON.stringify(lastTurn(session.records)?.content ?? ''));
    return says(
      `The conversation is shorter: it ${before}begins with a summary of about ${after} tokens now. Memory files are as they were.`,
    );
  };
  const last = session.records.findLastIndex(({ kind }) => kind === 'compact');
  const before = session.records.slice(last + 1).findLast((record) => record.kind === 'assistant')?.tokens;
  if (before === undefined && session.records[last]?.runId === run.id) return isShorter('');
  if (before === undefined) return says('There is nothing to shorten: nothing was said since the last time.');
  const progress = startOf(context);
  // What a summary is asked for in is a message of a person: the last one may be a reply.
  const content = [textBlock('[The owner wants this conversation to be shortened now.]')];
  session.append({ kind: 'user', origin: 'messages', messageIds: [], content });
  try {
    let made = await summary(context, progress, false);
    for (let tries = 0; tries < 2 && made !== true; tries += 1)
      made = await summary(context, progress, made === 'too long');
    if (made !== true) return says('The model gave no summary: the conversation is as it was.');
  } catch (error) {
    return signal.aborted ? { outcome: 'cancelled' } : { outcome: 'failed', ...classifyError(error) };
  }
  return isShorter(`had about ${before} tokens with its prompt, and `);
}

/** Runs until the model is done, a limit is reached, or something fails. The history stays valid. */
export async function runLoop(context: LoopContext): Promise<Outcome> {
  const { maxModelCalls: callsLeft } = context.run.limits;
  const progress = startOf(context);
  try {
    while (progress.callsLeft > 0) {
      progress.callsLeft -= 1;
      const outcome = await step(context, progress);
      if (outcome) return outcome;
    }
    return endWith(context, `I stopped after ${callsLeft} steps and am not done. Say "go on" if I should.`);
  } catch (error) {
    if (context.signal.aborted) return endStopped(context, error instanceof Stopped ? error.partialText : '');
    return { outcome: 'failed', ...classifyError(error) };
  }
}
