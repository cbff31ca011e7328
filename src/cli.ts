// `pinch …`: asks the running daemon over its local JSON API and prints what a person (or `--json` a script) reads.
import { once } from 'node:events';
import { accessSync, constants, readdirSync } from 'node:fs';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { approvalTerminal } from './approvals/terminal.js';
import { backupCommands } from './backup/commands.js';
import { budgetTerminal } from './budgets/terminal.js';
import { chatTerminal } from './chats/terminal.js';
import { systemClock as clock } from './core/clock.js';
import { type Config, loadConfig } from './core/config.js';
import { describeError, PinchError } from './core/errors.js';
import { meant, nearest } from './core/nearest.js';
import { MOST_ROWS, originOf, type TerminalCommand } from './core/terminal.js';
import { visible } from './core/visible.js';
import { egressTerminal } from './egress/terminal.js';
import { memoryTerminal } from './memory/terminal.js';
import { nameOf, optionsOf } from './ops/completion.js';
import { helpText } from './ops/help.js';
import { failedStart } from './ops/last-run.js';
import { localCommands, localOptions, serviceNow } from './ops/local-commands.js';
import { opsTerminal } from './ops/terminal.js';
import { readToken } from './page/auth.js';
import { pageTerminal } from './page/terminal.js';
import { recapTerminal } from './recap/terminal.js';
import { replayCommand } from './runs/replay-command.js';
import { runTerminal } from './runs/terminal.js';
import { taskCommand } from './tasks/task-command.js';
import { tasksCommand, taskTerminal } from './tasks/terminal.js';
import { updateCommands } from './update/commands.js';

/** In the order of the help. */
export const commands = [
  ...recapTerminal,
  ...pageTerminal,
  ...runTerminal,
  replayCommand,
  tasksCommand,
  ...taskTerminal,
  taskCommand,
  ...approvalTerminal,
  ...budgetTerminal,
  ...egressTerminal,
  ...memoryTerminal,
  ...chatTerminal,
  ...opsTerminal,
  // These need no running daemon.
  ...localCommands,
  // The store with all tables is loaded for a restore only.
  ...backupCommands({ clock, openStore: async (file) => (await import('./store.js')).openStore(file) }),
  ...updateCommands(serviceNow),
];

/** Runs one command; returns the exit code: 2 for one that was written wrong. Never throws. */
export async function runCli(args: string[]): Promise<number> {
  process.umask(0o077);
  try {
    const { command, argument, rest, values } = readArguments(args);
    if (!command) return print(help(argument));
    checkHome(process.env.PINCH_HOME);
    const config = loadConfig(process.env, join(dirname(fileURLToPath(import.meta.url)), '..'));
    const asked = (call: string, body?: object) => ask(config, call, undefined, body);
    if ('run' in command)
      return await command.run({ config, env: process.env, commands, argument, rest, values, ask: asked });
    const answer = await ask(
      config,
      withLimit(command, argument, values),
      argument,
      command.body?.(argument ?? '', rest[0]),
    );
    if (!command.show || values.json) return print(JSON.stringify(answer, null, 2));
    return print(command.show(answer, config, values.all === true));
  } catch (error) {
    process.stderr.write(`✗ ${visible(describeError(error))}\n`);
    return error instanceof PinchError && error.code === 'usage' ? 2 : 1;
  }
}

/** A home that is closed to us looks like one that was never used. Throws PinchError. */
function checkHome(home: string | undefined): void {
  for (const path of home ? [home, join(home, 'data'), join(home, '.env')] : [])
    try {
      accessSync(path, constants.R_OK);
      if (path === home) readdirSync(path);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : '';
      if (code === 'ENOTDIR') throw new PinchError('usage', `PINCH_HOME is no folder: ${home}`);
      if (code === 'EACCES' || code === 'EPERM')
        throw new PinchError('foreign_home', `${path} belongs to another user of this machine`, {
          hint: 'run this as the user who started Pinch, or set PINCH_HOME to your own',
        });
    }
}

const options = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' }, ...localOptions } as const;

