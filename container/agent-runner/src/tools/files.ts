// read, write, edit: text files in the workspace, the global folder and /tmp, symlinks resolved. Knows nothing about commands.
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { resolvePath } from '@anthropic-ai/sdk/tools/agent-toolset/node';
import * as z from 'zod';
import type { Paths, RunContext, Tool } from '../context.js';
import { cleanOutput, head } from '../text.js';

const MAX_FILE_BYTES = 20 * 1024 * 1024;
const MAX_READ_CHARS = 256 * 1024;
const MAX_LINE_CHARS = 2_000;

/** The real path of `file` (relative: to the workspace). Rejects when it is outside the folders file tools may use. */
export function insidePath({ workspace, global, skills }: Paths, file: string): Promise<string> {
  return resolvePath({ workdir: workspace, allowedRoots: [global, skills, os.tmpdir()] }, file);
}

function readText(file: string): string {
  const stat = fs.statSync(file);
  // A pipe or a device would block the runner for ever.
  if (!stat.isFile() || stat.size > MAX_FILE_BYTES) throw new Error(`${file} is no file of at most 20 MB; use bash`);
  const bytes = fs.readFileSync(file);
  if (!bytes.includes(0) && isUtf8(bytes)) return bytes.toString();
  throw new Error(`${file} is a binary file (${stat.size} bytes), not UTF-8 text; use bash to look at it`);
}

/** By rename, so that a crash leaves the old or the new file, never half of one; links are replaced, not followed. */
function writeText(file: string, text: string): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const draft = path.join(path.dirname(file), `.${randomUUID()}.draft`);
  fs.writeFileSync(draft, text, { mode: fs.statSync(file, { throwIfNoEntry: false })?.mode ?? 0o644 });
  fs.renameSync(draft, file);
}

function numberedLines(text: string, offset: number, limit: number): string {
  const lines = text.replace(/\n$/, '').split('\n');
  const end = Math.min(lines.length, offset - 1 + limit);
  let shown = '';
  let at = offset - 1;
  for (; at < end && shown.length < MAX_READ_CHARS - MAX_LINE_CHARS; at++) {
    shown += `${String(at + 1).padStart(6)}\t${cleanOutput(head(lines[at] ?? '', MAX_LINE_CHARS))}\n`;
  }
  if (at < lines.length) return `${shown}[${lines.length} lines in all; go on with offset ${at + 1}]`;
  return shown.slice(0, -1) || `(the file has only ${lines.length} lines)`;
}

/** read, write and edit of one run; a write waits for the commands before it. */
export function fileTools({ paths, shell }: RunContext): Tool[] {
  return [
    betaZodTool({
      name: 'read',
      description:
        'Read a text file with line numbers: up to `limit` lines or 256 KiB from line `offset` on. A path is absolute or relative to the workspace.',
      inputSchema: z.object({
        path: z.string(),
        offset: z.int().min(1).default(1),
        limit: z.int().min(1).default(2_000),
      }),
      run: async (input) => numberedLines(readText(await insidePath(paths, input.path)), input.offset, input.limit),
    }),
    betaZodTool({
      name: 'write',
      description: 'Write a text file, replacing what was there; folders are created.',
      inputSchema: z.object({ path: z.string(), content: z.string() }),
      run: (input) =>
        shell.inOrder(async () => {
          const file = await insidePath(paths, input.path);
          writeText(file, input.content);
          return `Wrote ${file}.`;
        }),
    }),
    betaZodTool({
      name: 'edit',
      description: 'Replace exact text in a file. old_string must occur once, unless replace_all is set.',
      inputSchema: z.object({
        path: z.string(),
        old_string: z.string().min(1),
        new_string: z.string(),
        replace_all: z.boolean().default(false),
      }),
      run: (input) =>
        shell.inOrder(async () => {
          const file = await insidePath(paths, input.path);
          const parts = readText(file).split(input.old_string);
          if (parts.length !== 2 && !(parts.length > 2 && input.replace_all)) {
            throw new Error(`old_string was found ${parts.length - 1} times, not once; it must match exactly`);
          }
          writeText(file, parts.join(input.new_string));
          return `Replaced ${parts.length - 1} in ${file}.`;
        }),
    }),
  ];
}
