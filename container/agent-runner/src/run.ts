// One run from its line on the work stream to its report: opens the history, repairs it, prompts, loops, finishes.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '../../../src/core/clock.js';
import { describeError } from '../../../src/core/errors.js';
import type { FinishReport, PromptMessage, RunSpec } from '../../../src/wire.js';
import { runCheck } from './check.js';
import { type LoopContext, type McpCatalog, type RunContext, Stopped } from './context.js';
import { appendInput, askToContinue, handOverReply, newMessages, type Outcome, runLoop, shorten } from './loop.js';
import { readMemories } from './memories.js';
import { classifyError } from './model-errors.js';
import { systemPrompt } from './prompt.js';
import { answerCalls, finalReplyOf, isPaused, lastTurn, recordedResults, textBlock, toolCalls } from './records.js';
import { openSession, type Session } from './session.js';
import { createShell } from './shell.js';
import { findSkills } from './skills.js';
import { shortPrompt } from './small-window.js';
import { removeOldHistories } from './tidy.js';
import { createTools } from './tools/index.js';
import { splitTools } from './tools/mcp.js';

function loadPrompt({ run, paths, journal, mcp }: Omit<RunContext, 'session'>): Pick<LoopContext, 'system' | 'short'> {
  const memories = readMemories(paths);
  const skills = findSkills(paths, run.ownSkills);
  return {
    system: systemPrompt(run, paths, { skills, memories, index: journal.index(), mcp }),
    short: (window) => shortPrompt(run, paths, memories, window),
  };
}

/** A host that cannot say it now must not fail the run. */
async function loadMcp({ run, host, signal }: Pick<RunContext, 'run' | 'host' | 'signal'>): Promise<McpCatalog> {
  if (!run.mcp?.length) return { listed: [], hidden: [], problems: [] };
  const all = await host.mcpTools(run.id, signal).catch((error) => {
    console.error('no MCP tools', error);
    return {
      tools: [],
      problems: (run.mcp ?? []).map(({ name }) => ({ service: name, problem: describeError(error) })),
    };
  });
  return { ...splitTools(all.tools), problems: all.problems };
}

/** Gives results to calls that a crash left without; model and timeline are told which were interrupted. */
function repair({ session, run, host }: RunContext): void {
  const last = lastTurn(session.records);
  const calls = last?.kind === 'assistant' ? toolCalls(last.content) : [];
  if (!last || calls.length === 0) return;
  // Results from before the reply do not count: some back ends use the same ids again and again.
  const recorded = recordedResults(session.records.slice(session.records.lastIndexOf(last)));
  for (const { id, name } of calls) if (!recorded.has(id)) host.event(run.id, 'interrupted', { tool: name, id });
  session.append({ kind: 'user', origin: 'results', messageIds: [], content: answerCalls(calls, [], recorded) });
}

/** Adds what the history does not have yet. Returns the outcome when an earlier attempt has done the work. */
async function begin(context: RunContext): Promise<Outcome | undefined> {
  const { session, run } = context;
  // Told with the messages, not in the system prompt: that stays the same for every run of the group.
  const intro = run.unattended ? [textBlock(run.unattended.note)] : [];
  const last = lastTurn(session.records);
  const reply = finalReplyOf(session.records, run.id);
  const done: Outcome | undefined = reply && { outcome: 'done', ...reply };
  // An earlier attempt may have died before the host had its reply; another run may have gone on in the session since.
  if (reply && !(await handOverReply(context, reply))) return done;
  if (await appendInput(context, { messages: newMessages(context), intro })) return undefined;
  if (!done) return last?.kind === 'assistant' && !isPaused(last) ? askAgain(context) : undefined;
  if (last?.runId !== run.id) return done;
  if (last.kind !== 'assistant') return undefined;
  return last.stopReason === 'max_tokens' ? askToContinue(context) : done;
}

/** The run was stopped or given up before; another one may have gone on in the session since. */
function askAgain({ session, messages }: RunContext): undefined {
  const ids = messages.map(({ id }) => id).join(', ');
  const content = [textBlock(`[There is no answer to these messages yet: ${ids}. Answer them now.]`)];
  session.append({ kind: 'user', origin: 'messages', messageIds: [], content });
}

