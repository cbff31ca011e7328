// `npm run -s pinch -- …`: asks the running daemon over its local JSON API and prints what a person (or `--json` a script) reads.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type Config, loadConfig } from './core/config.js';
import { describeError, PinchError } from './core/errors.js';
import { oneLine } from './core/one-line.js';
import { qrForTerminal } from './core/qr.js';
import { type Run, runRow } from './core/types.js';
import { visible } from './core/visible.js';
import { localCommands, localOptions } from './ops/local-commands.js';
import { pageLink } from './page/auth.js';

const USAGE = `Usage: npm run -s pinch -- <command> [--json]

  status              what is running, waiting and connected, and the link to the page
  runs [state]        the latest runs (ready, leased, done, dead, cancelled)
  run <id>            one run with its timeline
  retry <id>          try a dead or cancelled run again
  tasks               what is scheduled
  task <id>           one task with its next times and latest slots
  hook <id>           the secret of a hook
  pair                the codes by which you become the owner on a channel, or link it to its account
  stop                emergency stop: end everything, start nothing until resume
  resume              end the emergency stop
  logout              sign every browser out of the page
  config              the settings in use (secrets hidden)
  doctor              looks at everything a run depends on and says what to do (--yes asks the model as well)
  logs                what the service logged: --follow, --run <id>, --last <lines>
  service <what>      install, uninstall, status or logs: run from boot on (--dry-run shows what would be done)
`;

/** Runs one command; returns the exit code. Never throws. */
export async function runCli(args: string[]): Promise<number> {
  process.umask(0o077);
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean' }, help: { type: 'boolean' }, ...localOptions },
    });
    const [name = 'help', argument] = positionals;
    if (values.help || name === 'help') return print(USAGE);
    const config = loadConfig(process.env, join(dirname(fileURLToPath(import.meta.url)), '..'));
    if (name === 'config') return print(describeConfig(config));
    const local = localCommands[name];
    const asked = (call: string) => ask(config, { call }, undefined);
    if (local) return await local({ config, env: process.env, argument, values, ask: asked });
    const command = commands[name];
    if (!command) throw new PinchError('usage', `there is no command "${name}"`, { hint: 'npm run -s pinch -- help' });
    const answer = await ask(config, command, argument);
    return print(
      visible(command.show && !values.json ? command.show(answer, config) : JSON.stringify(answer, null, 2)),
    );
  } catch (error) {
    process.stderr.write(`✗ ${visible(describeError(error))}\n`);
    return 1;
  }
}

function print(text: string): number {
  process.stdout.write(visible(text.endsWith('\n') ? text : `${text}\n`));
  return 0;
}

interface Command {
  /** Method and path; the command's argument replaces `:id` (a number) or `:state`. */
  call: string;
  /** What a person reads; JSON when there is none. */
  show?(answer: unknown, config: Config): string;
}

const pairingAnswer = z.object({
  pairing: z.array(z.object({ channel: z.string(), code: z.string() })),
  linking: z.array(z.object({ channel: z.string(), detail: z.string(), qr: z.string().optional() })),
});

const taskAnswer = z.object({
  id: z.number(),
  title: z.string(),
  state: z.string(),
  starts: z.string(),
  next: z.array(z.string()),
  failures: z.number(),
});

const hookAnswer = z.object({ id: z.number(), secret: z.string().nullable(), signed: z.boolean().default(false) });

/** A command that calls the hook. */
function hookCall({ secret, signed }: z.infer<typeof hookAnswer>, url: string): string {
  if (!signed) return `curl -X POST ${url} -H 'Authorization: Bearer ${secret}' -d 'what happened'`;
  return [
    `body='what happened'; at=$(date +%s)`,
    `signature=$(printf '%s.%s' "$at" "$body" | openssl dgst -sha256 -hmac '${secret}' -r | cut -d' ' -f1)`,
    `curl -X POST ${url} -H "X-Pinch-Timestamp: $at" -H "X-Pinch-Signature: sha256=$signature" --data-raw "$body"`,
  ].join('\n');
}

