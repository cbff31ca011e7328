// What applying or removing skills would change: per path the bytes afterwards. Reads the tree, writes nothing.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './progress.mjs';
import { readSkill } from './skill-format.mjs';
import { isQuoted } from './skill-git.mjs';
import { addLine, listFor, lists, removeLine } from './skill-lists.mjs';
import { addDependency, removeDependency } from './skill-package.mjs';
import { symlinkOn } from './skill-paths.mjs';
import { fileState, isThere, linesOf, readSkills, textOf } from './skill-tree.mjs';

/**
 * @typedef {import('./skill-format.mjs').Skill} Skill
 * @typedef {{ path: string, before: Buffer | undefined, after: Buffer | undefined, mode: number }} Change
 * @typedef {(text: string) => string} Edit of a file that others own, harmless when repeated
 * @typedef {{ skills: Skill[], changes: Change[], edits: Map<string, Edit>, files: string[], dependencies: [string, string][], notes: string[] }} Plan
 * `files`: the paths that are whole files of the skills; `dependencies`: names and versions of those that come or go
 */

/**
 * The skills and all that they require, required ones first. Throws SetupError for a circle.
 * @param {string} root
 * @param {string[]} names
 */
export function withRequired(root, names) {
  /** @type {Map<string, Skill>} */
  const found = new Map();
  /** @param {string} name @param {string[]} way */
  const visit = (name, way) => {
    if (way.includes(name))
      throw new SetupError(`Skills require each other in a circle: ${[...way, name].join(' → ')}.`);
    if (found.has(name)) return;
    const skill = readSkill(root, name);
    for (const required of skill.requires) visit(required, [...way, name]);
    found.set(name, skill);
  };
  for (const name of names) visit(name, []);
  return [...found.values()];
}

/**
 * Throws SetupError when a file is somebody else's or a path leaves the repository.
 * @param {string} root
 * @param {string[]} names
 * @returns {Plan}
 */
export function planApply(root, names) {
  const skills = withRequired(root, names);
  const files = skills.flatMap((skill) => skill.files);
  for (const { to } of files) refuseSymlink(root, to);
  const taken = files.filter((file) => fileState(root, file) === 'other').map(({ to }) => to);
  if (taken.length > 0) {
    throw new SetupError(
      `${taken.join(', ')} is there already with other content. If you changed what the skill wrote, it is applied and nothing is to do; to get the skill's version back, delete the file, commit, and apply again.`,
    );
  }
  const dependencies = skills.flatMap((skill) => Object.entries(skill.dependencies));
  const lines = skills.flatMap(linesOf);
  const edits = editsOf(lines, dependencies, { line: addLine, dependency: addDependency });
  const whole = files.map(({ to, content, mode }) => change(root, to, content, mode));
  for (const { file, line } of lines) listFor(file, line);
  const absent = [...edits.keys()].find((path) => textOf(root, path) === undefined);
  if (absent)
    throw new SetupError(`${absent} (${lists[absent]?.what}) is not in this checkout: merge a newer Pinch first.`);
  return planned(root, { skills, whole, edits, dependencies, notes: [] });
}

/**
 * What other skills that are there need stays. Throws SetupError when one of them needs the whole skill, or a file was changed since.
 * @param {string} root
 * @param {string[]} names
 * @returns {Plan}
 */
