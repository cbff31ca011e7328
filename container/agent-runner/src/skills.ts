// Finds the skills that the prompt lists, shipped ones and the group's own; the model reads their files itself. Everything in the container
// can write to the group's own: what does not look like a skill is left out.
import fs from 'node:fs';
import path from 'node:path';
import type { Paths } from './context.js';
import { cleanOutput, escapeXml, head } from './text.js';

const MAX_SKILLS = 50;
const MAX_DESCRIPTION = 200;
const MAX_FILE_BYTES = 256 * 1024;
const NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;
const FRONT_MATTER = /^---\n(.*?\n)---(\n|$)/s;
/** A value that YAML does not read as plain text begins so. */
const NOT_PLAIN = /^[[\]{}>|*&!%@`#,]/;

/** `file`: where the model reads it. */
export type Skill = { name: string; description: string; file: string };

/** Nothing when reading fails: a missing or unreadable skill must neither fail the run nor hide the others. */
function noneOnError<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch {
    return [];
  }
}

function readSkill(folder: string, name: string): Skill[] {
  const file = path.join(folder, name, 'SKILL.md');
  const stat = fs.lstatSync(file, { throwIfNoEntry: false });
  // Reading a pipe would block every run of the group for ever.
  if (!stat?.isFile() || stat.size > MAX_FILE_BYTES) return [];
  const text = fs.readFileSync(file, 'utf8').replaceAll('\r\n', '\n');
  const [, lines = ''] = FRONT_MATTER.exec(text) ?? [];
  const field = (key: string) => {
    const [, value = ''] = new RegExp(`^${key}:[ \\t]+(.*)$`, 'm').exec(lines) ?? [];
    return value.trim().replace(/^(["'])(.*)\1$/, '$2');
  };
  const description = cleanOutput(field('description')).replace(/\s+/g, ' ').trim();
  if (field('name') !== name || description === '' || NOT_PLAIN.test(description)) return [];
  return [{ name, description: escapeXml(head(description, MAX_DESCRIPTION)), file }];
}

function skillsIn(folder: string): Skill[] {
  const entries = noneOnError(() => fs.readdirSync(folder, { withFileTypes: true }));
  const names = entries.filter((entry) => entry.isDirectory() && NAME.test(entry.name)).map(({ name }) => name);
  return names.sort().flatMap((name) => noneOnError(() => readSkill(folder, name)));
}

/** At most 50, sorted by name. Shipped ones are taken first: the group's own can neither replace nor displace them. */
export function findSkills({ skills, workspace }: Paths): Skill[] {
  const found = new Map<string, Skill>();
  for (const skill of [...skillsIn(skills), ...skillsIn(path.join(workspace, 'skills'))])
    if (!found.has(skill.name) && found.size < MAX_SKILLS) found.set(skill.name, skill);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
