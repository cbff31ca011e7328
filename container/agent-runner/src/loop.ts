// The agent loop of one run: model, tools, steering, limits; every step is on disk before the next. Knows nothing about HTTP or files.
import type { AnswerReport, PromptMessage } from '../../../src/wire.js';
import { compact, modelLimits, needsCompaction } from './compact.js';
import { type LoopContext, type RunContext, Stopped } from './context.js';
import { present } from './media.js';
import { callModel, classifyError, isTooLong, type Reply } from './model.js';
import type { ToolResult, ToolUse } from './records.js';
import {
  type Block,
  isFinalReply,
  lastReply,
  lastSpoken,
  textBlock,
  textOf,
  toMessages,
  toolResult,
  toolUses,
} from './records.js';

const MAX_CUT_REPLIES = 2;
const SAME_STEP_LIMIT = 3;

/** Handled message ids are added by the caller. */
export type Outcome =
  | ({ outcome: 'done' } & AnswerReport)
  | { outcome: 'cancelled'; text: string }
  | ({ outcome: 'failed' } & ReturnType<typeof classifyError>);

/** `lastStep` is the last calls with their results, `sameSteps` how often in a row they were the same. */
const newProgress = (maxTokens: number, callsLeft: number) => ({
  maxTokens,
  callsLeft,
  cutReplies: 0,
  shrunk: false,
  lastStep: '',
  sameSteps: 0,
});
type Progress = ReturnType<typeof newProgress>;

/** A reply in our own words, in the history as well, so that the model knows and a second attempt finds it. */
function say({ session, run }: RunContext, text: string, stopReason = 'end_turn'): Outcome {
  session.append({ kind: 'assistant', model: run.model, stopReason, tokens: 0, content: [textBlock(text)] });
  return { outcome: 'done', ...lastReply(session.records) };
}

/** Messages that are not in the history yet. A run that was stopped takes in no more: the host makes the next run of them. */
export const newMessages = ({ session, messages, signal }: RunContext): PromptMessage[] =>
  signal.aborted ? [] : messages.filter(({ id }) => !session.knows(id));

/**
 * When new messages wait: hands a final reply to the host before anything follows it in the history. So only the last reply of a run can be
 * one that the host does not have. False when the run has to end with this reply: the messages are then for the next run.
 */
export async function handOverReply(context: RunContext, reply: AnswerReport): Promise<boolean> {
  if (reply.text === '' || newMessages(context).length === 0) return true;
  return context.host.answer(context.run.id, reply, context.signal);
}

/** `intro` comes before the messages when there are any. */
type Input = { results?: ToolResult[]; messages: PromptMessage[]; intro?: Block[] };

/** Appends tool results and messages as one user record. False when there is neither. */
export async function appendInput(context: RunContext, { results = [], messages, intro }: Input): Promise<boolean> {
  if (results.length + messages.length === 0) return false;
  const before = intro ?? [textBlock('[sent while you were working]')];
  const texts = messages.length > 0 ? [...before, ...(await present(context, messages))] : [];
  const origin = results.length > 0 ? 'results' : 'messages';
  const messageIds = messages.map(({ id }) => id);
  context.session.append({ kind: 'user', origin, messageIds, content: [...results, ...texts] });
  return true;
}

function stuckText({ shell }: RunContext, progress: Progress, calls: ToolUse[], results: ToolResult[]) {
  const step = JSON.stringify([calls.map(({ name, input }) => [name, input]), results.map(({ content }) => content)]);
  progress.sameSteps = step === progress.lastStep ? progress.sameSteps + 1 : 1;
  progress.lastStep = step;
  // Waiting for a background job looks like repetition and is none.
  const isWaiting = [...shell.jobs].some(([id, { job }]) => job.exit() === undefined && step.includes(`${id}.log`));
  if (progress.sameSteps < SAME_STEP_LIMIT || isWaiting) return undefined;
  return `I stopped because I repeated the same step (${calls.at(-1)?.name}) without getting further.`;
}

async function afterToolCalls(deps: LoopContext, progress: Progress, reply: Reply): Promise<Outcome | undefined> {
  const calls = toolUses(reply.content);
  const isCut = reply.stopReason === 'max_tokens';
  // The input of the last call may be cut off and still look whole.
  const note = 'Not run: your reply was cut at its length limit. Write less at a time.';
  const results = isCut ? calls.map(({ id }) => toolResult(id, note, true)) : await reply.runTools();
  const why = isCut ? cutTooOften(deps, progress) : stuckText(deps, progress, calls, results);
  // A run that ends here leaves new messages to the next one: nobody would work on them.
  const isOver = why !== undefined || progress.callsLeft === 0;
  await appendInput(deps, { results, messages: isOver ? [] : newMessages(deps) });
  return why === undefined ? undefined : say(deps, why);
}