export function planRemove(root, names) {
  const skills = names.map((name) => readSkill(root, name));
  const others = readSkills(root).filter(({ name }) => !names.includes(name));
  const staying = others.filter((skill) => isThere(root, skill));
  for (const { name, requires } of staying) {
    const needed = requires.find((required) => names.includes(required));
    if (needed) throw new SetupError(`${name} needs ${needed}: remove ${name} first, or both at once.`);
  }
  const files = skills
    .flatMap((skill) => skill.files)
    .filter(({ to }) => !staying.some((skill) => skill.files.some((file) => file.to === to)));
  for (const { to } of files) refuseSymlink(root, to);
  const changed = files.filter((file) => fileState(root, file) === 'other').map(({ to }) => to);
  if (changed.length > 0) {
    throw new SetupError(
      `${changed.join(', ')} was changed after the skill wrote it, so it is not removed. If it may go, delete it, commit, and run this again.`,
    );
  }
  const kept = staying.flatMap(linesOf);
  const lines = skills
    .flatMap(linesOf)
    .filter(({ file, line }) => !kept.some((one) => one.file === file && one.line === line));
  const { dependencies, notes } = unusedDependencies(root, { skills, staying, files: files.map(({ to }) => to) });
  const edits = editsOf(lines, dependencies, {
    line: (_file, text, line) => removeLine(text, line),
    dependency: removeDependency,
  });
  const whole = files.map(({ to, mode }) => change(root, to, undefined, mode));
  return planned(root, { skills, whole, edits, dependencies, notes });
}

/**
 * Packages that go with their skills: no skill that stays has them and no file that stays names them.
 * @param {string} root
 * @param {{ skills: Skill[], staying: Skill[], files: string[] }} of
 */
function unusedDependencies(root, { skills, staying, files }) {
  /** @type {[string, string][]} */
  const dependencies = [];
  /** @type {string[]} */
  const notes = [];
  for (const [name, version] of skills.flatMap((skill) => Object.entries(skill.dependencies))) {
    const wanted = staying.some((skill) => skill.dependencies[name] !== undefined);
    if (wanted || isQuoted(root, name, files)) notes.push(`${name} stays in package.json: other files use it.`);
    else dependencies.push([name, version]);
  }
  return { dependencies, notes };
}

/**
 * @param {{ file: string, line: string }[]} lines
 * @param {[string, string][]} dependencies
 * @param {{ line: (file: string, text: string, line: string) => string, dependency: (text: string, name: string, version: string) => string }} how
 */
function editsOf(lines, dependencies, how) {
  /** @type {Map<string, Edit>} */
  const edits = new Map();
  /** @param {string} path @param {Edit} next */
  const add = (path, next) => {
    const before = edits.get(path);
    edits.set(path, before ? (text) => next(before(text)) : next);
  };
  for (const [name, version] of dependencies) add('package.json', (text) => how.dependency(text, name, version));
  for (const { file, line } of lines) add(file, (text) => how.line(file, text, line));
  return edits;
}

/**
 * @param {string} root
 * @param {Omit<Plan, 'changes' | 'files'> & { whole: Change[] }} parts
 * @returns {Plan}
 */
function planned(root, { whole, edits, ...rest }) {
  const edited = [...edits].flatMap(([path, edit]) => {
    refuseSymlink(root, path);
    const text = textOf(root, path);
    return text === undefined ? [] : [change(root, path, Buffer.from(edit(text)), 0o644)];
  });
  // A kill in between must leave no line that refers to a file that is not there: files come before their lines and go after them.
  const order = [...whole.filter(({ after }) => after), ...edited, ...whole.filter(({ after }) => !after)];
  const changes = order.filter(({ before, after }) => !same(before, after));
  return { ...rest, edits, changes, files: whole.map(({ path }) => path) };
}

/** @param {string} root @param {string} path @param {Buffer | undefined} after @param {number} mode @returns {Change} */
function change(root, path, after, mode) {
  const file = join(root, path);
  return { path, before: existsSync(file) ? readFileSync(file) : undefined, after, mode };
}

/** @param {Buffer | undefined} one @param {Buffer | undefined} other */
const same = (one, other) => (one && other ? one.equals(other) : one === other);

/** @param {string} root @param {string} path */
function refuseSymlink(root, path) {
  const linked = symlinkOn(root, path);
  if (linked)
    throw new SetupError(
      `${path}: ${linked} is a symbolic link or no folder. Skills write into the repository only; put a real folder there.`,
    );
}
