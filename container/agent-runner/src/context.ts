// What one run works with; passed to the loop and to every tool.
import type Anthropic from '@anthropic-ai/sdk';
import type { BetaRunnableTool } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool';
import type { RunSpec } from '../../../src/wire.js';
import type { Host } from './host.js';
import type { Processes } from './processes.js';
import type { Session } from './session.js';
import type { Shell } from './tools/bash.js';

export interface Paths {
  workspace: string;
  global: string;
  sessions: string;
  skills: string;
}

export interface RunContext {
  run: RunSpec;
  paths: Paths;
  host: Host;
  client: Anthropic;
  session: Session;
  /** What the session's shell remembers, from run to run. */
  shell: Shell;
  processes: Processes;
  /** Aborted by the host or by the wall clock: everything then ends at once. */
  signal: AbortSignal;
}

/** Made with `betaZodTool`: its input is checked before `run`, a thrown Error becomes an error result for the model. */
export type Tool = BetaRunnableTool;