/** The command and what it was given; no command for the help. Throws PinchError `usage`. */
function readArguments(args: string[]) {
  const { values, positionals } = parsed(args);
  const [name, argument, ...rest] = positionals;
  // Alone it is short; `help` has all, and `--help` behind a command that one.
  if (name === undefined) return { argument: values.help ? '' : undefined, rest, values };
  if (values.help || name === 'help') return { argument: name === 'help' ? (argument ?? '') : name, rest, values };
  const command = commands.find((one) => nameOf(one) === name && fits(one, argument)) ?? byName(name);
  const wrong = (what: string, hint = `pinch ${command.usage}`) =>
    new PinchError('usage', `${name}: ${what}`, { hint });
  const [, ...places] = command.usage.match(/\S+/g) ?? [];
  const missing = places.slice(positionals.length - 1).find((place) => place.startsWith('<'));
  if (missing) throw wrong(`${missing} is missing`);
  if (positionals.length - 1 > places.length && !places.at(-1)?.includes('…'))
    throw wrong(`${JSON.stringify(positionals[places.length + 1])} is too much`);
  if (places[0] === '<id>' && !/^\d{1,15}$/.test(argument ?? ''))
    throw wrong(`${JSON.stringify(argument)} is no number`, '`runs`, `tasks` and `approvals` list them');
  const words: readonly string[] | undefined = 'words' in command ? command.words : undefined;
  if (words && argument !== undefined && !words.includes(argument))
    throw wrong(`there is no ${JSON.stringify(argument)}, only ${words.join(', ')}`);
  const allowed = ['json', ...optionsOf(command)];
  const foreign = Object.keys(values).find((option) => !allowed.includes(option));
  if (foreign) throw wrong(`it takes no --${foreign}`);
  return { command, argument, rest, values };
}

/** The call, for a list with how much of it: one row more than is shown tells that there are more. */
function withLimit(
  command: TerminalCommand,
  argument: string | undefined,
  { all, json }: { all?: boolean; json?: boolean },
): string {
  const call = command.call.replace(':state', argument ? `?state=${encodeURIComponent(argument)}` : '');
  if (command.shown === undefined || (json && !all)) return call;
  return `${call}${call.includes('?') ? '&' : '?'}limit=${all ? MOST_ROWS : command.shown + 1}`;
}

/** Two commands may have one name, with and without an argument. */
const fits = ({ usage }: { usage: string }, argument: string | undefined): boolean =>
  usage.includes(' ') === (argument !== undefined);

function byName(name: string) {
  const command = commands.find((one) => nameOf(one) === name);
  if (command) return command;
  const names = commands.map(nameOf);
  const near = meant(name, names)[0] ?? nearest(name, names);
  const question = near ? `; did you mean ${near}?` : '';
  throw new PinchError('usage', `there is no command ${JSON.stringify(name)}${question}`, { hint: 'pinch help' });
}

function parsed(args: string[]) {
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    // What an unknown option could have been instead is of no use here.
    const [what] = describeError(error).split('. ');
    throw new PinchError('usage', what ?? '', { hint: 'pinch help', cause: error });
  }
}

/** Throws PinchError `usage` when there is no such command. */
function help(asked: string | undefined): string {
  return helpText(commands, asked, process.stdout.columns || 100) ?? byName(asked ?? '').usage;
}

function print(text: string): number {
  process.stdout.write(visible(text.endsWith('\n') ? text : `${text}\n`));
  return 0;
}

async function ask(config: Config, call: string, argument: string | undefined, body?: object): Promise<unknown> {
  if (config.port === 0)
    throw new PinchError('no_port', 'PINCH_PORT=0 turns the API off', { hint: 'set PINCH_PORT to use this command' });
  const [method = '', path = ''] = call.replace(':id', encodeURIComponent(argument ?? '')).split(' ');
  const origin = originOf(config);
  const headers = { authorization: `Bearer ${readToken(config)}`, 'content-type': 'application/json' };
  const response = await send(origin + path, { method, headers }, body && JSON.stringify(body)).catch(
    (error: unknown) => {
      const failed = failedStart(config.dataDir);
      throw new PinchError('not_running', `nothing answers at ${origin}`, {
        hint: failed ? `its last start failed: ${failed}` : 'start Pinch with `npm start`',
        cause: error,
      });
    },
  );
  // Our token is that of this home: whoever does not know it is the daemon of another one.
  if (response.status === 401)
    throw new PinchError('other_home', `at ${origin} the Pinch of another home answers, not that of ${config.home}`, {
      hint: 'set PINCH_PORT in the .env of one of the two to another port, and restart it',
    });
  const answer: unknown = JSON.parse(response.text);
  if (response.status < 300) return answer;
  const { error } = z.object({ error: z.object({ message: z.string(), hint: z.string().optional() }) }).parse(answer);
  throw new PinchError('refused', error.message, { hint: error.hint });
}

/** Node's own `fetch` takes as long to load as the whole command may. */
async function send(url: string, options: RequestOptions, body: string | undefined) {
  const sent = request(url, { ...options, agent: false }).end(body);
  const [response]: IncomingMessage[] = await once(sent, 'response');
  return { status: response?.statusCode ?? 0, text: response ? await text(response) : '' };
}
