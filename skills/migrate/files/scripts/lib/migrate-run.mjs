// The way of every migration: read the old assistant, show everything, ask, write, say what is left. Knows no single assistant.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { planFiles, writeFile } from './migrate-files.mjs';
import { addTask, connect, planChats, readChats, readRecord, register, writeRecord } from './migrate-pinch.mjs';
import { checkedPlan, shown, whenOf } from './migrate-plan.mjs';
import { root } from './paths.mjs';
import { runCommand, SetupError, say } from './progress.mjs';
import { checkNode, readSettings } from './settings.mjs';

/**
 * @typedef {import('./migrate-plan.mjs').Plan} Plan
 * @typedef {{ source: string | undefined, tz: string | undefined, zone: string }} Request `tz` was asked for, `zone` is this machine's
 * @typedef {{ dryRun: boolean, yes: boolean }} Options
 * @typedef {Awaited<ReturnType<typeof plannedWork>>} Work
 */

const OPTIONS = `
  --dry-run      show what would be done, and do nothing
  --yes          do not ask (for scripts and agents)
  --tz <zone>    the old assistant's time zone, when it was not this machine's (Europe/Berlin)
`;
const MAX_SHOWN = 40;

/**
 * @param {string} usage
 * @param {(request: Request) => unknown} readPlan
 */
export async function runMigration(usage, readPlan) {
  await runCommand(async () => {
    checkNode();
    const { help, dryRun, yes, ...request } = readArguments(usage);
    if (help) return print(`Usage: ${usage}\n${OPTIONS}`);
    const plan = checkedPlan(await readPlan(request));
    const work = await plannedWork(plan);
    print(describe(plan, work));
    if (dryRun) return say('Nothing was changed: this was a dry run.');
    if (isNothing(work)) return say('Nothing to do: it is all there.');
    if (!yes) await confirm();
    await carryOut(plan, work);
  });
}

/** @param {string} usage */
function readArguments(usage) {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        'dry-run': { type: 'boolean' },
        yes: { type: 'boolean' },
        tz: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
    const { 'dry-run': dryRun = false, yes = false, help = false } = values;
    const zone = readSettings().TZ ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    return { source: positionals[0] && resolve(positionals[0]), tz: values.tz, zone, help, dryRun, yes };
  } catch (cause) {
    throw new SetupError(`${cause instanceof Error ? cause.message : cause}\nUsage: ${usage}`, '', { cause });
  }
}

/** Reads what is there; changes nothing. @param {Plan} plan */
async function plannedWork(plan) {
  const settings = readSettings();
  const home = resolve(settings.PINCH_HOME || root);
  // The first start puts the templates of memory into groups/, which must not find something in their place.
  if (!existsSync(join(home, 'data')))
    throw new SetupError(`Pinch was never started with ${home}: run \`npm start\` once first.`);
  const record = readRecord(home, plan.from);
  const files = planFiles(join(home, 'groups'), plan, new Set(record.files));
  const ask = await connect(home, settings.PINCH_PORT);
  const chats = planChats(plan, ask ? await readChats(ask) : []);
  const tasks = plan.tasks.filter(({ id }) => !(id in record.tasks));
  return { home, record, files, ask, chats, tasks };
}

/** @param {Work} work */
const isNothing = ({ files, chats, tasks }) =>
  files.steps.length === 0 && chats.register.length === 0 && tasks.length === 0;

/** @param {Plan} plan @param {Work} work */
function describe(plan, { files, ask, chats, tasks }) {
  const part = (/** @type {string} */ title, /** @type {string[]} */ lines) => {
    const more = lines.length > MAX_SHOWN ? [`… and ${lines.length - MAX_SHOWN} more`] : [];
    return lines.length === 0
      ? ''
      : `${title}\n${[...lines.slice(0, MAX_SHOWN), ...more].map((one) => `  ${one}\n`).join('')}\n`;
  };
  const beside = files.steps.filter((step) => step.beside);
  return [
    part(
      'Files',
      files.steps.map(({ path, bytes }) => `groups/${path} (${bytes} bytes)`),
    ),
    part(
      'Beside a file that is there and stays as it is: to be read over and merged',
      beside.map(({ path }) => `groups/${path}`),
    ),
    part(
      'Files that speak of what Pinch does not have: to be read over',
      files.foreign.map(({ path, words }) => `groups/${path}: ${words.join(', ')}`),
    ),
    part(
      'Chats',
      chats.register.map(
        ({ chat, folder, title, senders, listed }) =>
          `${chat} “${shown(title)}” → ${folder}${senders === 'listed' ? `, only ${listed.join(', ')} may ask` : ', everybody in it may ask'}`,
      ),
    ),
    part(
      'Tasks',
      tasks.map((task) => `${whenOf(task)} → ${task.chat}: ${shown(task.title ?? task.prompt)}`),
    ),
    part('Left', [...plan.left, ...files.left, ...chats.left]),
    part('To know', plan.notes),
    ask ? '' : 'Pinch is not running: only files can be brought over until it is.\n',
  ].join('');
}

async function confirm() {
  if (!process.stdin.isTTY)
    throw new SetupError('Nothing was changed. Without a terminal to ask at, this needs --yes.');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question('Bring this over? [y/N] ');
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new SetupError('Nothing was changed.');
}

/** Each thing is recorded once it is done: the next run goes on where this one was cut off. @param {Plan} plan @param {Work} work */
async function carryOut(plan, { home, record, files, ask, chats, tasks }) {
  const remember = () => writeRecord(home, plan.from, record);
  record.files.push(...files.same);
  try {
    for (const step of files.steps) {
      writeFile(join(home, 'groups'), step);
      record.files.push(step.key);
    }
  } finally {
    remember();
  }
  say(`Files: ${files.steps.length}.`);
  if (!ask) {
    if (chats.register.length + tasks.length === 0) return;
    throw new SetupError('Chats and tasks need a running Pinch: `npm start` in another terminal, then this again.');
  }
  const failed = [];
  for (const chat of chats.register) {
    const why = await register(ask, chat);
    if (why !== undefined) failed.push(`${chat.chat}: ${why}`);
  }
  say(`Chats: ${chats.register.length - failed.length}.`);
  let added = 0;
  for (const task of tasks) {
    const outcome = await addTask(ask, task);
    if ('why' in outcome) {
      failed.push(`task “${shown(task.title ?? task.prompt)}”: ${outcome.why}`);
      continue;
    }
    record.tasks[task.id] = outcome.id;
    remember();
    added += 1;
  }
  say(`Tasks: ${added}.`);
  for (const line of failed) say(`Not done: ${line}`);
}

/** @param {string} text */
function print(text) {
  process.stdout.write(text);
}
