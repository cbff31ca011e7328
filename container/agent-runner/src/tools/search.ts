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
const GREP = `if command -v rg >/dev/null; then exec rg -n --no-heading --max-columns=500 \${2:+-g "$2"} -e "$1" -- "$3"
else exec grep -rnIE --exclude-dir=.git --exclude-dir=node_modules \${2:+--include="$2"} -e "$1" -- "$3"; fi`;

async function findFiles(folder: string, pattern: string): Promise<string> {
  const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  const paths = files.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
  const found = paths.filter((file) => path.matchesGlob(dotless(file), dotless(pattern)) && !SKIPPED.test(file)).sort();
  return cutMiddle(found.join('\n'), MAX_CHARS, 'narrow the pattern') || 'No file matches.';
}

/** Node's matcher passes over names that begin with a dot: give them another first character, in names and patterns alike. */
const dotless = (name: string) => name.replace(/(^|\/)\.(?=[^./])/g, '$1\u2024');

async function grep({ processes, run, paths, signal }: RunContext, args: string[]): Promise<string> {
  const env = commandEnv(run.timeZone);
  const job = processes.start(['-c', GREP, 'grep', ...args], { cwd: paths.workspace, env });
  const { code } = await untilAborted(job.done, signal).finally(job.kill);
  if (code !== 0 && code !== 1) throw new Error(job.output().trim() || 'the search failed');
  return cutMiddle(job.output().trimEnd(), MAX_CHARS, 'narrow the search') || 'Nothing found.';
}

/** glob and grep of one run. */
export function searchTools(context: RunContext): Tool[] {
  const { paths } = context;
  const folder = z.string().describe('Where to look; default: the workspace.').optional();
  return [
    betaZodTool({
      name: 'glob',
      description: 'Files whose path matches a glob, e.g. **/*.md; node_modules and .git are skipped.',
      inputSchema: z.object({ pattern: z.string().min(1), path: folder }),
      run: ({ pattern, path: where = '.' }) => findFiles(insidePath(paths, where), pattern),
    }),
    betaZodTool({
      name: 'grep',
      description: 'Lines matching a regular expression, as file:line:text.',
      inputSchema: z.object({
        pattern: z.string().min(1),
        path: folder,
        glob: z.string().describe('Only files with such a name, e.g. *.ts').optional(),
      }),
      run: ({ pattern, path: where = '.', glob = '' }) => grep(context, [pattern, glob, insidePath(paths, where)]),
    }),
  ];
}
