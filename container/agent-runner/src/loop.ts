// The agent loop of one run: model, tools, steering, limits; every step is on disk before the next. Knows nothing about HTTP or files.
import type { PromptMessage } from '../../../src/wire.js';
import { Stopped } from './abort.js';
import { compact, modelLimits, needsCompaction } from './compact.js';
import type { RunContext, Tool } from './context.js';
import type { Reply } from './model.js';
import { callModel, classifyError, isTooLong, StoppedReply } from './model.js';
import type { Block, ToolResult, ToolUse } from './records.js';
import { continuedText, errorResult, textBlock, textOf, toMessages, toolUses } from './records.js';

const MAX_CONTINUES = 2;
const MAX_CUT_CALLS = 2;
const SAME_CALL_LIMIT = 3;

export interface Turn {
  messageIds: number[];
  content: Block[];
}

export interface LoopDeps extends RunContext {
  system: string;
  tools: Tool[];
  /** Takes the messages that arrived meanwhile out of the queue. */
  takeSteered(): PromptMessage[];
  /** Messages as content for the model; downloads their media. */
  present(messages: PromptMessage[]): Promise<Turn>;
}

/** Handled message ids are added by the caller, who knows what was steered in. */
export type Outcome =
  | { outcome: 'done' | 'cancelled'; text: string }
  | ({ outcome: 'failed' } & ReturnType<typeof classifyError>);

interface Progress {
  calls: number;
  continues: number;
  maxTokens: number;
  cutCalls: number;
  shrunk: boolean;
  /** The last tool call with its result, and how often in a row it was the same. */
  lastCall: string;
  sameCalls: number;
}

/** A reply in our own words, in the history as well, so that the model knows and a second attempt finds it. */
function say({ session, run }: RunContext, stopReason: 'end_turn' | 'aborted', text: string): Outcome {
  session.append({ kind: 'assistant', model: run.model, stopReason, tokens: 0, content: [textBlock(text)] });
  return { outcome: 'done', text };
}

function append({ session, run }: RunContext, { content, stopReason, tokens }: Reply): void {
  session.append({ kind: 'assistant', model: run.model, stopReason, tokens, content });
}

async function steered(deps: LoopDeps): Promise<Turn> {
  // Once the run was stopped, what people wrote stays with the host for the next run.
  const fresh = deps.signal.aborted ? [] : deps.takeSteered().filter(({ id }) => !deps.session.knows(id));
  if (fresh.length === 0) return { messageIds: [], content: [] };
  const { messageIds, content } = await deps.present(fresh);
  return { messageIds, content: [textBlock('[sent while you were working]'), ...content] };
}

/** Results and what people wrote meanwhile, as one user message: results first. */
async function answer(deps: LoopDeps, results: ToolResult[]): Promise<void> {
  const { messageIds, content } = await steered(deps);
  deps.session.append({ kind: 'user', origin: 'results', messageIds, content: [...results, ...content] });
}

function repeats(progress: Progress, calls: ToolUse[], results: ToolResult[]): boolean {
  // Waiting for a background job looks like repetition and is none.
  for (const call of calls.filter(({ name }) => name !== 'bash_output')) {
    const key = JSON.stringify([call.name, call.input, results.find((r) => r.tool_use_id === call.id)?.content]);
    progress.sameCalls = key === progress.lastCall ? progress.sameCalls + 1 : 1;
    progress.lastCall = key;
    if (progress.sameCalls >= SAME_CALL_LIMIT) return true;
  }
  return false;
}

async function afterToolCalls(deps: LoopDeps, progress: Progress, reply: Reply): Promise<Outcome | undefined> {
  const calls = toolUses(reply.content);
  append(deps, reply);
  if (reply.stopReason === 'max_tokens') {
    // The input of the last call may be cut off and still look whole.
    const note = 'Not run: your reply was cut at its length limit. Write less at a time.';
    await answer(
      deps,
      calls.map(({ id }) => errorResult(id, note)),
    );
    const most = Math.max(progress.maxTokens, modelLimits(deps.run.model).maxOutput);
    progress.maxTokens = Math.min(progress.maxTokens * 2, most);
    progress.cutCalls += 1;
    if (progress.cutCalls < MAX_CUT_CALLS) return undefined;
    return say(deps, 'end_turn', 'I stopped: my replies kept running into the length limit.');
  }
  const results = await reply.runTools();
  await answer(deps, results);
  if (!repeats(progress, calls, results)) return undefined;
  const name = calls.at(-1)?.name;
  return say(deps, 'end_turn', `I stopped because I repeated the same step (${name}) without getting further.`);
}

