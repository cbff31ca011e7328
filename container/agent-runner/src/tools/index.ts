// All tools of a run, from families.ts, each call recorded. Sorted by name, so that the prompt's bytes never change.
import { toolName } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool';
import { ToolError } from '@anthropic-ai/sdk/lib/tools/ToolError';
import { systemClock } from '../../../../src/core/clock.js';
import { describeError } from '../../../../src/core/errors.js';
import { type RunContext, type Tool, type Tools, untilAborted } from '../context.js';
import { fitting } from '../limits.js';
import { NOT_JSON } from '../mend.js';
import { toolResult } from '../records.js';
import { head, wellFormed } from '../text.js';
import * as families from './families.js';
import { hiddenMcpTools } from './mcp.js';

/** Of what a tool said, for the owner's timeline. */
const MAX_SHOWN_CHARS = 1_500;
/** A page is the same before and after; a sub-agent may take long, and its own calls keep their order. */
const WAITS_FOR_NOBODY = /^(agent|web_fetch|web_search)$/;

/** Each call is recorded: its result in the history as soon as it ends, its start and end in the run's timeline. */
function recorded(tool: Tool, { host, run, session, shell, signal }: RunContext): Tool {
  return {
    ...tool,
    parse(input) {
      // The model sees in its own call what it wrote.
      if (typeof input === 'object' && input !== null && NOT_JSON in input)
        throw new ToolError('The input was not a JSON object: write the call again.');
      return tool.parse(input);
    },
    run: async (input, call) => {
      const { id, name } = call?.toolUse ?? { id: '', name: '' };
      let startedAt = systemClock.now();
      const work = async () => {
        signal.throwIfAborted();
        startedAt = systemClock.now();
        host.event(run.id, 'tool_started', { tool: name, id, input: head(JSON.stringify(input), 500) });
        return tool.run(input, call);
      };
      // The SDK starts all calls of a reply at once, but each must see what the ones before it did.
      const working = WAITS_FOR_NOBODY.test(name) ? work() : shell.inOrder(work);
      // When the run is stopped, bash ends by itself with its output; the other tools are left behind.
      const ended = name === 'bash' ? working : untilAborted(working, signal);
      const result = await ended.then(
        (said) => toolResult(id, typeof said === 'string' ? fitting(run, wellFormed(said)) || '(empty)' : said),
        (error) => toolResult(id, wellFormed(describeError(error)) || 'failed', true),
      );
      session.append({ kind: 'tool_done', result });
      const output = typeof result.content === 'string' ? head(result.content, MAX_SHOWN_CHARS) : '';
      const durationMs = systemClock.now() - startedAt;
      host.event(run.id, 'tool_finished', { id, ok: !result.is_error, durationMs, ...(output && { output }) });
      if (result.is_error) throw new ToolError(result.content);
      return result.content;
    },
  };
}

/** Every tool the model may call in this run. */
export function createTools(context: RunContext): Tools {
  const tools = Object.values(families).flatMap((family) => family(context));
  const hidden = hiddenMcpTools(context).map((tool) => [toolName(tool), recorded(tool, context)] as const);
  return {
    listed: tools.map((tool) => recorded(tool, context)).sort((a, b) => (toolName(a) < toolName(b) ? -1 : 1)),
    hidden: new Map(hidden),
  };
}