const commands: Record<string, Command> = {
  status: {
    call: 'GET /api/status',
    show: reading(
      z.object({ text: z.string() }),
      ({ text }, config) => `${text.replaceAll('**', '')}\n\nPage: ${pageLink(originOf(config), readToken(config))}`,
    ),
  },
  runs: {
    call: 'GET /api/runs:state',
    show: reading(z.object({ runs: z.array(runRow) }), ({ runs }) => runs.map(runLine).join('\n') || 'no runs'),
  },
  run: { call: 'GET /api/runs/:id' },
  retry: { call: 'POST /api/runs/:id/retry', show: () => 'The run is ready again.' },
  tasks: {
    call: 'GET /api/tasks',
    show: reading(
      z.object({ tasks: z.array(taskAnswer) }),
      ({ tasks }) => tasks.map(taskText).join('\n') || 'no tasks',
    ),
  },
  task: { call: 'GET /api/tasks/:id' },
  hook: {
    call: 'GET /api/tasks/:id/secret',
    show: reading(hookAnswer, (hook, config) =>
      hook.secret === null ? `Task ${hook.id} has no hook.` : hookCall(hook, `${originOf(config)}/hooks/${hook.id}`),
    ),
  },
  pair: {
    call: 'POST /api/pairing',
    show: reading(pairingAnswer, ({ pairing, linking }) => {
      const links = linking.map(
        ({ channel, detail, qr }) => `${qr ? `${qrForTerminal(qr)}\n` : ''}${channel}: ${detail}`,
      );
      const owners = pairing.map(
        ({ channel, code }) => `${channel}: send the assistant this direct message:  /pair ${code}`,
      );
      return [...links, ...owners].join('\n') || 'Every channel that is on is linked and has its owner.';
    }),
  },
  logout: {
    call: 'DELETE /api/sessions',
    show: () => 'Every browser is signed out; the link of `status` signs in again.',
  },
  stop: { call: 'POST /api/stop', show: () => 'Everything is stopped. `resume` ends that.' },
  resume: { call: 'POST /api/resume', show: () => 'Working again.' },
};

function reading<T>(schema: z.ZodType<T>, show: (answer: T, config: Config) => string) {
  return (answer: unknown, config: Config): string => show(schema.parse(answer), config);
}

function runLine(run: Run): string {
  const time = new Date(run.createdAt).toLocaleString('sv-SE');
  return `${String(run.id).padStart(5)}  ${run.state.padEnd(9)}  ${run.kind}  attempt ${run.attempt}  ${time}  ${oneLine(run.error ?? '', 200)}`.trimEnd();
}

function taskText({ id, title, state, starts, next, failures }: z.infer<typeof taskAnswer>): string {
  const failed = failures > 0 ? `, failed ${failures} times in a row` : '';
  return `${String(id).padStart(5)}  ${state.padEnd(7)}  ${oneLine(title, 80)}: ${starts.replaceAll('`', '')}${failed}${next[0] ? `, next ${next[0]}` : ''}`;
}

function numberArgument(value = ''): string {
  if (/^\d+$/.test(value)) return value;
  throw new PinchError('usage', 'which one? Give its number', { hint: '`runs` and `tasks` list them' });
}

const originOf = ({ port }: Pick<Config, 'port'>): string => `http://127.0.0.1:${port}`;

function readToken(config: Config): string {
  const file = join(config.dataDir, 'dashboard-token');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  throw new PinchError('not_started', `Pinch was never started on ${config.home}`, { hint: 'npm start' });
}

async function ask(config: Config, { call }: Command, argument: string | undefined): Promise<unknown> {
  if (config.port === 0)
    throw new PinchError('no_port', 'PINCH_PORT=0 turns the API off', { hint: 'set PINCH_PORT to use this command' });
  const [method = '', path = ''] = call
    .replace(':id', () => numberArgument(argument))
    .replace(':state', argument ? `?state=${encodeURIComponent(argument)}` : '')
    .split(' ');
  const origin = originOf(config);
  const headers = { authorization: `Bearer ${readToken(config)}` };
  const response = await fetch(origin + path, { method, headers }).catch((error: unknown) => {
    throw new PinchError('not_running', `nothing answers at ${origin}`, {
      hint: 'start Pinch with `npm start`',
      cause: error,
    });
  });
  const body: unknown = await response.json();
  if (response.ok) return body;
  const { error } = z.object({ error: z.object({ message: z.string(), hint: z.string().optional() }) }).parse(body);
  throw new PinchError('refused', error.message, { hint: error.hint });
}

function describeConfig(config: Config): string {
  const { env: _env, backend, ...rest } = config;
  if (backend.kind === 'demo') return JSON.stringify({ ...rest, backend: 'demo' }, null, 2);
  const key = backend.apiKey || backend.authToken ? 'set' : 'none';
  return JSON.stringify({ ...rest, backend: { baseUrl: backend.baseUrl, key } }, null, 2);
}