async function afterText(deps: LoopDeps, progress: Progress, reply: Reply): Promise<Outcome | undefined> {
  append(deps, reply);
  // A paused reply must go back last, with nothing behind it.
  if (reply.stopReason === 'pause_turn') return undefined;
  if (reply.stopReason === 'max_tokens' && progress.continues < MAX_CONTINUES && textOf(reply.content) !== '') {
    progress.continues += 1;
    askToContinue(deps);
    return undefined;
  }
  const turn = await steered(deps);
  if (turn.messageIds.length === 0) return { outcome: 'done', text: continuedText(deps.session.records) };
  deps.session.append({ kind: 'user', origin: 'messages', ...turn });
  return undefined;
}

/** Has the model finish a reply that was cut off. */
export function askToContinue({ session }: Pick<RunContext, 'session'>): void {
  const content = [textBlock('Your reply was cut off. Continue exactly where it ended.')];
  session.append({ kind: 'user', origin: 'continue', messageIds: [], content });
}

/** One model call and what follows from it; the outcome when the run is over. */
async function step(deps: LoopDeps, progress: Progress): Promise<Outcome | undefined> {
  const { run, session, system, tools, host } = deps;
  const call = { system, tools, maxTokens: progress.maxTokens };
  progress.calls += 1;
  if (needsCompaction(session.records, modelLimits(run.model).compactAt)) {
    host.event(run.id, 'note', { text: 'the conversation is long: summarizing it' });
    await compact(deps, call, false);
  }
  const reply = await callModel(deps, { ...call, messages: toMessages(session.records, run.model) }).catch((error) => {
    if (progress.shrunk || !isTooLong(error)) throw error;
    return undefined;
  });
  if (!reply || reply.stopReason === 'model_context_window_exceeded') {
    if (progress.shrunk)
      return say(deps, 'end_turn', 'This conversation does not fit the model. Start over with /new.');
    progress.shrunk = true;
    host.event(run.id, 'note', { text: 'the conversation does not fit the model: summarizing it' });
    await compact(deps, call, true);
    return undefined;
  }
  if (reply.stopReason === 'refusal') {
    return say(deps, 'end_turn', 'The model declined to answer this. Ask differently, or start over with /new.');
  }
  return toolUses(reply.content).length > 0 ? afterToolCalls(deps, progress, reply) : afterText(deps, progress, reply);
}

function stopped(deps: LoopDeps, error: unknown): Outcome {
  const partial = error instanceof StoppedReply ? error.partialText : '';
  const minutes = Math.round(deps.run.limits.wallClockMs / 60_000);
  const inTime = deps.signal.reason?.name !== 'TimeoutError';
  const why = inTime
    ? '[stopped by the user]'
    : `I stopped after ${minutes} minutes and am not done. Say "go on" if I should.`;
  const said = say(deps, inTime ? 'aborted' : 'end_turn', [partial, why].filter(Boolean).join('\n\n'));
  return inTime ? { outcome: 'cancelled', text: partial } : said;
}

/** Runs until the model is done, a limit is reached, or something fails. The history stays valid. */
export async function runLoop(deps: LoopDeps): Promise<Outcome> {
  const { maxTokens, maxModelCalls } = deps.run.limits;
  const progress = { calls: 0, continues: 0, maxTokens, cutCalls: 0, shrunk: false, lastCall: '', sameCalls: 0 };
  try {
    while (progress.calls < maxModelCalls) {
      if (deps.signal.aborted) throw new Stopped();
      const outcome = await step(deps, progress);
      if (outcome) return outcome;
    }
    return say(deps, 'end_turn', `I stopped after ${maxModelCalls} steps and am not done. Say "go on" if I should.`);
  } catch (error) {
    return deps.signal.aborted ? stopped(deps, error) : { outcome: 'failed', ...classifyError(error) };
  }
}
