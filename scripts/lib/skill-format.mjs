// What a skill is: its folder read into one checked value. Knows nothing about the tree it is applied to.
import { isUtf8 } from 'node:buffer';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { SetupError } from './progress.mjs';
import { placeholdersIn } from './skill-entries.mjs';
import { pathProblem, symlinkOn } from './skill-paths.mjs';
import { visibleLine } from './visible.mjs';

/**
 * @typedef {z.infer<typeof skillJson>} SkillJson
 * @typedef {{ from: string, to: string, content: Buffer, mode: number }} SkillFile `from` is relative to the repository
 * @typedef {Omit<SkillJson, 'files'> & { name: string, files: SkillFile[], manual: string }} Skill `manual` is the text of SKILL.md
 */

export const skillName = /^[a-z][a-z0-9-]{1,39}$/;
const path = z
  .string()
  .refine((value) => pathProblem(value) === undefined, { error: (issue) => pathProblem(issue.input) });
const oneLine = z.string().regex(/^\S(.*\S)?$/, { error: 'is not one line of text' });

const fields = z.strictObject({
  /** Path below `files/` → new file in the repository. */
  files: z.record(path, path).default({}),
  /** Whole lines added to a list that is made for it (skill-lists.mjs). */
  lines: z.array(z.strictObject({ file: path, line: oneLine })).default([]),
  /** npm package → exact version. */
  dependencies: z
    .record(
      z.string().regex(/^(@[\w.-]+\/)?[\w.-]+$/),
      z.string().regex(/^\d+\.\d+\.\d+(-[\w.]+)?$/, { error: 'is not an exact version such as 1.2.3' }),
    )
    .default({}),
  /** What the owner puts into `.env`, and how to get it. */
  env: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[A-Z][A-Z0-9_]*$/),
        how: oneLine,
        secret: z.boolean(),
        /** What it may look like. */
        example: oneLine.optional(),
      }),
    )
    .default([]),
  /** Name → entry of the owner's services.json. `<VAR>` in a text of it is what the owner gives for a variable of `env` that is no secret. */
  services: z.record(z.string().regex(/^[a-z0-9][a-z0-9_-]{0,39}$/), z.record(z.string(), z.json())).default({}),
  /** Debian packages of the agent's image. */
  image: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/, { error: 'is not a Debian package name' })).default([]),
  /** Skills that are applied first. */
  requires: z.array(z.string().regex(skillName)).default([]),
});

const skillJson = fields.superRefine(({ env, services }, context) => {
  for (const name of placeholdersIn(services)) {
    const variable = env.find((one) => one.name === name);
    if (!variable?.example || variable.secret)
      context.addIssue({
        code: 'custom',
        path: ['services'],
        message: `<${name}> must be a variable of env with an example, and no secret: those stay in .env`,
      });
  }
});

/**
 * The names of all skills, sorted.
 * @param {string} root
 */
export function skillNames(root) {
  const folder = join(root, 'skills');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith('.') && !entry.isFile())
    .map((entry) => entry.name)
    .sort();
}

/**
 * One skill. Throws SetupError that names each wrong field.
 * @param {string} root
 * @param {string} name
 * @returns {Skill}
 */
export function readSkill(root, name) {
  if (!skillName.test(name) || !existsSync(join(root, 'skills', name)))
    throw new SetupError(`There is no skill "${visibleLine(name)}": \`npm run skill -- list\` shows those there are.`);
  const linked = symlinkOn(root, `skills/${name}/skill.json`);
  if (linked) throw new SetupError(`${linked} is a symbolic link: a skill's files lie in its own folder.`);
  refuseOddities(root, name);
  const { files, ...rest } = parseJson(root, name);
  const sources = Object.entries(files).map(([from, to]) => readSource(root, `skills/${name}/files/${from}`, to));
  return { ...rest, name, files: sources, manual: readText(root, name, 'SKILL.md') };
}

/** Plain files and folders only: a link shows one thing today and another tomorrow. @param {string} root @param {string} name */
function refuseOddities(root, name) {
  const folder = join(root, 'skills', name);
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stat = lstatSync(join(folder, path));
    // Execution is the owner's or nobody's, as in git.
    const isPlain = stat.isFile() && (stat.mode & 0o7000) === 0 && ((stat.mode & 0o111) === 0 || stat.mode & 0o100);
    if (!isPlain && !stat.isDirectory()) {
      const shown = visibleLine(relative(root, join(folder, path)));
      throw new SetupError(
        `${shown} is a symbolic link or no plain file: a skill holds no links, pipes or special permissions.`,
      );
    }
  }
}

/** @param {string} root @param {string} name */
function parseJson(root, name) {
  const where = `skills/${name}/skill.json`;
  const parsed = skillJson.safeParse(jsonOf(where, readText(root, name, 'skill.json')));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `  - ${issue.path.join('.') || 'the file'}: ${issue.message}`);
  throw new SetupError(`${where} cannot be used:\n${problems.join('\n')}`);
}

/** @param {string} where @param {string} text @returns {unknown} */
function jsonOf(where, text) {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SetupError(`${where} is not JSON: ${cause instanceof Error ? cause.message : cause}`, '', { cause });
  }
}

/** @param {string} root @param {string} name @param {string} file */
function readText(root, name, file) {
  const path = join(root, 'skills', name, file);
  if (!existsSync(path))
    throw new SetupError(`skills/${name} has no ${file}: \`npm run skill -- new\` shows how one looks.`);
  return readFileSync(path, 'utf8');
}

/** @param {string} root @param {string} from @param {string} to @returns {SkillFile} */
function readSource(root, from, to) {
  const linked = symlinkOn(root, from);
  if (linked) throw new SetupError(`${linked} is a symbolic link: a skill's files lie in its own folder.`);
  const source = join(root, from);
  if (!existsSync(source) || !lstatSync(source).isFile())
    throw new SetupError(`${from} is not there: its skill.json names it.`);
  const mode = lstatSync(source).mode & 0o100 ? 0o755 : 0o644;
  const content = readFileSync(source);
  if (content.includes(0) || !isUtf8(content))
    throw new SetupError(`${from} holds a NUL byte or no UTF-8: skills bring text only, which can be shown and read.`);
  return { from, to, content, mode };
}
