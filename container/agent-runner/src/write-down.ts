// Before a summary takes the place of a conversation, one silent step in which the model writes down what must not be lost. What it says and does
// there is in no history and shown to nobody; the call is the same as the one before but for its last words, so that the provider's cache is read.
import path from 'node:path';
import { toolName } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool';
import * as z from 'zod';
import { MEMORY_PATH } from '../../../src/wire.js';
import { type LoopContext, Stopped, type Tool } from './context.js';
import { callModel } from './model.js';
import { type Message, toolCalls } from './records.js';
import { createTools } from './tools/index.js';

export const WRITE_DOWN =
  '[A summary is about to take the place of this conversation. Before that, in this one reply: write down what must not be lost and is not in your memory yet. What people forbade or want always goes word for word under the heading "## Always" of CLAUDE.md, other facts for later into CLAUDE.md or memory/. Only write and edit work now, on these files; nobody reads what you say here. Is nothing missing, reply "nothing".]';
/** What it may write in one reply. */
const MAX_TOKENS = 4_000;

/** `prompt` ends with `WRITE_DOWN`. Rejects only with `Stopped`: whatever else goes wrong must not hold up the summary. */
export async function writeDown(context: LoopContext, prompt: Message[], maxTokens: number): Promise<void> {
  // A sub-agent's history ends with it.
  if (!context.delegate) return;
  try {
    const quiet = quietly(context);
    const { content, stopReason, runTools } = await callModel(quiet, prompt, Math.min(maxTokens, MAX_TOKENS));
    // The input of a call may be cut off and still look whole.
    if (stopReason !== 'max_tokens' && toolCalls(content).length > 0) await runTools();
  } catch (error) {
    if (context.signal.aborted) throw new Stopped();
    console.error('nothing was written down before the summary', error);
  }
}

/** The same run, with tools of the same names of which two work, and without a trace in history and timeline. */
function quietly(context: LoopContext): LoopContext {
  const session = { ...context.session, append: () => 0 };
  const quiet: LoopContext = { ...context, session, host: { ...context.host, event: () => undefined } };
  const { listed, hidden } = createTools(quiet);
  const limit = (tool: Tool) => limited(tool, context.paths.workspace);
  return {
    ...quiet,
    tools: { listed: listed.map(limit), hidden: new Map([...hidden].map(([name, tool]) => [name, limit(tool)])) },
  };
}

const withPath = z.object({ path: z.string() });

function limited(tool: Tool, workspace: string): Tool {
  const isWriter = /^(write|edit)$/.test(toolName(tool));
  return {
    ...tool,
    async run(input, call) {
      const file = withPath.safeParse(input).data?.path ?? '';
      const isMemory = MEMORY_PATH.test(path.relative(workspace, path.resolve(workspace, file)));
      if (!isWriter || !isMemory) throw new Error('only write and edit work in this step, on CLAUDE.md and memory/');
      return tool.run(input, call);
    },
  };
}
