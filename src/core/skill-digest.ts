// What makes a skill the same skill: the paths and texts of its files. Host and runner both count it.
import { createHash } from 'node:crypto';

/** `path` is below the skill's folder. */
export interface SkillFile {
  path: string;
  text: string;
}

export function skillDigest(files: SkillFile[]): string {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1)).map(({ path, text }) => [path, text]);
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex');
}
