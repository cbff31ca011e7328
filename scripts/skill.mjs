// `npm run skill -- list|apply|remove|check|new`: adds to this checkout what a skill's folder holds, and takes exactly that away again.
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { ensureInstalled } from './lib/install.mjs';
import { root } from './lib/paths.mjs';
import { runCommand, SetupError, say } from './lib/progress.mjs';
import { checkNode } from './lib/settings.mjs';
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
    const plan = planApply(root, someNames(names));
    const added = await carryOut(plan, options, 'apply');
    say(added ? `Applied: ${plan.skills.map(({ name }) => name).join(', ')}.` : 'Nothing to add: it is all there.');
    if (added) say('Look at it, run `npm run types`, and commit it.');
    for (const { name, how } of plan.skills.flatMap(({ env }) => env)) say(`Put ${name} into .env: ${how}`);
  },
  async remove(names, options) {
    const { planRemove } = await import('./lib/skill-plan.mjs');
    const plan = planRemove(root, someNames(names));
    const removed = await carryOut(plan, options, 'remove');
    say(removed ? `Removed: ${names.join(', ')}.` : 'Nothing to take away: nothing of it is there.');
    for (const note of plan.notes) say(note);
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
 * @param {Options} options
 * @param {string} verb
 */
async function carryOut(plan, { yes, install }, verb) {
  const { checkClean } = await import('./lib/skill-clean.mjs');
  const { differenceOf, summaryOf } = await import('./lib/skill-show.mjs');
  const { carryOut: write, isInstalled, leftovers } = await import('./lib/skill-write.mjs');
  const unfinished = leftovers(root, plan).length > 0 || (install && !isInstalled(root, plan.dependencies));
  if (plan.changes.length === 0 && !unfinished) return false;
  checkClean(root);
  print(summaryOf(plan, { install }));
  print(differenceOf(plan.changes, process.stdout.isTTY === true));
  if (!yes) await confirm(verb);
  await write(root, plan, { install });
  return true;
}

/** Throws SetupError unless a person at the terminal says yes. @param {string} verb */
async function confirm(verb) {
  if (!process.stdin.isTTY)
    throw new SetupError(`Nothing was changed. Without a terminal to ask at, ${verb} needs --yes.`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question('Write these changes? [y/N] ');
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new SetupError('Nothing was changed.');
}

/** @param {string} text */
function print(text) {
  process.stdout.write(text);
}

await runCommand(async () => {
  checkNode();
  const { command, names, options } = readArguments();
  // zod, which reads the skills, is itself a package.
  if (options.install) await ensureInstalled();
  const run = commands[command];
  if (!run) return print(USAGE);
  await run(names, options);
});
