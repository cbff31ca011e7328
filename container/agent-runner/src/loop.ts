// The agent loop of one run: model, tools, steering, limits; every step is on disk before the next. Knows nothing about HTTP or files.
import type Anthropic from '@anthropic-ai/sdk';
import type { PromptMessage, RunSpec } from '../../../src/wire.js';
import { Stopped } from './abort.js';
import { compact, modelLimits, needsCompaction } from './compact.js';
import type { ModelCall, Reply } from './model.js';
import { callModel, classifyError, isTooLong, StoppedReply } from './model.js';
import type { Block, ToolResult, ToolUse } from './records.js';
import { continuedText, errorResult, textOf, toMessages, toolUses } from './records.js';
import type { Session } from './session.js';
import type { Tool } from './tools/context.js';

const MAX_CONTINUES = 2;
const SAME_CALL_LIMIT = 3;
const STEERED = '[sent while you were working]';

export interface Turn {
  messageIds: number[];
  content: Block[];
}

export interface LoopDeps {
  run: RunSpec;
  client: Anthropic;
  session: Session;
  system: string;
  tools: Tool[];
  /** Aborted by the host or by the wall clock. */
  signal: AbortSignal;
  /** True when the wall clock aborted it. */
  timedOut(): boolean;
  /** Takes the messages that arrived meanwhile out of the queue. */
  takeSteered(): PromptMessage[];
  /** Messages as content for the model; downloads their media. */
  present(messages: PromptMessage[]): Promise<Turn>;
  note(kind: 'model_retry' | 'note', text: string): void;
}

/** Handled message ids are added by the caller, who knows what was steered in. */
export type Outcome =
  | { outcome: 'done'; text: string }
  | { outcome: 'cancelled'; text: string }
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

/** Ends the run with a sentence of our own, in the history as well, so that the model knows and a retry finds it. */
function close(deps: LoopDeps, text: string): Outcome {
  const { session, run } = deps;
  session.append({
    kind: 'assistant',
    model: run.model,
    stopReason: 'end_turn',
    tokens: 0,
    content: [{ type: 'text', text }],
  });
  return { outcome: 'done', text };
}

function append(deps: LoopDeps, reply: Reply): void {
  const { input, output, cacheRead, cacheWrite } = reply.usage;
  const tokens = input + output + cacheRead + cacheWrite;
  const { content, stopReason } = reply;
  deps.session.append({ kind: 'assistant', model: deps.run.model, stopReason, tokens, content });
}

async function steered(deps: LoopDeps): Promise<Turn> {
  const fresh = deps.takeSteered().filter((message) => !deps.session.knows(message.id));
  if (fresh.length === 0) return { messageIds: [], content: [] };
  const turn = await deps.present(fresh);
  return { messageIds: turn.messageIds, content: [{ type: 'text', text: STEERED }, ...turn.content] };
}

/** Results and what people wrote meanwhile, as one user message: results first. */
async function answer(deps: LoopDeps, results: ToolResult[]): Promise<void> {
  // When the run was stopped, what people wrote stays with the host for the next run.
  const turn = deps.signal.aborted ? { messageIds: [], content: [] } : await steered(deps);
  deps.session.append({
    kind: 'user',
    origin: 'results',
    messageIds: turn.messageIds,
    content: [...results, ...turn.content],
  });
}

function repeats(progress: Progress, calls: ToolUse[], results: ToolResult[]): boolean {
  for (const call of calls) {
    // Waiting for a background job looks like repetition and is none.
    if (call.name === 'bash_output') continue;
    const result = results.find((r) => r.tool_use_id === call.id);
    const key = JSON.stringify([call.name, call.input, result?.content]);
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
    await answer(
      deps,
      calls.map(({ id }) => errorResult(id, 'Not run: your reply was cut at its length limit. Write less at a time.')),
    );
    progress.cutCalls += 1;
    progress.maxTokens = Math.min(
      progress.maxTokens * 2,
      Math.max(progress.maxTokens, modelLimits(deps.run.model).maxOutput),
    );
    if (progress.cutCalls > 2) return close(deps, 'I stopped: my replies kept running into the length limit.');
    return undefined;
  }
  const results = await reply.runTools();
  await answer(deps, results);
  if (deps.signal.aborted) throw new Stopped();
  if (!repeats(progress, calls, results)) return undefined;
  return close(deps, `I stopped because I repeated the same step (${calls.at(-1)?.name}) without getting further.`);
}

