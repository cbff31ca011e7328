// `npm run -s pinch -- …`: asks the running daemon over its local JSON API and prints what a person (or `--json` a script) reads.
import { dirname, join } from 'node:path';
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
import { originOf } from './core/terminal.js';
import { visible } from './core/visible.js';
import { egressTerminal } from './egress/terminal.js';
import { failedStart } from './ops/last-run.js';
import { localCommands, localOptions } from './ops/local-commands.js';
import { opsTerminal } from './ops/terminal.js';
import { readToken } from './page/auth.js';
import { pageTerminal } from './page/terminal.js';
import { replayCommand } from './runs/replay-command.js';
import { runTerminal } from './runs/terminal.js';
import { taskTerminal } from './tasks/terminal.js';

/** In the order of the help. */
export const commands = [
  ...pageTerminal,
  ...runTerminal,
  replayCommand,
  ...taskTerminal,
  ...approvalTerminal,
  ...budgetTerminal,
  ...egressTerminal,
  ...chatTerminal,
  ...opsTerminal,
  // These need no running daemon.
  ...localCommands,
  // The store with all tables is loaded for a restore only.
  ...backupCommands({ clock, openStore: async (file) => (await import('./store.js')).openStore(file) }),
];

/** Runs one command; returns the exit code. Never throws. */
export async function runCli(args: string[]): Promise<number> {
  process.umask(0o077);
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean' }, help: { type: 'boolean' }, ...localOptions },
    });
    const [name = 'help', argument, ...rest] = positionals;
    if (values.help || name === 'help') return print(usageText());
    const command = commands.find(({ usage }) => usage.split(' ')[0] === name);
    if (!command) throw new PinchError('usage', `there is no command "${name}"`, { hint: 'npm run -s pinch -- help' });
    const config = loadConfig(process.env, join(dirname(fileURLToPath(import.meta.url)), '..'));
    const asked = (call: string, body?: object) => ask(config, call, undefined, body);
    if ('run' in command) return await command.run({ config, env: process.env, argument, rest, values, ask: asked });
    const answer = await ask(config, command.call, argument, command.body?.(argument ?? '', rest[0]));
    return print(command.show && !values.json ? command.show(answer, config) : JSON.stringify(answer, null, 2));
  } catch (error) {
    process.stderr.write(`✗ ${visible(describeError(error))}\n`);
    return 1;
  }
}

function usageText(): string {
  const lines = commands.map(({ usage, what }) => `  ${usage.padEnd(18)}  ${what}\n`);
  return `Usage: npm run -s pinch -- <command> [--json]\n\n${lines.join('')}`;
}

function print(text: string): number {
  process.stdout.write(visible(text.endsWith('\n') ? text : `${text}\n`));
  return 0;
}

function numberArgument(value = ''): string {
  if (/^\d+$/.test(value)) return value;
  throw new PinchError('usage', 'which one? Give its number', { hint: '`runs` and `tasks` list them' });
}

async function ask(config: Config, call: string, argument: string | undefined, body?: object): Promise<unknown> {
  if (config.port === 0)
    throw new PinchError('no_port', 'PINCH_PORT=0 turns the API off', { hint: 'set PINCH_PORT to use this command' });
  const [method = '', path = ''] = call
    .replace(':id', () => numberArgument(argument))
    .replace(':state', argument ? `?state=${encodeURIComponent(argument)}` : '')
    .split(' ');
  const origin = originOf(config);
  const headers = { authorization: `Bearer ${readToken(config)}`, 'content-type': 'application/json' };
  const response = await fetch(origin + path, { method, headers, ...(body && { body: JSON.stringify(body) }) }).catch(
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
  const answer: unknown = await response.json();
  if (response.ok) return answer;
  const { error } = z.object({ error: z.object({ message: z.string(), hint: z.string().optional() }) }).parse(answer);
  throw new PinchError('refused', error.message, { hint: error.hint });
}
