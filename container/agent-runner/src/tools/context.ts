// What every tool may use, and how a tool is written. A new tool family is one file and one line in index.ts.
import type { BetaRunnableTool } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool';
import type { RunSpec } from '../../../../src/wire.js';
import type { Host } from '../host.js';
import type { Processes } from '../processes.js';
import type { Session } from '../session.js';
import type { Shell } from './shell.js';

export interface Paths {
  workspace: string;
  global: string;
  sessions: string;
  skills: string;
}

export interface ToolContext {
  run: RunSpec;
  paths: Paths;
  host: Host;
  session: Session;
  shell: Shell;
  processes: Processes;
  /** Aborted when the run is: tools then end at once. */
  signal: AbortSignal;
}

/** Made with `betaZodTool`: its input is checked before `run`, a thrown Error becomes an error result for the model. */
export type Tool = BetaRunnableTool;
