// What one run works with, passed to the loop and to every tool; and waiting that ends at once when the run is stopped.
import { once } from 'node:events';
import type Anthropic from '@anthropic-ai/sdk';
import type { BetaRunnableTool } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool';
import type { PromptMessage, RunSpec } from '../../../src/wire.js';
import type { Host } from './host.js';
import type { Processes } from './processes.js';
import type { Session } from './session.js';
import type { Shell } from './shell.js';

export type Paths = Record<'workspace' | 'global' | 'sessions' | 'skills', string>;

export interface RunContext {
  run: RunSpec;
  paths: Paths;
  host: Host;
  client: Anthropic;
  session: Session;
  /** What the session's shell remembers, from run to run. */
  shell: Shell;
  processes: Processes;
  /** Every message of the run, also what arrived later; those the session does not know wait for the next boundary. */
  messages: PromptMessage[];
  /** Aborted by the host or by the wall clock: everything then ends at once. */
  signal: AbortSignal;
}

/** Made with `betaZodTool`: its input is checked before `run`, a thrown Error becomes an error result for the model. */
export type Tool = BetaRunnableTool;

/** What every model call of the run is made with. */
export type LoopContext = RunContext & { system: string; tools: Tool[] };

/** The run was stopped from outside or by its time limit; `partialText` is what had arrived of a reply. */
export class Stopped extends Error {
  constructor(readonly partialText = '') {
    super('stopped: the work was cancelled');
  }
}

/** `work`, or a rejection with `Stopped` as soon as `signal` aborts; what `work` does later is ignored. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = signal.aborted ? Promise.resolve() : once(signal, 'abort');
  const stopped = aborted.then(() => Promise.reject(new Stopped()));
  return Promise.race([work, stopped]);
}

/** Names the effect of a tool call: the same call again, after a crash, has none. */
export const keyOf = (call: { toolUse: { id: string } } | undefined): string =>
  `${call?.toolUse.id}`.replace(/[^\w-]/g, '_');
