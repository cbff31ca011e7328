// All tools of a run, from families.ts: sorted by name so that the prompt's bytes never change, each call recorded.
import { toolName } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool';
import { ToolError } from '@anthropic-ai/sdk/lib/tools/ToolError';
import { systemClock } from '../../../../src/core/clock.js';
import { describeError } from '../../../../src/core/errors.js';
import { type RunContext, type Tool, untilAborted } from '../context.js';
import { toolResult } from '../records.js';
import { head, wellFormed } from '../text.js';
import * as families from './families.js';

/** Writes how each call ended before its siblings end, and tells the timeline. */
function recorded(tool: Tool, { host, run, session, shell, signal }: RunContext): Tool {
  return {
    ...tool,
    run: async (input, call) => {
      const { id, name } = call?.toolUse ?? { id: '', name: '' };
      let startedAt = systemClock.now();
      const work = async () => {
        signal.throwIfAborted();
        startedAt = systemClock.now();
        host.event(run.id, 'tool_started', { tool: name, id, input: head(JSON.stringify(input), 500) });
        return tool.run(input, call);
      };
      // The SDK starts the calls of one reply all at once; each must see what the ones before it did.
      const working = shell.inOrder(work);
      // bash ends by itself when aborted, with its output; the others are simply left behind.
      const ended = name === 'bash' ? working : untilAborted(working, signal);
      const result = await ended.then(
        (text) => toolResult(id, wellFormed(String(text)) || '(empty)'),
        (error) => toolResult(id, wellFormed(describeError(error)) || 'failed', true),
      );
      session.append({ kind: 'tool_done', result });
      host.event(run.id, 'tool_finished', { id, ok: !result.is_error, durationMs: systemClock.now() - startedAt });
      if (result.is_error) throw new ToolError(result.content);
      return result.content;
    },
  };
}

/** Every tool the model may call in this run. */
export function createTools(context: RunContext): Tool[] {
  const tools = Object.values(families).flatMap((family) => family(context));
  return tools.map((tool) => recorded(tool, context)).sort((a, b) => (toolName(a) < toolName(b) ? -1 : 1));
}
