// Finds the skills that the prompt lists, shipped ones and the group's own; the model reads their files itself. Everything in the container
// can write to the group's own: what does not look like a skill is left out.
import fs from 'node:fs';
import path from 'node:path';
import { type SkillFile, skillDigest } from '../../../src/core/skill-digest.js';
import type { OwnSkill } from '../../../src/wire.js';
import type { Paths } from './context.js';
import { cleanOutput, escapeXml, head } from './text.js';

const MAX_SKILLS = 50;
const MAX_DESCRIPTION = 200;
const MAX_FILE_BYTES = 256 * 1024;
/** Of one of the group's own. */
const MAX_FILES = 20;
const MAX_OWN_BYTES = 20_000;
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

/** The files of a skill of the group. Throws when they are more, or larger, than a person would read: then nobody is asked about it. */
function readFiles(folder: string): SkillFile[] {
  const entries = fs.readdirSync(folder, { withFileTypes: true, recursive: true }).filter((one) => !one.isDirectory());
  if (entries.length > MAX_FILES) throw new Error('too many files');
  return entries.map((entry) => {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || fs.lstatSync(file).size > MAX_OWN_BYTES) throw new Error('no plain file, or too large');
    return { path: path.relative(folder, file), text: fs.readFileSync(file, 'utf8') };
  });
}

interface Skills {
  /** Those the model is told of, sorted by name, 50 at most. */
  listed: Skill[];
  /** The group's own that the owner has not read as they are now. */
  unread: { name: string; files: SkillFile[] }[];
}

/** Shipped ones are taken first: the group's own can neither replace nor displace them. */
export function findSkills({ skills, workspace }: Paths, known: OwnSkill[]): Skills {
  const own = path.join(workspace, 'skills');
  const found = new Map(skillsIn(skills).map((skill) => [skill.name, skill]));
  const unread: Skills['unread'] = [];
  for (const skill of skillsIn(own)
    .filter(({ name }) => !found.has(name))
    .slice(0, MAX_SKILLS)) {
    const [files] = noneOnError(() => [readFiles(path.join(own, skill.name))]);
    if (!files) continue;
    const digest = skillDigest(files);
    if (!known.some((one) => one.name === skill.name && one.digest === digest))
      unread.push({ name: skill.name, files });
    else if (found.size < MAX_SKILLS) found.set(skill.name, skill);
  }
  return { listed: [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), unread };
}