async function afterText(deps: LoopDeps, progress: Progress, reply: Reply): Promise<Outcome | undefined> {
  append(deps, reply);
  // A paused reply must go back last, with nothing behind it.
  if (reply.stopReason === 'pause_turn') return undefined;
  if (reply.stopReason === 'max_tokens' && progress.continues < MAX_CONTINUES && textOf(reply.content) !== '') {
    progress.continues += 1;
    askToContinue(deps.session);
    return undefined;
  }
  const turn = await steered(deps);
  if (turn.messageIds.length === 0) return { outcome: 'done', text: continuedText(deps.session.records) };
  deps.session.append({ kind: 'user', origin: 'messages', ...turn });
  return undefined;
}

/** Has the model finish a reply that was cut off. */
export function askToContinue(session: Session): void {
  const text = 'Your reply was cut off. Continue exactly where it ended.';
  session.append({ kind: 'user', origin: 'continue', messageIds: [], content: [{ type: 'text', text }] });
}

async function step(deps: LoopDeps, progress: Progress): Promise<Outcome | undefined> {
  const { run, session, client, signal } = deps;
  const call: Omit<ModelCall, 'messages'> = {
    runId: run.id,
    model: run.model,
    maxTokens: progress.maxTokens,
    system: deps.system,
    tools: deps.tools,
    signal,
    onRetry: (why) => deps.note('model_retry', why),
  };
  progress.calls += 1;
  if (needsCompaction(session.records, modelLimits(run.model).compactAt)) {
    deps.note('note', 'the conversation is long: summarizing it');
    await compact({ client, session, call, tooLong: false });
  }
  let reply: Reply;
  try {
    reply = await callModel(client, { ...call, messages: toMessages(session.records, run.model) });
  } catch (error) {
    if (!isTooLong(error)) throw error;
    return shrink(deps, progress, { call, error });
  }
  if (reply.stopReason === 'model_context_window_exceeded') return shrink(deps, progress, { call, error: undefined });
  if (reply.stopReason === 'refusal') {
    return close(deps, `The model declined to answer this. Ask differently, or start over with /new.`);
  }
  return toolUses(reply.content).length > 0 ? afterToolCalls(deps, progress, reply) : afterText(deps, progress, reply);
}

async function shrink(
  deps: LoopDeps,
  progress: Progress,
  { call, error }: { call: Omit<ModelCall, 'messages'>; error: unknown },
): Promise<Outcome | undefined> {
  if (progress.shrunk) {
    if (error !== undefined) throw error;
    return close(deps, 'I stopped: this conversation does not fit the model. Start over with /new.');
  }
  progress.shrunk = true;
  deps.note('note', 'the conversation does not fit the model: summarizing it');
  await compact({ client: deps.client, session: deps.session, call, tooLong: true });
  return undefined;
}

function stopped(deps: LoopDeps, error: unknown): Outcome {
  const { session, run } = deps;
  const partial = error instanceof StoppedReply ? error.partialText : '';
  const why = deps.timedOut()
    ? `I stopped after ${Math.round(run.limits.wallClockMs / 60_000)} minutes without being done. Say "go on" if I should continue.`
    : '[stopped by the user]';
  const text = [partial, why].filter(Boolean).join('\n\n');
  if (deps.timedOut()) return close(deps, text);
  session.append({
    kind: 'assistant',
    model: run.model,
    stopReason: 'aborted',
    tokens: 0,
    content: [{ type: 'text', text }],
  });
  return { outcome: 'cancelled', text: partial };
}

/** Runs until the model is done, a limit is reached, or something fails. Never rejects; the history stays valid. */
export async function runLoop(deps: LoopDeps): Promise<Outcome> {
  const { limits } = deps.run;
  const progress: Progress = {
    calls: 0,
    continues: 0,
    maxTokens: limits.maxTokens,
    cutCalls: 0,
    shrunk: false,
    lastCall: '',
    sameCalls: 0,
  };
  try {
    while (progress.calls < limits.maxModelCalls) {
      if (deps.signal.aborted) throw new Stopped();
      const outcome = await step(deps, progress);
      if (outcome) return outcome;
    }
    return close(
      deps,
      `I stopped after ${limits.maxModelCalls} steps without being done. Say "go on" if I should continue.`,
    );
  } catch (error) {
    if (deps.signal.aborted) return stopped(deps, error);
    return { outcome: 'failed', ...classifyError(error) };
  }
}
