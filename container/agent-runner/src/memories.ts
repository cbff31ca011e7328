// What every run of the group is shown of its memory: CLAUDE.md of all groups and its own, and in them what people want always. Pure but for
// reading the two files.
import path from 'node:path';
import type { Paths } from './context.js';
import { readStart } from './plain-file.js';
import { cutMiddle } from './text.js';

/** A CLAUDE.md file; `path` is its path for the model. */
export type Memory = { path: string; text: string };

/** Far more than the prompt shows of one: what holds always may stand behind a diary of years. */
const MEMORY_BYTES = 2 * 1024 * 1024;

/** Nothing of a file that is not there: a memory that cannot be read must not end the run that could repair it. */
export function readMemories({ global, workspace }: Pick<Paths, 'global' | 'workspace'>): Memory[] {
  return [global, workspace].flatMap((folder) => {
    const file = path.join(folder, 'CLAUDE.md');
    try {
      return [{ path: file, text: readStart(file, MEMORY_BYTES).toString() }];
    } catch {
      return [];
    }
  });
}

/**
 * What people forbade or asked for always: all that stands under a heading `Always`, word for word; '' where there is none. Rather too much than
 * too little: the heading is known in any dress, and what looks like one within a block of code ends nothing.
 */
export function alwaysOf(text: string): string {
  const lines = text.split('\n');
  const isCode = codeLines(lines);
  const kept: string[] = [];
  let level = 0;
  for (const [at, line] of lines.entries()) {
    const [, start, underlined] = ALWAYS.exec(`${line}\n${lines[at + 1] ?? ''}`) ?? [];
    const [, end = ''] = isCode[at] ? [] : (/^ {0,3}(#{1,6})[ \t]/.exec(line) ?? []);
    if (start) level = start.length;
    else if (underlined) level = underlined.startsWith('=') ? 1 : 2;
    else if (end !== '' && end.length <= level) level = 0;
    if (level > 0) kept.push(line);
  }
  const section = kept.join('\n').trim();
  return /\n(?![=-]*\s*$)\s*\S/m.test(section) ? section : '';
}

/** `## Always`, `##Always`, `## 1. **Always**`, or `Always` with a line below it. */
const ALWAYS = /^ {0,3}(?:(#{1,6})[^\p{L}\n]*|(?=[^\n]*\n {0,3}(=+|--+)\s*$))always\b/iu;

/** Which lines stand in a block of code; one that nobody closed is none. */
function codeLines(lines: string[]): boolean[] {
  const isCode = lines.map(() => false);
  let open: { at: number; fence: string } | undefined;
  for (const [at, line] of lines.entries()) {
    const [, fence = '', rest = ''] = /^ {0,3}(`{3,}|~{3,})(.*)$/s.exec(line) ?? [];
    if (fence === '') continue;
    if (!open) open = { at, fence };
    else if (fence.startsWith(open.fence) && rest.trim() === '') {
      isCode.fill(true, open.at, at);
      open = undefined;
    }
  }
  return isCode;
}

/** The same of all files, at most so many characters. */
export const alwaysNow = (paths: Pick<Paths, 'global' | 'workspace'>, most: number): string =>
  cutMiddle(
    readMemories(paths)
      .map(({ text }) => alwaysOf(text))
      .filter(Boolean)
      .join('\n\n'),
    most,
    'they are in CLAUDE.md',
  );
