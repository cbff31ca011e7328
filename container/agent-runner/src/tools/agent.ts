// agent: part of the work done by a sub-agent, with a history of its own that ends with it.
import * as z from 'zod';
import type { RunContext, Tool } from '../context.js';
import { cutMiddle } from '../text.js';
import { zodTool } from './zod-tool.js';

/** More of them wait for their turn. */
const MAX_AT_ONCE = 3;
const MAX_CHARS = 30_000;
const agentInput = z.object({ prompt: z.string().min(1).max(50_000) });

/** None for a sub-agent: it has no sub-agents. */
export function agentTool({ delegate }: RunContext): Tool[] {
  if (!delegate) return [];
  const working = new Set<Promise<string>>();
  const tool = zodTool({
    name: 'agent',
    description:
      'Have a sub-agent do a part of the work that needs many steps and whose details you need not see, such as reading many pages; several calls in one reply work at the same time. It has your tools and files but knows nothing of this conversation: say all it needs, and what it shall tell you.',
    inputSchema: agentInput,
    run: async ({ prompt }) => {
      while (working.size >= MAX_AT_ONCE) await Promise.race(working).catch(() => undefined);
      const work = delegate(prompt);
      working.add(work);
      const text = await work.finally(() => working.delete(work));
      return cutMiddle(text, MAX_CHARS, 'not kept; have it write long texts into files') || '(it ended without a word)';
    },
  });
  return [tool];
}
