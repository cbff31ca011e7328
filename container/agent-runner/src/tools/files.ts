// read, write, edit: text files in the workspace, the global folder and /tmp, symlinks resolved. Knows nothing about commands.
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import * as z from 'zod';
import type { Paths, RunContext, Tool } from '../context.js';
import { cleanOutput, head } from '../text.js';

const MAX_FILE_BYTES = 20 * 1024 * 1024;
const MAX_READ_CHARS = 256 * 1024;
const MAX_LINES = 2_000;
const MAX_LINE_CHARS = 2_000;

function realPath(file: string): string {
  if (fs.existsSync(file)) return fs.realpathSync(file);
  const parent = path.dirname(file);
  return parent === file ? file : path.join(realPath(parent), path.basename(file));
}

/** The real path of `file` (relative: to the workspace). Throws when it is outside the folders file tools may use. */
export function insidePath({ workspace, global, skills, sessions }: Paths, file: string): string {
  const real = realPath(path.resolve(workspace, file));
  const isUnder = (root: string) => `${real}/`.startsWith(`${realPath(root)}/`);
  const roots = [workspace, global, skills, os.tmpdir()];
  // The history stays out of reach even where it lies under one of the roots (without a container).
  if (roots.some(isUnder) && !isUnder(sessions)) return real;
  throw new Error(`${file} is outside the folders this tool may use: ${roots.join(', ')}`);
}

function readText(file: string): string {
  const stat = fs.statSync(file);
  // A pipe or a device would block the runner for ever.
  if (!stat.isFile()) throw new Error(`${file} is not a file`);
  if (stat.size > MAX_FILE_BYTES) throw new Error(`${file} has ${stat.size} bytes; read parts of it with bash`);
  const bytes = fs.readFileSync(file);
  const text = bytes.toString('utf8');
  if (!bytes.includes(0) && Buffer.from(text).equals(bytes)) return text;
  throw new Error(`${file} is a binary file (${stat.size} bytes), not UTF-8 text; use bash to look at it`);
}

/** By rename, so that a crash leaves the old or the new file, never half of one; links are replaced, not followed. */
function writeText(file: string, text: string): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const draft = path.join(path.dirname(file), `.${randomUUID()}.draft`);
  fs.writeFileSync(draft, text, { mode: fs.existsSync(file) ? fs.statSync(file).mode : 0o644 });
  fs.renameSync(draft, file);
}

function numberedLines(text: string, offset: number, limit: number): string {
  const lines = text.replace(/\n$/, '').split('\n');
  const shown: string[] = [];
  let room = MAX_READ_CHARS;
  for (const line of lines.slice(offset - 1, offset - 1 + limit)) {
    const cut = line.length > MAX_LINE_CHARS ? `${head(line, MAX_LINE_CHARS)}… [line cut]` : line;
    const numbered = `${String(offset + shown.length).padStart(6)}\t${cleanOutput(cut)}`;
    room -= numbered.length + 1;
    if (room < 0) break;
    shown.push(numbered);
  }
  const next = offset + shown.length;
  if (next <= lines.length) shown.push(`[${lines.length} lines in all; go on with offset ${next}]`);
  return shown.join('\n') || `(the file has only ${lines.length} lines)`;
}

/** read, write and edit of one run. */
export function fileTools({ paths, shell }: RunContext): Tool[] {
  return [
    betaZodTool({
      name: 'read',
      description: 'Read a text file with line numbers (up to 2,000 lines or 256 KiB at a time).',
      inputSchema: z.object({
        path: z.string().describe('Absolute, or relative to the workspace.'),
        offset: z.number().int().min(1).describe('First line, from 1.').optional(),
        limit: z.number().int().min(1).max(MAX_LINES).optional(),
      }),
      run: ({ path: file, offset = 1, limit = MAX_LINES }) =>
        numberedLines(readText(insidePath(paths, file)), offset, limit),
    }),
    betaZodTool({
      name: 'write',
      description: 'Write a text file, replacing what was there; folders are created.',
      inputSchema: z.object({ path: z.string(), content: z.string() }),
      run: ({ path: file, content }) =>
        shell.inOrder(async () => {
          const target = insidePath(paths, file);
          writeText(target, content);
          return `Wrote ${Buffer.byteLength(content)} bytes to ${target}.`;
        }),
    }),
    betaZodTool({
      name: 'edit',
      description: 'Replace exact text in a file. old_string must occur once, unless replace_all is set.',
      inputSchema: z.object({
        path: z.string(),
        old_string: z.string().min(1),
        new_string: z.string(),
        replace_all: z.boolean().optional(),
      }),
      run: (change) =>
        shell.inOrder(async () => {
          const file = insidePath(paths, change.path);
          const parts = readText(file).split(change.old_string);
          const found = parts.length - 1;
          if (found === 0) throw new Error('old_string was not found; it must match exactly, white space included');
          if (found > 1 && !change.replace_all) throw new Error(`old_string was found ${found} times, not once`);
          writeText(file, parts.join(change.new_string));
          return `Replaced ${found} in ${file}.`;
        }),
    }),
  ];
}
