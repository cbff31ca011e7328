// `npm run skill -- list|apply|remove|check|new`: adds to this checkout what a skill's folder holds, and takes exactly that away again.
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { ensureInstalled } from './lib/install.mjs';
import { root } from './lib/paths.mjs';
import { runCommand, SetupError, say } from './lib/progress.mjs';
import { checkNode, homeFolder, readSettings } from './lib/settings.mjs';
import { visibleLine } from './lib/visible.mjs';

const USAGE = `Usage: npm run skill -- <command>

  list                    the skills, and which of them are applied
  apply <name>… [--yes]   add them, and what they require, after showing every change
  remove <name>… [--yes]  take away what they added, and nothing else
  check                   whether every skill is well made
  new <name>              begin a skill

  --yes         do not ask (for scripts and agents)
  --no-install  change package.json, leave installing to you
`;

/** @typedef {{ yes: boolean, install: boolean }} Options */

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { yes: { type: 'boolean' }, 'no-install': { type: 'boolean' }, help: { type: 'boolean' } },
    });
    const [command = 'help', ...names] = positionals;
    if (command !== 'help' && !commands[command]) throw new Error(`there is no command "${command}"`);
    const options = { yes: values.yes ?? false, install: !values['no-install'] };
    return { command: values.help ? 'help' : command, names, options };
  } catch (cause) {
    throw new SetupError(`${cause instanceof Error ? cause.message : cause}: see \`npm run skill -- help\`.`, '', {
      cause,
    });
  }
}

/** @type {Record<string, (names: string[], options: Options) => Promise<void>>} */
const commands = {
  async list() {
    const { descriptionOf, readSkills, skillState } = await import('./lib/skill-tree.mjs');
    for (const skill of readSkills(root)) {
      const state = skillState(root, skill);
      print(`${skill.name.padEnd(24)}${state === 'text' ? '' : `[${state}] `}${visibleLine(descriptionOf(skill))}\n`);
    }
  },
  async apply(names, options) {
    const { planApply } = await import('./lib/skill-plan.mjs');
    const { placeholdersIn } = await import('./lib/skill-entries.mjs');
    const { planServices } = await import('./lib/skill-services.mjs');
    const plan = planApply(root, someNames(names));
    const services = planServices(homeFolder(), plan.skills, await valuesFor(plan.skills, options));
    const added = await carryOut(plan, services, options, 'apply');
    say(added ? `Applied: ${plan.skills.map(({ name }) => name).join(', ')}.` : 'Nothing to add: it is all there.');
    if (added) say('Look at it, run `npm run types`, and commit it.');
    for (const note of services.notes) say(note);
    const given = new Set(plan.skills.flatMap((skill) => placeholdersIn(skill.services)));
    for (const { name, how } of plan.skills.flatMap(({ env }) => env).filter((one) => !given.has(one.name)))
      say(`Put ${name} into .env: ${how}`);
  },
  async remove(names, options) {
    const { planRemove } = await import('./lib/skill-plan.mjs');
    const { planWithoutServices } = await import('./lib/skill-services.mjs');
    const plan = planRemove(root, someNames(names));
    const services = planWithoutServices(homeFolder(), plan.skills);
    const removed = await carryOut(plan, services, options, 'remove');
    say(removed ? `Removed: ${names.join(', ')}.` : 'Nothing to take away: nothing of it is there.');
    for (const note of [...plan.notes, ...services.notes]) say(note);
    for (const { name } of plan.skills.flatMap(({ env }) => env)) say(`Take ${name} out of .env.`);
  },
  async check() {
    const { checkSkills } = await import('./lib/skill-check.mjs');
    const { skillNames } = await import('./lib/skill-format.mjs');
    const problems = checkSkills(root);
    if (problems.length > 0) throw new SetupError(problems.join('\n✗ '));
    print(`${skillNames(root).length} skills are well made.\n`);
  },
  async new(names) {
    const { createSkill } = await import('./lib/skill-new.mjs');
    const [name, ...more] = someNames(names);
    if (name === undefined || more.length > 0)
      throw new SetupError('Give one name: `npm run skill -- new add-signal`.');
    createSkill(root, name);
    say(
      `skills/${name}/ is begun: write SKILL.md and skill.json, put its files below files/, then \`npm run skill -- check\`.`,
    );
  },
};

/** @param {string[]} names */
function someNames(names) {
  if (names.length === 0) throw new SetupError('Which skill? `npm run skill -- list` shows them.');
  return [...new Set(names)];
}

/**
 * Shows, asks and writes. False when there is nothing to do.
 * @param {import('./lib/skill-plan.mjs').Plan} plan
 * @param {import('./lib/skill-services.mjs').ServicesPlan} services
 * @param {Options} options
 * @param {'apply' | 'remove'} verb
 */
async function carryOut(plan, services, { yes, install }, verb) {
  const { checkClean } = await import('./lib/skill-clean.mjs');
  const { differenceOf, summaryOf } = await import('./lib/skill-show.mjs');
  const { carryOut: write, isInstalled, leftovers } = await import('./lib/skill-write.mjs');
  const { changeOf, writeServices } = await import('./lib/skill-services.mjs');
  const changes = [...plan.changes, ...changeOf(services)];
  const unfinished = leftovers(root, plan).length > 0 || (install && !isInstalled(root, plan.dependencies));
  if (changes.length === 0 && !unfinished) return false;
  checkClean(root);
  print(summaryOf(plan, services, { install }));
  print(differenceOf(changes, process.stdout.isTTY === true));
  if (!yes) await confirm(verb);
  // A kill in between must leave no service whose program is not there.
  if (verb === 'remove') writeServices(services);
  await write(root, plan, { install });
  if (verb === 'apply') writeServices(services);
  return true;
}

/**
 * What services need to be told, from the environment and `.env`, or from a person at the terminal.
 * @param {import('./lib/skill-format.mjs').Skill[]} skills
 * @param {Options} options
 */
async function valuesFor(skills, { yes }) {
  const { missingValues } = await import('./lib/skill-services.mjs');
  const values = readSettings();
  if (yes || !process.stdin.isTTY) return values;
  for (const { name, how, example } of missingValues(homeFolder(), skills, values))
    values[name] = await ask(`${visibleLine(`${name}: ${how}, such as ${example}`)}\n> `);
  return values;
}

/** Throws SetupError unless a person at the terminal says yes. @param {string} verb */
async function confirm(verb) {
  if (!process.stdin.isTTY)
    throw new SetupError(`Nothing was changed. Without a terminal to ask at, ${verb} needs --yes.`);
  if (!/^y(es)?$/i.test(await ask('Write these changes? [y/N] '))) throw new SetupError('Nothing was changed.');
}

/** What somebody at the terminal answers. @param {string} question */
async function ask(question) {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(question);
  terminal.close();
  return answer.trim();
}

/** @param {string} text */
function print(text) {
  process.stdout.write(text);
}

await runCommand(async () => {
  checkNode();
  const { command, names, options } = readArguments();
  // zod, which reads the skills, is itself a package.
  if (options.install) await ensureInstalled('run');
  const run = commands[command];
  if (!run) return print(USAGE);
  await run(names, options);
});
