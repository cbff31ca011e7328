// Finds the skills that the prompt lists, shipped ones and the group's own; the model reads their files itself. Everything in the container
// can write to the group's own: what is no skill is left out, and named with the reason.
import fs from 'node:fs';
import path from 'node:path';
import { type SkillFile, skillDigest } from '../../../src/core/skill-digest.js';
import type { LeftOutSkill, OwnSkill } from '../../../src/wire.js';
import type { Paths } from './context.js';
import { readFrontMatter } from './front-matter.js';
import { readStart } from './plain-file.js';
import { cleanOutput, escapeXml, head, SKILL_NAME } from './text.js';

const MAX_SKILLS = 50;
const MAX_DESCRIPTION = 200;
/** That the host takes. */
const MAX_LEFT_OUT = 20;
const MAX_FILE_BYTES = 256 * 1024;
/** Of one of the group's own. */
const MAX_FILES = 20;
const MAX_OWN_BYTES = 20_000;
/** `file`: where the model reads it. */
export type Skill = { name: string; description: string; file: string };

type Found = { skill: Skill } | { leftOut: LeftOutSkill };

/** Some write the name of the file so. */
const FILE_NAMES = ['SKILL.md', 'skill.md', 'Skill.md', 'SKILL.MD'];

/** Throws why it is no skill. */
function readSkill(folder: string, name: string): Skill {
  if (!SKILL_NAME.test(name)) throw new Error('its folder needs a name of a-z, 0-9 and -, 40 characters at most');
  const files = FILE_NAMES.map((fileName) => path.join(folder, name, fileName));
  const file = files.find((one) => fs.lstatSync(one, { throwIfNoEntry: false }));
  if (!file) throw new Error('it has no SKILL.md');
  const stat = fs.lstatSync(file);
  // Reading a pipe would block every run of the group for ever.
  if (!stat.isFile()) throw new Error('its SKILL.md is no plain file');
  if (stat.size > MAX_FILE_BYTES) throw new Error('its SKILL.md is too large');
  const version = `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
  const known = seen.get(file);
  if (known?.version === version) return known.skill;
  const skill = toSkill(name, file, readFrontMatter(readStart(file, MAX_FILE_BYTES)));
  seen.set(file, { version, skill });
  for (const oldest of [...seen.keys()].slice(0, -MAX_SEEN)) seen.delete(oldest);
  return skill;
}

/** Skills as they were read last: reading YAML takes longer than looking whether the file is still the same. */
const seen = new Map<string, { version: string; skill: Skill }>();
const MAX_SEEN = 200;

/** Throws why it is no skill. */
function toSkill(name: string, file: string, fields: ReturnType<typeof readFrontMatter>): Skill {
  const description = cleanOutput(fields.description).replace(/\s+/g, ' ').trim();
  if (fields.name.trim() === '') throw new Error('it has no name');
  if (fields.name.trim().toLowerCase() !== name) throw new Error('its name is not that of its folder');
  if (description === '') throw new Error('it has no description');
  return { name, description: escapeXml(head(description, MAX_DESCRIPTION)), file };
}

/** One that cannot be read must neither fail the run nor hide the others. */
function skillsIn(folder: string): Found[] {
  const entries = fs.existsSync(folder) ? attempt(() => fs.readdirSync(folder, { withFileTypes: true })) : [];
  if (entries instanceof Error) return [];
  const mayBe = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink());
  return mayBe
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((entry) => {
      const skill = attempt(() => {
        if (entry.isSymbolicLink()) throw new Error('it is a link');
        return readSkill(folder, entry.name);
      });
      return skill instanceof Error ? leftOut(entry.name, skill.message) : { skill };
    });
}

function attempt<T>(read: () => T): T | Error {
  try {
    return read();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

const plainLine = (text: string, max: number) => head(cleanOutput(text).replace(/\s+/g, ' ').trim(), max);
const leftOut = (name: string, reason: string) => ({
  leftOut: { name: plainLine(name, 40), reason: plainLine(reason, 120) },
});

/** The files of a skill of the group. Throws when they are more, or larger, than a person would read: then nobody is asked about it. */
function readFiles(folder: string): SkillFile[] {
  const entries = fs.readdirSync(folder, { withFileTypes: true, recursive: true }).filter((one) => !one.isDirectory());
  if (entries.length > MAX_FILES) throw new Error(`it has more than ${MAX_FILES} files`);
  return entries.map((entry) => {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || fs.lstatSync(file).size > MAX_OWN_BYTES)
      throw new Error('a file of it is no plain file, or too large');
    return { path: path.relative(folder, file), text: fs.readFileSync(file, 'utf8') };
  });
}

interface Skills {
  /** Those the model is told of, sorted by name, 50 at most. */
  listed: Skill[];
  /** The group's own that the owner has not read as they are now. */
  unread: { name: string; files: SkillFile[] }[];
  /** What looks like a skill and is none, 20 at most. */
  leftOut: LeftOutSkill[];
}

/** Shipped ones are taken first: the group's own can neither replace nor displace them. */
export function findSkills({ skills, workspace }: Paths, known: OwnSkill[]): Skills {
  const folder = path.join(workspace, 'skills');
  const shipped = skillsIn(skills);
  const listed = new Map<string, Skill>();
  for (const found of shipped) if ('skill' in found) listed.set(found.skill.name, found.skill);
  const unread: Skills['unread'] = [];
  let own = 0;
  const rest = skillsIn(folder).map((found): Found[] => {
    if ('leftOut' in found) return [found];
    const { skill } = found;
    if (listed.has(skill.name)) return [leftOut(skill.name, 'a skill of Pinch has this name')];
    own += 1;
    if (own > MAX_SKILLS) return [leftOut(skill.name, `there are more than ${MAX_SKILLS}`)];
    const files = attempt(() => readFiles(path.join(folder, skill.name)));
    if (files instanceof Error) return [leftOut(skill.name, files.message)];
    const digest = skillDigest(files);
    if (!known.some((one) => one.name === skill.name && one.digest === digest))
      unread.push({ name: skill.name, files });
    else if (listed.size < MAX_SKILLS) listed.set(skill.name, skill);
    else return [leftOut(skill.name, `there are more than ${MAX_SKILLS}`)];
    return [];
  });
  const out = [...shipped, ...rest.flat()].flatMap((found) => ('leftOut' in found ? [found.leftOut] : []));
  const sorted = [...listed.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { listed: sorted, unread, leftOut: out.slice(0, MAX_LEFT_OUT) };
}
