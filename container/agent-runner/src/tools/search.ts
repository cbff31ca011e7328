// glob and grep: finding files by name and by content, in the same folders as the file tools.
import fs from 'node:fs/promises';
import path from 'node:path';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import * as z from 'zod';
import { type RunContext, type Tool, untilAborted } from '../context.js';
import { cutMiddle } from '../text.js';
import { commandEnv } from './bash.js';
import { insidePath } from './files.js';

const MAX_CHARS = 30_000;
const SKIPPED = /(^|\/)(node_modules|\.git|\.out)\//;
const GREP = `exec 2>&1; if command -v rg >/dev/null; then exec rg -n --no-heading --max-columns=500 \${2:+-g "$2"} -e "$1" -- "$3"
else exec grep -rnIE --exclude-dir=.git --exclude-dir=node_modules \${2:+--include="$2"} -e "$1" -- "$3"; fi`;

const shown = (found: string) => cutMiddle(found.trimEnd(), MAX_CHARS, 'narrow the search') || 'Nothing found.';

/** Node's matcher passes over names that begin with a dot: give them another first character, in names and patterns alike. */
const dotless = (name: string) => name.replace(/(^|\/)\.(?=[^./])/g, '$1\u2024');

/** glob and grep of one run. */
export function searchTools({ paths, run, processes, signal }: RunContext): Tool[] {
  const folder = z.string().default('.').describe('Where to look; default: the workspace.');
  return [
    betaZodTool({
      name: 'glob',
      description: 'Files and folders whose path matches a glob, e.g. **/*.md; node_modules and .git are skipped.',
      inputSchema: z.object({ pattern: z.string().min(1), path: folder }),
      run: async (input) => {
        const entries = await fs.readdir(await insidePath(paths, input.path), { recursive: true });
        const matches = (name: string) => path.matchesGlob(dotless(name), dotless(input.pattern));
        const files = entries.filter((name) => matches(name) && !SKIPPED.test(name));
        return shown(files.sort().join('\n'));
      },
    }),
    betaZodTool({
      name: 'grep',
      description: 'Lines matching a regular expression, as file:line:text; `glob` limits it to such file names.',
      inputSchema: z.object({ pattern: z.string().min(1), path: folder, glob: z.string().default('') }),
      run: async (input) => {
        const args = ['-c', GREP, 'grep', input.pattern, input.glob, await insidePath(paths, input.path)];
        const job = processes.start(args, { cwd: paths.workspace, env: commandEnv(run.timeZone) });
        const exit = await untilAborted(job.done, signal).finally(job.kill);
        if (exit !== 0 && exit !== 1) throw new Error(job.output().trim() || 'the search failed');
        return shown(job.output());
      },
    }),
  ];
}
