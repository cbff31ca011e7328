// read, write, edit: text files in the workspace, the global folder and /tmp, symlinks resolved. Knows nothing about commands.
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { z } from 'zod';
import { cleanOutput, head } from '../text.js';
import type { Paths, Tool, ToolContext } from './context.js';

const MAX_FILE_BYTES = 20 * 1024 * 1024;
const MAX_READ_CHARS = 256 * 1024;
const MAX_LINES = 2_000;
const MAX_LINE_CHARS = 2_000;

function realPath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch {
    const parent = path.dirname(file);
    return parent === file ? file : path.join(realPath(parent), path.basename(file));
  }
}

/** The real path of `file` (relative: to the workspace). Throws when it is outside the folders file tools may use. */
export function insidePath(paths: Paths, file: string): string {
  const real = realPath(path.resolve(paths.workspace, file));
  const roots = [paths.workspace, paths.global, paths.skills, os.tmpdir()];
  const inside = roots.map(realPath).some((root) => real === root || real.startsWith(root + path.sep));
  // A history under a root (tests, development without a container) stays out of reach all the same.
  const sessions = realPath(paths.sessions);
  if (inside && real !== sessions && !real.startsWith(sessions + path.sep)) return real;
  throw new Error(`${file} is outside the folders this tool may use: ${roots.join(', ')}`);
}

function readText(file: string): string {
  const { size } = fs.statSync(file);
  if (size > MAX_FILE_BYTES) throw new Error(`${file} has ${size} bytes; read parts of it with bash (head, sed, grep)`);
  const bytes = fs.readFileSync(file);
  const text = bytes.toString('utf8');
  if (bytes.includes(0) || !Buffer.from(text).equals(bytes)) {
    throw new Error(`${file} is a binary file (${size} bytes), not UTF-8 text; use bash to look at it`);
  }
  return text;
}

/** In place by rename, so that a crash leaves the old or the new file, never half of one; links are replaced, not followed. */
function writeText(file: string, text: string): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const mode = fs.existsSync(file) ? fs.statSync(file).mode : 0o644;
  const draft = path.join(path.dirname(file), `.${randomUUID()}.draft`);
  fs.writeFileSync(draft, text, { mode });
  fs.renameSync(draft, file);
}

function numberedLines(text: string, offset: number, limit: number): string {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  if (lines.length === 0) return '(the file is empty)';
  const shown: string[] = [];
  let chars = 0;
  for (const line of lines.slice(offset - 1, offset - 1 + limit)) {
    const cut = head(line, MAX_LINE_CHARS);
    const numbered = `${String(offset + shown.length).padStart(6)}\t${cleanOutput(cut)}${cut === line ? '' : '… [line cut]'}`;
    chars += numbered.length + 1;
    if (chars > MAX_READ_CHARS) break;
    shown.push(numbered);
  }
  const next = offset + shown.length;
  if (next <= lines.length) shown.push(`[${lines.length} lines in all; go on with offset ${next}]`);
  return shown.join('\n');
}

function replaceText(
  file: string,
  edit: { old_string: string; new_string: string; replace_all?: boolean | undefined },
) {
  const text = readText(file);
  const parts = text.split(edit.old_string);
  const found = parts.length - 1;
  if (found === 0) throw new Error('old_string was not found; it must match exactly, white space included');
  if (found > 1 && !edit.replace_all) {
    throw new Error(`old_string was found ${found} times; make it longer, or set replace_all`);
  }
  writeText(file, parts.join(edit.new_string));
  return `Replaced ${found} ${found === 1 ? 'place' : 'places'} in ${file}.`;
}

/** read, write and edit of one run. */
export function fileTools({ paths, shell }: ToolContext): Tool[] {
  return [
    betaZodTool({
      name: 'read',
      description: 'Read a text file with line numbers (up to 2,000 lines or 256 KiB at a time).',
      inputSchema: z.object({
        path: z.string().describe('Absolute, or relative to the workspace.'),
        offset: z.number().int().min(1).describe('First line, from 1.').optional(),
        limit: z.number().int().min(1).max(MAX_LINES).optional(),
      }),
      run: async ({ path: file, offset = 1, limit = MAX_LINES }) =>
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
      run: ({ path: file, ...edit }) => shell.inOrder(async () => replaceText(insidePath(paths, file), edit)),
    }),
  ];
}
