// The commands of `pinch` that work without the daemon: the service, its logs, the doctor. Here they meet the real machine.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { systemClock } from '../core/clock.js';
import type { Config, Env } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { visible } from '../core/visible.js';
import { connectService } from '../oauth/connect.js';
import { runServices } from '../services/terminal.js';
import { runConfig } from './config-command.js';
import { examine, showFindings } from './doctor.js';
import { logFile, startLog } from './log-file.js';
import { followLogs, readLogs } from './logs.js';
import { runMounts } from './mounts-command.js';
import { installService, type ServiceDeps, serviceState, uninstallService } from './service.js';
import type { Step } from './service-unit.js';

/** The options of these commands, for `parseArgs`. */
export const localOptions = {
  follow: { type: 'boolean' },
  run: { type: 'string' },
  last: { type: 'string' },
  'dry-run': { type: 'boolean' },
  root: { type: 'boolean' },
  yes: { type: 'boolean' },
  group: { type: 'string' },
  rw: { type: 'boolean' },
  encrypt: { type: 'boolean' },
  force: { type: 'boolean' },
  dry: { type: 'boolean' },
  model: { type: 'string' },
  prompt: { type: 'string' },
} as const;

export interface LocalCall {
  config: Config;
  env: Env;
  /** The word after the command. */
  argument: string | undefined;
  /** The words behind it. */
  rest: string[];
  /** Asks the running daemon, as in `GET /api/status`. */
  ask(call: string, body?: object): Promise<unknown>;
  values: { [name in keyof typeof localOptions | 'json']?: string | boolean | undefined };
}

const START_LINES = 40;

export interface LocalCommand {
  usage: string;
  what: string;
  /** Resolves with the exit code. Throws PinchError. */
  run(call: LocalCall): Promise<number>;
}

export const localCommands: LocalCommand[] = [
  {
    usage: 'config',
    what: 'the settings, where each is from (secrets hidden), and what each service adds to the prompt',
    run: async (call) => {
      print(`${visible(await runConfig(call))}\n`);
      return 0;
    },
  },
  {
    usage: 'doctor',
    what: 'looks at everything a run depends on and says what to do (--yes asks the model as well)',
    run: examineAll,
  },
  {
    usage: 'mounts [add|remove]',
    what: 'further folders for containers: add <folder> [name] [--group a,b] [--rw], remove <name>',
    run: async (call) => {
      print(`${await runMounts(call)}\n`);
      return 0;
    },
  },
  {
    usage: 'connect <name>',
    what: 'gives a service with oauth2 access to your account, in a browser',
    run: async ({ ask, argument = '' }) => {
      print(`${await connectService({ ask, say: print, input: process.stdin, clock: systemClock }, argument)}\n`);
      return 0;
    },
  },
  { usage: 'logs', what: 'what the service logged: --follow, --run <id>, --last <lines>', run: showLogs },
  {
    usage: 'service <what>',
    what: 'install, uninstall, status or logs: run from boot on (--dry-run shows what would be done); list, test <name> or restart <name>: what services.json has',
    run: runService,
  },
];

async function runService(call: LocalCall): Promise<number> {
  const { config, argument = 'status', rest, values, ask } = call;
  if (/^(list|test|restart|body)$/.test(argument)) {
    print(`${await runServices(ask, argument, rest[0], values.json === true)}\n`);
    return 0;
  }
  const deps = serviceDeps(call);
  const options = { dryRun: values['dry-run'] === true, root: values.root === true };
  if (argument === 'install') await installService(deps, options);
  else if (argument === 'uninstall') await uninstallService(deps, options);
  else if (argument === 'status') return showState(call, deps);
  else if (argument === 'logs') {
    const file = startLog(config.dataDir);
    const start = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
    for (const line of start.slice(-START_LINES)) print(visible(`${line}\n`));
    return showLogs(call);
  } else
    throw new PinchError('usage', 'say install, uninstall, status, logs, list, test or restart', {
      hint: 'npm run -s pinch -- help',
    });
  return 0;
}

function serviceDeps({ config, env }: Pick<LocalCall, 'config' | 'env'>): ServiceDeps {
  const uid = process.getuid?.() ?? -1;
  // Missing in a shell that `su` opened; `systemctl --user` needs it.
  const shell = { ...env, XDG_RUNTIME_DIR: env.XDG_RUNTIME_DIR || `/run/user/${uid}` };
  return {
    config,
    machine: { platform: process.platform, uid, home: homedir(), env, node: process.execPath },
    clock: systemClock,
    run: ([program, ...args]: Step['argv']) => {
      const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', env: shell });
      return { code: status ?? 127, output: error ? `${program}: ${error.message}` : stdout + stderr };
    },
    say: (line) => print(`${line}\n`),
  };
}

function showState({ values }: LocalCall, deps: ServiceDeps): number {
  const state = serviceState(deps);
  if (values.json) print(`${JSON.stringify(state, null, 2)}\n`);
  else print(`${state.label}: ${state.detail}${state.installed ? `\n${state.file}` : ''}\n`);
  return 0;
}

async function examineAll(call: LocalCall): Promise<number> {
  const { config, ask, values } = call;
  const findings = await examine({
    config,
    ask,
    clock: systemClock,
    service: () => serviceState(serviceDeps(call)),
    mayCall: async (question) => values.yes === true || (values.json !== true && (await confirm(question))),
  });
  print(visible(values.json ? `${JSON.stringify(findings, null, 2)}\n` : showFindings(findings)));
  return findings.some(({ state }) => state === 'failure') ? 1 : 0;
}

/** No, where nobody can answer. */
async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${question} [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

async function showLogs({ config, values: { json, run, last = '200', follow } }: LocalCall): Promise<number> {
  const view = {
    file: logFile(config.dataDir),
    run: run === undefined ? undefined : whole('--run', run),
    last: whole('--last', last),
    json: json === true,
    colorize: process.stdout.isTTY,
  };
  if (follow) await followLogs(view, new AbortController().signal, print);
  else print(readLogs(view));
  return 0;
}

function whole(name: string, value: string | boolean): number {
  if (/^\d{1,9}$/.test(String(value))) return Number(value);
  throw new PinchError('usage', `${name} takes a number`, { hint: 'npm run -s pinch -- help' });
}

const print = (text: string): void => void process.stdout.write(text);
