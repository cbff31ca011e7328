// What every run of the group is shown of its memory: CLAUDE.md of all groups and its own, and in them what people want always. Pure but for
// reading the two files.
import path from 'node:path';
import type { Paths } from './context.js';
import { readStart } from './plain-file.js';
import { cutMiddle } from './text.js';

/** A CLAUDE.md file; `path` is its path for the model. */
export type Memory = { path: string; text: string };

/** More than the prompt shows of one, in any alphabet. */
const MEMORY_BYTES = 256 * 1024;

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

/** What people forbade or asked for always: all that stands under a heading `Always`, word for word; '' where there is none. */
export function alwaysOf(text: string): string {
  const kept: string[] = [];
  let level = 0;
  for (const line of text.split('\n')) {
    const [, signs = '', title = ''] = /^ {0,3}(#{1,6})[ \t]+([^\n]*)$/.exec(line) ?? [];
    if (signs && (level === 0 || signs.length <= level)) level = /^always\b/i.test(title) ? signs.length : 0;
    if (level > 0) kept.push(line);
  }
  const section = kept.join('\n').trim();
  return /\n\s*\S/.test(section) ? section : '';
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
