// All tools of a run: one line per family, sorted by name so that the prompt's bytes never change, each call recorded.
import { ToolError } from '@anthropic-ai/sdk/lib/tools/ToolError';
import { systemClock } from '../../../../src/clock.js';
import { type RunContext, type Tool, untilAborted } from '../context.js';
import { errorResult } from '../records.js';
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
      host.event(run.id, 'tool_started', {
        tool: call?.toolUse.name ?? '',
        id,
        input: head(JSON.stringify(input), 500),
      });
      const finished = (ok: boolean) =>
        host.event(run.id, 'tool_finished', { id, ok, durationMs: systemClock.now() - startedAt });
      try {
        // bash ends by itself when aborted, with its output; the others are simply left behind.
        const work = Promise.resolve(tool.run(input, call));
        const content = await (call?.toolUse.name === 'bash' ? work : untilAborted(work, signal));
        const clean = typeof content === 'string' ? wellFormed(content) || '(empty)' : content;
        session.append({ kind: 'tool_done', result: { type: 'tool_result', tool_use_id: id, content: clean } });
        finished(true);
        return clean;
      } catch (error) {
        const text = wellFormed(error instanceof Error ? error.message : String(error)) || 'failed';
        session.append({ kind: 'tool_done', result: errorResult(id, text) });
        finished(false);
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
