// `npm run -s pinch -- …`: asks the running daemon over its local JSON API and prints what a person (or `--json` a script) reads.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type Config, loadConfig } from './config.js';
import { describeError, PinchError } from './errors.js';

const USAGE = `Usage: npm run -s pinch -- <command> [--json]

  status              what is running, waiting and connected, and the link to the page
  runs [state]        the latest runs (ready, leased, done, dead, cancelled)
  run <id>            one run with its timeline
  retry <id>          try a dead or cancelled run again
  pair                the codes by which you become the owner on a channel
  stop                emergency stop: end everything, start nothing until resume
  resume              end the emergency stop
  config              the settings in use (secrets hidden)
`;

/** Runs one command; returns the exit code. Never throws. */
export async function runCli(args: string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean' }, help: { type: 'boolean' } },
    });
    const [name = 'help', ...rest] = positionals;
    if (values.help || name === 'help') return print(USAGE);
    const config = loadConfig(process.env, join(dirname(fileURLToPath(import.meta.url)), '..'));
    if (name === 'config') return print(describeConfig(config, values.json ?? false));
    const command = commands[name];
    if (!command) throw new PinchError('usage', `there is no command "${name}"`, { hint: 'npm run -s pinch -- help' });
    const answer = await command.ask(caller(config), rest);
    return print(values.json ? `${JSON.stringify(answer, null, 2)}` : command.show(answer, config));
  } catch (error) {
    process.stderr.write(`✗ ${describeError(error)}\n`);
    return 1;
  }
}

function print(text: string): number {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  return 0;
}

type Call = (method: 'GET' | 'POST', path: string) => Promise<unknown>;

interface Command {
  ask(call: Call, args: string[]): Promise<unknown>;
  show(answer: unknown, config: Config): string;
}

const runRow = z.object({
  id: z.number(),
  state: z.string(),
  kind: z.string(),
  attempt: z.number(),
  createdAt: z.number(),
  error: z.string().nullable(),
});

const commands: Record<string, Command> = {
  status: {
    ask: (call) => call('GET', '/api/status'),
    show: (answer, config) => {
      const { text } = z.object({ text: z.string() }).parse(answer);
      return `${text.replaceAll('**', '')}\n\nPage: http://127.0.0.1:${config.port}/?token=${readToken(config)}`;
    },
  },
  runs: {
    ask: (call, [state]) => call('GET', `/api/runs${state ? `?state=${encodeURIComponent(state)}` : ''}`),
    show: (answer) => {
      const { runs } = z.object({ runs: z.array(runRow) }).parse(answer);
      return runs.map(runLine).join('\n') || 'no runs';
    },
  },
  run: {
    ask: (call, [id]) => call('GET', `/api/runs/${numberArgument(id)}`),
    show: (answer) => {
      const timeline = z.object({ at: z.number(), kind: z.string(), detail: z.record(z.string(), z.unknown()) });
      const { run, events } = z.object({ run: runRow, events: z.array(timeline) }).parse(answer);
      return [
        runLine(run),
        ...events.map((event) => `  ${time(event.at)}  ${event.kind}  ${JSON.stringify(event.detail)}`),
      ].join('\n');
    },
  },
  retry: {
    ask: (call, [id]) => call('POST', `/api/runs/${numberArgument(id)}/retry`),
    show: () => 'The run is ready again.',
  },
  pair: {
    ask: (call) => call('GET', '/api/pairing'),
    show: (answer) => {
      const { pairing } = z
        .object({ pairing: z.array(z.object({ channel: z.string(), code: z.string() })) })
        .parse(answer);
      const lines = pairing.map(
        ({ channel, code }) => `${channel}: send the assistant this direct message:  /pair ${code}`,
      );
      return lines.join('\n') || 'Every channel that is on has its owner.';
    },
  },
  stop: { ask: (call) => call('POST', '/api/stop'), show: () => 'Everything is stopped. `resume` ends that.' },
  resume: { ask: (call) => call('POST', '/api/resume'), show: () => 'Working again.' },
};

function runLine(run: z.infer<typeof runRow>): string {
  return `${String(run.id).padStart(5)}  ${run.state.padEnd(9)}  ${run.kind}  attempt ${run.attempt}  ${time(run.createdAt)}  ${run.error ?? ''}`.trimEnd();
}

function time(at: number): string {
  return new Date(at).toLocaleString('sv-SE');
}

function numberArgument(value: string | undefined): number {
  if (value && /^\d+$/.test(value)) return Number(value);
  throw new PinchError('usage', 'which run? Give its number', { hint: 'npm run -s pinch -- runs' });
}

function readToken(config: Config): string {
  const file = join(config.dataDir, 'dashboard-token');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  throw new PinchError('not_started', `Pinch was never started on ${config.home}`, { hint: 'npm start' });
}

function caller(config: Config): Call {
  if (config.port === 0)
    throw new PinchError('no_port', 'PINCH_PORT=0 turns the API off', { hint: 'set PINCH_PORT to use this command' });
  const token = readToken(config);
  return async (method, path) => {
    const response = await request(`http://127.0.0.1:${config.port}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
    });
    const body: unknown = await response.json();
    if (response.ok) return body;
    const { error } = z.object({ error: z.object({ message: z.string(), hint: z.string().optional() }) }).parse(body);
    throw new PinchError('refused', error.message, error.hint === undefined ? {} : { hint: error.hint });
  };
}

async function request(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    throw new PinchError('not_running', `nothing answers at ${new URL(url).origin}`, {
      hint: 'start Pinch with `npm start`',
      cause: error,
    });
  }
}

function describeConfig(config: Config, json: boolean): string {
  const { env: _env, backend, ...rest } = config;
  const shown = {
    ...rest,
    backend:
      backend.kind === 'demo'
        ? 'demo'
        : { baseUrl: backend.baseUrl, key: backend.apiKey || backend.authToken ? 'set' : 'none' },
  };
  if (json) return JSON.stringify(shown, null, 2);
  return Object.entries(shown)
    .map(([name, value]) => `${name.padEnd(24)} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join('\n');
}
