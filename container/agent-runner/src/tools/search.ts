// glob and grep: finding files by name and by content, in the same folders as the file tools.
import fs from 'node:fs/promises';
import path from 'node:path';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { z } from 'zod';
import { cutMiddle } from '../text.js';
import { commandEnv } from './bash.js';
import type { Tool, ToolContext } from './context.js';
import { insidePath } from './files.js';

const MAX_CHARS = 30_000;
const MAX_FILES = 1_000;
const SKIPPED = new Set(['node_modules', '.git', '.out']);

/** A glob (`**`, `*`, `?`, `{a,b}`) over a path relative to the search folder. */
export function globToRegExp(glob: string): RegExp {
  let depth = 0;
  const source = glob.replace(/\*\*\/|\*\*|[*?{},]|[.+^$()|[\]\\]/g, (token) => {
    if (token === '**/') return '(?:[^/]+/)*';
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token === '{') {
      depth += 1;
      return '(?:';
    }
    if (token === '}' && depth > 0) {
      depth -= 1;
      return ')';
    }
    return token === ',' && depth > 0 ? '|' : `\\${token}`;
  });
  return new RegExp(`^${source}${')'.repeat(depth)}$`);
}

async function findFiles(folder: string, pattern: RegExp, signal: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  const folders = [''];
  for (let at = folders.pop(); at !== undefined && found.length < MAX_FILES; at = folders.pop()) {
    signal.throwIfAborted();
    const entries = await fs.readdir(path.join(folder, at), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const relative = path.join(at, entry.name);
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) folders.push(relative);
      else if (pattern.test(relative)) found.push(relative);
    }
  }
  return found.sort();
}

async function runSearch(context: ToolContext, file: string, args: string[], cwd: string) {
  const job = context.processes.start({ file, args, cwd, env: commandEnv(process.env, context.run.timeZone) });
  context.signal.addEventListener('abort', job.kill, { once: true });
  const exit = await job.done;
  context.signal.removeEventListener('abort', job.kill);
  return { exit, output: job.output() };
}

async function grep(context: ToolContext, folder: string, query: { pattern: string; glob?: string | undefined }) {
  const rg = ['-n', '--no-heading', '--color=never', '--max-columns=500', ...(query.glob ? ['-g', query.glob] : [])];
  let result = await runSearch(context, 'rg', [...rg, '-e', query.pattern, '--', folder], context.paths.workspace);
  if (result.exit.code === 127) {
    const options = ['-rnIE', '--exclude-dir=.git', '--exclude-dir=node_modules'];
    if (query.glob) options.push(`--include=${query.glob}`);
    result = await runSearch(context, 'grep', [...options, '-e', query.pattern, '--', folder], context.paths.workspace);
  }
  if (result.exit.code === 1) return 'Nothing found.';
  if (result.exit.code !== 0) throw new Error(result.output.trim() || 'the search failed');
  return cutMiddle(result.output.trimEnd(), MAX_CHARS, 'narrow the search');
}

/** glob and grep of one run. */
export function searchTools(context: ToolContext): Tool[] {
  const { paths, signal } = context;
  return [
    betaZodTool({
      name: 'glob',
      description: 'Files whose path matches a glob, e.g. **/*.md; node_modules and .git are skipped.',
      inputSchema: z.object({
        pattern: z.string().min(1),
        path: z.string().describe('Folder; default: the workspace.').optional(),
      }),
      run: async ({ pattern, path: folder = '.' }) => {
        const files = await findFiles(insidePath(paths, folder), globToRegExp(pattern), signal);
        if (files.length === 0) return 'No file matches.';
        const note = files.length >= MAX_FILES ? [`[only the first ${MAX_FILES}]`] : [];
        return cutMiddle([...files, ...note].join('\n'), MAX_CHARS, 'narrow the pattern');
      },
    }),
    betaZodTool({
      name: 'grep',
      description: 'Lines matching a regular expression, as file:line:text.',
      inputSchema: z.object({
        pattern: z.string().min(1),
        path: z.string().describe('File or folder; default: the workspace.').optional(),
        glob: z.string().describe('Only files with such a name, e.g. *.ts').optional(),
      }),
      run: async ({ path: folder = '.', ...query }) => grep(context, insidePath(paths, folder), query),
    }),
  ];
}
