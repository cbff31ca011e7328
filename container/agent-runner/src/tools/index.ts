// All tools of a run: one line per family, sorted by name so that the prompt's bytes never change, each call recorded.
import { ToolError } from '@anthropic-ai/sdk/lib/tools/ToolError';
import { systemClock } from '../../../../src/clock.js';
import { describeError } from '../../../../src/errors.js';
import { type RunContext, type Tool, untilAborted } from '../context.js';
import { errorResult, type ToolResult } from '../records.js';
import { head, wellFormed } from '../text.js';
import { bashTools } from './bash.js';
import { chatTools } from './chat.js';
import { fileTools } from './files.js';
import { searchTools } from './search.js';

/** Writes how each call ended before its siblings end, and tells the timeline. */
function recorded(tool: Tool, context: RunContext): Tool {
  const { host, run, session, signal } = context;
  return {
    ...tool,
    run: async (input, call) => {
      const id = call?.toolUse.id ?? '';
      const startedAt = systemClock.now();
      const name = call?.toolUse.name ?? '';
      host.event(run.id, 'tool_started', { tool: name, id, input: head(JSON.stringify(input), 500) });
      const finish = (ok: boolean, result: ToolResult) => {
        session.append({ kind: 'tool_done', result });
        host.event(run.id, 'tool_finished', { id, ok, durationMs: systemClock.now() - startedAt });
      };
      try {
        // bash ends by itself when aborted, with its output; the others are simply left behind.
        const work = Promise.resolve(tool.run(input, call));
        const content = await (name === 'bash' ? work : untilAborted(work, signal));
        const clean = typeof content === 'string' ? wellFormed(content) || '(empty)' : content;
        finish(true, { type: 'tool_result', tool_use_id: id, content: clean });
        return clean;
      } catch (error) {
        const text = wellFormed(describeError(error)) || 'failed';
        finish(false, errorResult(id, text));
        throw new ToolError(text);
      }
    },
  };
}

/** Every tool the model may call in this run. */
export function createTools(context: RunContext): Tool[] {
  const tools = [...bashTools(context), ...chatTools(context), ...fileTools(context), ...searchTools(context)];
  const name = (tool: Tool) => ('name' in tool ? tool.name : '');
  return tools.map((tool) => recorded(tool, context)).sort((a, b) => (name(a) < name(b) ? -1 : 1));
}
