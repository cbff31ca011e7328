// One run from its line on the work stream to its report: opens the history, repairs it, prompts, loops, finishes.
import fs from 'node:fs';
import path from 'node:path';
import type Anthropic from '@anthropic-ai/sdk';
import { systemClock } from '../../../src/clock.js';
import type { FinishReport, PromptMessage, RunSpec } from '../../../src/wire.js';
import type { Host } from './host.js';
import type { LoopDeps, Outcome, Turn } from './loop.js';
import { askToContinue, runLoop } from './loop.js';
import { fetchMedia } from './media.js';
import { classifyError } from './model.js';
import type { Processes } from './processes.js';
import { messagesXml, systemPrompt } from './prompt.js';
import type { Block } from './records.js';
import { finishedAnswer, openCalls } from './records.js';
import type { Session } from './session.js';
import { openSession } from './session.js';
import { endedJobs } from './tools/bash.js';
import type { Paths } from './tools/context.js';
import { createTools } from './tools/index.js';
import type { Shell } from './tools/shell.js';

export interface RunDeps {
  host: Host;
  client: Anthropic;
  paths: Paths;
  processes: Processes;
  /** The shell of the run's session. */
  shell: Shell;
}

export interface ActiveRun {
  steer(messages: PromptMessage[]): void;
  abort(): void;
  /** Resolves when the report was delivered; rejects when the host cannot be reached. */
  done: Promise<void>;
}

function readIfThere(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function loadPrompt(run: RunSpec, paths: Paths): string {
  const files = [path.join(paths.global, 'CLAUDE.md'), path.join(paths.workspace, 'CLAUDE.md')];
  const memories = files.map((file) => ({ path: file, text: readIfThere(file) }));
  return systemPrompt(run, paths.workspace, memories);
}

/** Answers calls that a crash left open; each one that has no recorded end is told to the model and to the timeline. */
function repair(session: Session, run: RunSpec, host: Host): void {
  const open = openCalls(session.records);
  if (!open) return;
  for (const call of open.interrupted) host.event(run.id, 'interrupted', { tool: call.name, id: call.id });
  session.append({ kind: 'user', origin: 'results', messageIds: [], content: open.results });
}

function presenter(deps: RunDeps, run: RunSpec, session: Session) {
  return async (messages: PromptMessage[]): Promise<Turn> => {
    const inbox = path.join(deps.paths.workspace, 'inbox');
    const { attachments, images } = await fetchMedia({ host: deps.host, inbox, records: session.records }, messages);
    const now = systemClock.now();
    const content: Block[] = endedJobs({ session, shell: deps.shell }).map((text) => ({ type: 'text', text }));
    content.push({ type: 'text', text: messagesXml(run, { messages, attachments, now }) }, ...images);
    return { messageIds: messages.map(({ id }) => id), content };
  };
}

/** Adds what the history does not have yet. Returns the answer when this work was done in an earlier attempt. */
async function begin(run: RunSpec, session: Session, present: LoopDeps['present']): Promise<string | undefined> {
  const fresh = run.messages.filter((message) => !session.knows(message.id));
  if (fresh.length > 0) {
    session.append({ kind: 'user', origin: 'messages', ...(await present(fresh)) });
    return undefined;
  }
  const answered = finishedAnswer(session.records, run.id);
  if (answered !== undefined) return answered;
  const last = session.records.findLast((r) => r.kind === 'assistant' || r.kind === 'user' || r.kind === 'compact');
  if (last?.kind !== 'assistant' || last.stopReason === 'pause_turn') return undefined;
  // Answered as a part of another run, which had these messages steered in.
  if (last.stopReason === 'end_turn') return '';
  askToContinue(session);
  return undefined;
}

function isTimeout(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
}

async function work(run: RunSpec, deps: RunDeps, session: Session, given: Pick<LoopDeps, 'signal' | 'takeSteered'>) {
  const { host, client } = deps;
  repair(session, run, host);
  const present = presenter(deps, run, session);
  const answered = await begin(run, session, present);
  if (answered !== undefined) return { outcome: 'done', text: answered } satisfies Outcome;
  return runLoop({
    run,
    client,
    session,
    present,
    system: loadPrompt(run, deps.paths),
    tools: createTools({ ...deps, run, session, signal: given.signal }),
    ...given,
    timedOut: () => isTimeout(given.signal),
    note: (kind, text) => host.event(run.id, kind, { text }),
  });
}

/** Starts the run; its end is reported to the host exactly once. */
export function startRun(run: RunSpec, deps: RunDeps): ActiveRun {
  const queue: PromptMessage[] = [];
  const aborted = new AbortController();
  const signal = AbortSignal.any([aborted.signal, AbortSignal.timeout(run.limits.wallClockMs)]);
  const carried = new Set(run.messages.map(({ id }) => id));
  const takeSteered = () => {
    const taken = queue.splice(0);
    for (const { id } of taken) carried.add(id);
    return taken;
  };

  async function perform(): Promise<FinishReport> {
    let session: Session | undefined;
    try {
      session = openSession({ dir: deps.paths.sessions, name: run.session, runId: run.id, now: systemClock.now });
      const known = session;
      let outcome: Outcome;
      // A message that comes in while the last events are delivered still belongs to this run.
      do {
        const messages = [...run.messages, ...takeSteered()];
        outcome = await work({ ...run, messages }, deps, session, { signal, takeSteered });
        await deps.host.flush(run.id);
      } while (outcome.outcome === 'done' && queue.length > 0);
      return { ...outcome, handledMessageIds: [...carried].filter((id) => known.knows(id)) };
    } catch (error) {
      // Outside the loop only the disk can fail; the host decides whether to try again.
      const handledMessageIds = [...carried].filter((id) => session?.knows(id) ?? false);
      return { outcome: 'failed', ...classifyError(error), handledMessageIds };
    } finally {
      session?.close();
    }
  }

  return {
    steer: (messages) => void queue.push(...messages),
    abort() {
      aborted.abort();
      for (const { job, runId } of deps.shell.jobs.values()) if (runId === run.id) job.kill();
    },
    done: perform().then((report) => deps.host.finish(run.id, report)),
  };
}