function cutTooOften({ run }: RunContext, progress: Progress): string | undefined {
  const most = Math.max(progress.maxTokens, modelLimits(run.model).maxOutput);
  progress.maxTokens = Math.min(progress.maxTokens * 2, most);
  progress.cutReplies += 1;
  if (progress.cutReplies < MAX_CUT_REPLIES) return undefined;
  return 'I stopped: my replies kept running into the length limit.';
}

async function afterText(deps: LoopContext, progress: Progress, reply: Reply): Promise<Outcome | undefined> {
  // A paused reply must go back last, with nothing behind it.
  if (reply.stopReason === 'pause_turn') return undefined;
  const isCut = reply.stopReason === 'max_tokens' && textOf(reply.content) !== '';
  if (isCut && progress.cutReplies < MAX_CUT_REPLIES) {
    progress.cutReplies += 1;
    return askToContinue(deps);
  }
  const final = lastReply(deps.session.records);
  const goesOn =
    progress.callsLeft > 0 &&
    (await handOverReply(deps, final)) &&
    (await appendInput(deps, { messages: newMessages(deps) }));
  return goesOn ? undefined : { outcome: 'done', ...final };
}

/** Has the model finish a reply that was cut off. */
export function askToContinue({ session }: RunContext): undefined {
  const content = [textBlock('Your reply was cut off. Continue exactly where it ended.')];
  session.append({ kind: 'user', origin: 'continue', messageIds: [], content });
}

/** One model call and what follows from it; the outcome when the run is over. */
async function step(deps: LoopContext, progress: Progress): Promise<Outcome | undefined> {
  const { run, session } = deps;
  const { maxTokens } = progress;
  if (needsCompaction(session.records, modelLimits(run.model).compactAt)) await compact(deps, maxTokens, false);
  const reply = await callModel(deps, toMessages(session.records, run.model), maxTokens).catch((error) => {
    if (progress.shrunk || !isTooLong(error)) throw error;
    return undefined;
  });
  if (!reply || reply.stopReason === 'model_context_window_exceeded') {
    if (progress.shrunk) return say(deps, 'This conversation does not fit the model. Start over with /new.');
    progress.shrunk = true;
    return void (await compact(deps, maxTokens, true));
  }
  if (reply.stopReason === 'refusal') {
    return say(deps, 'The model declined to answer this. Ask differently, or start over with /new.');
  }
  const { content, stopReason, tokens } = reply;
  session.append({ kind: 'assistant', model: run.model, stopReason, tokens, content });
  return toolUses(content).length > 0 ? afterToolCalls(deps, progress, reply) : afterText(deps, progress, reply);
}

function stopped(deps: LoopContext, partial: string): Outcome {
  const after = (why: string) => [partial, why].filter(Boolean).join('\n\n');
  if (deps.signal.reason?.name === 'TimeoutError') {
    // It had ended, and could not be handed over in all that time: the report carries it.
    if (isFinalReply(lastSpoken(deps.session.records))) return { outcome: 'done', ...lastReply(deps.session.records) };
    const minutes = Math.round(deps.run.limits.wallClockMs / 60_000);
    return say(deps, after(`I stopped after ${minutes} minutes and am not done. Say "go on" if I should.`));
  }
  say(deps, after('[stopped by the user]'), 'aborted');
  return { outcome: 'cancelled', text: partial };
}

/** Runs until the model is done, a limit is reached, or something fails. The history stays valid. */
export async function runLoop(deps: LoopContext): Promise<Outcome> {
  const { maxTokens, maxModelCalls } = deps.run.limits;
  const progress = newProgress(maxTokens, maxModelCalls);
  try {
    while (progress.callsLeft > 0) {
      progress.callsLeft -= 1;
      const outcome = await step(deps, progress);
      if (outcome) return outcome;
    }
    return say(deps, `I stopped after ${maxModelCalls} steps and am not done. Say "go on" if I should.`);
  } catch (error) {
    if (deps.signal.aborted) return stopped(deps, error instanceof Stopped ? error.partialText : '');
    return { outcome: 'failed', ...classifyError(error) };
  }
}