/** Skills that the owner has not read yet, and what is none: telling it must not fail the run. */
async function proposeSkills({ run, paths, host, signal }: Omit<RunContext, 'session' | 'mcp'>): Promise<void> {
  const { unread, leftOut } = findSkills(paths, run.ownSkills);
  const tell = (path: string, body: object) =>
    host.ask(path, { runId: run.id, ...body }, signal).catch((error) => console.error('skill not told', error));
  for (const skill of unread) await tell('/skills', skill);
  if (leftOut.length > 0 || run.skillsLeftOut) await tell('/skills/left-out', { skills: leftOut });
}

/**
 * A sub-agent: the loop once more, in a history and a shell of its own that end with it. After a crash the call that started it is
 * interrupted like any other, so nothing of it is kept. Throws what stopped it.
 */
async function delegate(deps: Omit<LoopContext, 'session' | 'tools'>, prompt: string): Promise<string> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'agent-'));
  const shell = createShell(deps.shell.cwd);
  const session = openSession({ dir, name: 'history', runId: deps.run.id });
  try {
    const callPrefix = `${path.basename(dir)}_`;
    const context: LoopContext = { ...deps, session, shell, callPrefix, messages: [], tools: NO_TOOLS };
    context.tools = createTools(context);
    const content = [textBlock(SUB_AGENT), textBlock(prompt)];
    session.append({ kind: 'user', origin: 'messages', messageIds: [], content });
    const outcome = await runLoop(context);
    if (outcome.outcome === 'done') return outcome.text;
    throw outcome.outcome === 'cancelled' ? new Stopped() : new Error(outcome.message);
  } finally {
    for (const { job } of shell.jobs.values()) job.kill();
    session.close();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}
const NO_TOOLS = { listed: [], hidden: new Map() };
const SUB_AGENT =
  '[You are a sub-agent: another agent asks you for what follows, and nobody else reads your last text. End with all that it needs to know.]';

async function perform(given: Omit<RunContext, 'session' | 'mcp'>): Promise<FinishReport> {
  const { run, paths, messages } = given;
  let session: Session | undefined;
  const handledMessageIds = () => messages.map(({ id }) => id).filter((id) => session?.knows(id));
  given.journal.begin(run);
  try {
    removeOldHistories(paths.sessions, run.session);
    session = openSession({ dir: paths.sessions, name: run.session, runId: run.id, kept: given.histories });
    const deps = { ...given, mcp: await loadMcp(given) };
    const texts = loadPrompt(deps);
    const context: RunContext = { ...deps, session, delegate: (prompt) => delegate({ ...deps, ...texts }, prompt) };
    const ended = await runCheck(context);
    if (!ended) repair(context);
    const inLoop = (): LoopContext => ({ ...context, ...texts, tools: createTools(context) });
    const work = async () => (run.compact ? shorten(inLoop()) : ((await begin(context)) ?? runLoop(inLoop())));
    const outcome = ended ?? (await work());
    await proposeSkills(given);
    return { handledMessageIds: handledMessageIds(), ...outcome };
  } catch (error) {
    // Outside the loop the disk or the link failed; the host decides whether to try again.
    return { outcome: 'failed', ...classifyError(error), handledMessageIds: handledMessageIds() };
  } finally {
    session?.close();
  }
}

/** Starts the run; `done` resolves with its report and never rejects. */
export function startRun(run: RunSpec, deps: Omit<RunContext, 'run' | 'session' | 'signal' | 'messages' | 'mcp'>) {
  const messages = [...run.messages];
  const aborted = new AbortController();
  // Not AbortSignal.timeout with AbortSignal.any: before Node 24 the timeout may be collected and never fire.
  const endsAt = systemClock.now() + run.limits.wallClockMs;
  const timeLimit = systemClock.at(endsAt, () => aborted.abort(new DOMException('the time is up', 'TimeoutError')));
  return {
    /** Messages that come too late are not reported as handled, and the host makes the next run of them. */
    steer: (more: PromptMessage[]) => void messages.push(...more),
    abort: () => aborted.abort(),
    /** By a person, not by the time limit. */
    isAborted: () => aborted.signal.aborted && aborted.signal.reason.name !== 'TimeoutError',
    done: perform({ ...deps, run, signal: aborted.signal, messages }).finally(timeLimit.cancel),
  };
}
