// The beginning of a skill: a folder that `check` accepts, to be filled.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './progress.mjs';
import { sections } from './skill-check.mjs';
import { skillName } from './skill-format.mjs';

/** @type {Record<string, string>} */
const texts = {
  'When to use': 'The owner asks for … Not for …',
  Preflight: '1. `git status --short` prints nothing. If it does, ask the owner to commit first.',
  Apply: 'Run `npm run skill -- apply NAME --yes`. It adds: …',
  Configure: 'Ask the owner for …; put it into `.env`.',
  Verify: '1. `npm run types` and `npm run lint` pass.',
  Remove: 'Run `npm run skill -- remove NAME --yes`; take its variables out of `.env`.',
  Report: 'Tell the owner what was added, what works now, and what is still theirs to do.',
};

/**
 * Throws SetupError when the name is none or is taken.
 * @param {string} root
 * @param {string} name
 */
export function createSkill(root, name) {
  if (!skillName.test(name))
    throw new SetupError(`"${name}" is not a name: use lower-case letters, digits and -, such as add-signal.`);
  const folder = join(root, 'skills', name);
  if (existsSync(folder)) throw new SetupError(`skills/${name} is there already: edit it, or choose another name.`);
  mkdirSync(join(folder, 'files'), { recursive: true });
  const head = `---\nname: ${name}\ndescription: What it does, in one sentence. Use when the user says /${name} or asks for ….\n---\n\n# ${name}\n`;
  const body = sections.map((title) => `\n## ${title}\n\n${texts[title]?.replaceAll('NAME', name)}\n`).join('');
  writeFileSync(join(folder, 'SKILL.md'), head + body);
  const data = { files: {}, lines: [], dependencies: {}, env: [], services: {}, image: [], requires: [] };
  writeFileSync(join(folder, 'skill.json'), `${JSON.stringify(data, null, 2)}\n`);
}
