// One run from its line on the work stream to its report: opens the history, repairs it, prompts, loops, finishes.
import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../src/core/clock.js';
import type { FinishReport, PromptMessage, RunSpec } from '../../../src/wire.js';
import { checkFirst } from './check.js';
import type { Paths, RunContext } from './context.js';
import { appendInput, askToContinue, handOverReply, newMessages, type Outcome, runLoop } from './loop.js';
import { classifyError } from './model.js';
import { systemPrompt } from './prompt.js';
import { answerCalls, finalReplyOf, lastSpoken, recordedResults, textBlock, toolUses } from './records.js';
import { openSession, removeOldHistories } from './session.js';
import { findSkills } from './skills.js';
import { createTools } from './tools/index.js';

function loadPrompt(run: RunSpec, paths: Paths): string {
  const { global, workspace } = paths;
  const files = [global, workspace].map((folder) => path.join(folder, 'CLAUDE.md')).filter(fs.existsSync);
  const memories = files.map((file) => ({ path: file, text: fs.readFileSync(file, 'utf8') }));
  return systemPrompt(run, workspace, findSkills(paths), memories);
}

/** Answers calls that a crash left open; each one that has no recorded end is told to the model and to the timeline. */
function repair({ session, run, host }: RunContext): void {
  const last = lastSpoken(session.records);
  const calls = last?.kind === 'assistant' ? toolUses(last.content) : [];
  if (calls.length === 0) return;
  // Only what followed the reply: some back ends use the same ids again and again.
  const done = recordedResults(session.records.slice(last ? session.records.lastIndexOf(last) : 0));
  for (const { id, name } of calls) if (!done.has(id)) host.event(run.id, 'interrupted', { tool: name, id });
  session.append({ kind: 'user', origin: 'results', messageIds: [], content: answerCalls(calls, [], done) });
}

/** Adds what the history does not have yet. Returns the outcome when an earlier attempt has done this work. */
async function begin(context: RunContext): Promise<Outcome | undefined> {
  const { session, run } = context;
  // Told with the messages, not in the system prompt: that stays the same for every run of the group.
  const intro = run.unattended ? [textBlock(run.unattended.note)] : [];
  const last = lastSpoken(session.records);
  const reply = finalReplyOf(session.records, run.id);
  // The earlier attempt may have died before the host had its reply, and another run may have gone on in the session since.
  if (reply && !(await handOverReply(context, reply))) return { outcome: 'done', ...reply };
  if (await appendInput(context, { messages: newMessages(context), intro })) return undefined;
  if (!reply) return last?.kind === 'assistant' && last.stopReason !== 'pause_turn' ? askAgain(context) : undefined;
  if (last?.runId !== run.id) return { outcome: 'done', ...reply };
  if (last.kind !== 'assistant') return undefined;
  return last.stopReason === 'max_tokens' ? askToContinue(context) : { outcome: 'done', ...reply };
}

/** The run was stopped or given up once and is tried again; another one may have gone on in the session meanwhile. */
function askAgain({ session, messages }: RunContext): undefined {
  const ids = messages.map(({ id }) => id).join(', ');
  const content = [textBlock(`[There is no answer to these messages yet: ${ids}. Answer them now.]`)];
  session.append({ kind: 'user', origin: 'messages', messageIds: [], content });
}

type RunDeps = Omit<RunContext, 'run' | 'session' | 'signal' | 'messages'>;

async function perform(run: RunSpec, deps: RunDeps & Pick<RunContext, 'signal' | 'messages'>): Promise<FinishReport> {
  let handled: () => number[] = () => [];
  try {
    removeOldHistories(deps.paths.sessions, run.session);
    const session = openSession({ dir: deps.paths.sessions, name: run.session, runId: run.id });
    handled = () => deps.messages.map(({ id }) => id).filter(session.knows);
    const context = { ...deps, run, session };
    const loop = () => runLoop({ ...context, system: loadPrompt(run, deps.paths), tools: createTools(context) });
    const ended = await checkFirst(context);
    if (!ended) repair(context);
    const outcome = ended ?? (await begin(context)) ?? (await loop());
    session.close();
    return { handledMessageIds: handled(), ...outcome };
  } catch (error) {
    // Outside the loop only the disk can fail; the host decides whether to try again.
    return { outcome: 'failed', ...classifyError(error), handledMessageIds: handled() };
  }
}

/** Starts the run; `done` resolves with its report and never rejects. */
export function startRun(run: RunSpec, deps: RunDeps) {
  const messages = [...run.messages];
  const aborted = new AbortController();
  // Not AbortSignal.timeout with AbortSignal.any: before Node 24 the timeout may be collected and never fire.
  const endsAt = systemClock.now() + run.limits.wallClockMs;
  const wallClock = systemClock.at(endsAt, () => aborted.abort(new DOMException('the time is up', 'TimeoutError')));
  return {
    /** What comes too late for this run is left out of its report, and the host makes the next run of it. */
    steer: (more: PromptMessage[]) => void messages.push(...more),
    abort: () => aborted.abort(),
    done: perform(run, { ...deps, signal: aborted.signal, messages }).finally(wallClock.cancel),
  };
}
