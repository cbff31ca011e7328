// What one run works with: passed to the loop and to every tool.
//
// Words: a *session* is one conversation, its *history* a file of *records* from which the model's messages are made. A *run* is one piece of
// work in a session. Its loop makes *model calls*; each gives a *reply*: with *tool calls*, whose *results* go into the next call, or without
// any, as *final reply*. A *job* is a command with its process group. The *host* is Pinch outside the container.
import { once } from 'node:events';
import type Anthropic from '@anthropic-ai/sdk';
import type { BetaRunnableTool } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool';
import type { McpTool, PromptMessage, RunSpec } from '../../../src/wire.js';
import type { Host } from './host.js';
import type { Journal } from './journal.js';
import type { Pictures } from './pictures.js';
import type { Processes } from './processes.js';
import type { KeptHistories, Session } from './session.js';
import type { Shell } from './shell.js';
import type { Web } from './web/web.js';

/** `mounts`: folders of the owner's machine, each at `/mnt/<name>`. */
export type Paths = Record<'workspace' | 'global' | 'sessions' | 'skills', string> & { mounts: ExtraFolder[] };
export interface ExtraFolder {
  path: string;
  readOnly: boolean;
}

/** Tools of MCP servers: those that fit into the prompt, and those that have to be found. `problems`: servers whose tools are not there. */
export interface McpCatalog {
  listed: McpTool[];
  hidden: McpTool[];
  problems: { service: string; problem: string }[];
}

export interface RunContext {
  run: RunSpec;
  paths: Paths;
  host: Host;
  client: Anthropic;
  session: Session;
  /** Of earlier runs in this container. */
  histories: KeptHistories;
  shell: Shell;
  processes: Processes;
  web: Web;
  journal: Journal;
  pictures: Pictures;
  mcp: McpCatalog;
  /** Has a sub-agent work on `prompt` and resolves with its last text; not there for a sub-agent itself. */
  delegate?: (prompt: string) => Promise<string>;
  /** Of a sub-agent: sets the ids of its calls apart from those of others. */
  callPrefix?: string;
  /** All messages of the run, also those that arrived while it works. */
  messages: PromptMessage[];
  /** Aborted by the host or the time limit: everything then ends at once. */
  signal: AbortSignal;
}

/** Made with `zodTool`: its input is checked before `run`, a thrown Error becomes an error result for the model. */
export type Tool = BetaRunnableTool;

/** `listed`: in every prompt, in this order. `hidden`: by their names, once the conversation found them. */
export interface Tools {
  listed: Tool[];
  hidden: ReadonlyMap<string, Tool>;
}

/** What every model call of the run is made with; `short`: the system text for a small window. */
export type LoopContext = RunContext & { system: string; short: (windowTokens: number) => string; tools: Tools };

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

/** The caller of the host. By its idempotency key, a second request of the same tool call has no effect. */
export const callerOf = (run: RunSpec, call: { toolUse: { id: string } } | undefined) => ({
  runId: run.id,
  key: `${call?.toolUse.id}`.replace(/[^\w-]/g, '_'),
});
