// One run from its line on the work stream to its report: opens the history, repairs it, prompts, loops, finishes.
import fs from 'node:fs';
import path from 'node:path';
import type { FinishReport, PromptMessage, RunSpec } from '../../../src/wire.js';
import type { Paths, RunContext } from './context.js';
import { askToContinue, type Outcome, runLoop } from './loop.js';
import { present } from './media.js';
import { classifyError } from './model.js';
import { systemPrompt } from './prompt.js';
import { answerCalls, continuedText, lastSpoken, recordedResults, toolUses } from './records.js';
import { openSession } from './session.js';
import { createTools } from './tools/index.js';

function loadPrompt(run: RunSpec, { global, workspace }: Paths): string {
  const files = [global, workspace]
    .map((folder) => path.join(folder, 'CLAUDE.md'))
    .filter((file) => fs.existsSync(file));
  const memories = files.map((file) => ({ path: file, text: fs.readFileSync(file, 'utf8') }));
  return systemPrompt(run, workspace, memories);
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

/** Adds what the history does not have yet. Returns the answer when this work was done in an earlier attempt. */
async function begin(context: RunContext): Promise<string | undefined> {
  const { session, run } = context;
  const fresh = run.messages.filter((message) => !session.knows(message.id));
  if (fresh.length > 0) {
    const content = await present(context, fresh);
    const messageIds = fresh.map(({ id }) => id);
    return void session.append({ kind: 'user', origin: 'messages', messageIds, content });
  }
  const last = lastSpoken(session.records);
  if (last?.kind !== 'assistant' || last.stopReason === 'pause_turn') return undefined;
  // Of another run: that one had these messages steered in, and has answered them.
  if (last.stopReason === 'end_turn') return last.runId === run.id ? continuedText(session.records) : '';
  return askToContinue(context);
}

async function work(context: RunContext, takeSteered: () => PromptMessage[]): Promise<Outcome> {
  repair(context);
  const answered = await begin(context);
  if (answered !== undefined) return { outcome: 'done', text: answered };
  const system = loadPrompt(context.run, context.paths);
  return runLoop({ ...context, system, tools: createTools(context), takeSteered });
}

export type RunDeps = Omit<RunContext, 'run' | 'session' | 'signal'>;

/** Starts the run; `done` resolves with its report and never rejects. */
export function startRun(run: RunSpec, deps: RunDeps) {
  const queue: PromptMessage[] = [];
  const aborted = new AbortController();
  const signal = AbortSignal.any([aborted.signal, AbortSignal.timeout(run.limits.wallClockMs)]);
  const carried = new Set(run.messages.map(({ id }) => id));
  const takeSteered = () => {
    for (const { id } of queue) carried.add(id);
    return queue.splice(0);
  };

  async function perform(): Promise<FinishReport> {
    let handled = () => [] as number[];
    try {
      const session = openSession({ dir: deps.paths.sessions, name: run.session, runId: run.id });
      handled = () => [...carried].filter(session.knows);
      let outcome: Outcome;
      // A message that comes in while the last events are delivered still belongs to this run.
      do {
        const messages = [...run.messages, ...takeSteered()];
        outcome = await work({ ...deps, run: { ...run, messages }, session, signal }, takeSteered);
        await deps.host.flush();
      } while (outcome.outcome === 'done' && queue.length > 0);
      session.close();
      return { ...outcome, handledMessageIds: handled() };
    } catch (error) {
      // Outside the loop only the disk can fail; the host decides whether to try again.
      return { outcome: 'failed', ...classifyError(error), handledMessageIds: handled() };
    }
  }

  return {
    steer: (messages: PromptMessage[]) => void queue.push(...messages),
    abort() {
      aborted.abort();
      for (const { job, runId } of deps.shell.jobs.values()) if (runId === run.id) job.kill();
    },
    done: perform(),
  };
}
