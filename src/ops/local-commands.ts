// The commands of `pinch` that work without the daemon: the service, its logs, the doctor. Here they meet the real machine.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { systemClock } from '../core/clock.js';
import type { Config, Env } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { visible } from '../core/visible.js';
import { type Completed, completionScript, shells } from './completion.js';
import type { NamedFinding } from './doctor.js';
import { logFile, startLog } from './log-file.js';
import type { ServiceDeps, ServiceState } from './service.js';
import type { Machine, Step } from './service-unit.js';

/** The options of these commands, for `parseArgs`. */
export const localOptions = {
  all: { type: 'boolean' },
  follow: { type: 'boolean' },
  run: { type: 'string' },
  last: { type: 'string' },
  'dry-run': { type: 'boolean' },
  root: { type: 'boolean' },
  yes: { type: 'boolean' },
  group: { type: 'string' },
  chat: { type: 'string' },
  rw: { type: 'boolean' },
  encrypt: { type: 'boolean' },
  force: { type: 'boolean' },
  check: { type: 'boolean' },
  full: { type: 'boolean' },
  dry: { type: 'boolean' },
  model: { type: 'string' },
  prompt: { type: 'string' },
} as const;

export interface LocalCall {
  config: Config;
  env: Env;
  /** All that there are. */
  commands: readonly Completed[];
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
  isEveryday?: true;
  words?: readonly string[];
  /** Those of `localOptions` that it takes. */
  options?: readonly (keyof typeof localOptions)[];
  /** Resolves with the exit code. Throws PinchError. What only this command needs is imported here: the others answer sooner. */
  run(call: LocalCall): Promise<number>;
}

const services = ['install', 'uninstall', 'status', 'logs', 'list', 'test', 'restart', 'body'];

export const localCommands: LocalCommand[] = [
  {
    usage: 'config',
    what: 'the settings, where each is from (secrets hidden), and what each service adds to the prompt',
    run: async (call) => say(visible(await (await import('./config-command.js')).runConfig(call))),
  },
  {
    usage: 'doctor',
    what: 'looks at everything a run depends on and says what to do (--yes asks the model as well, --full reads all of a large database)',
    isEveryday: true,
    options: ['yes', 'full'],
    run: examineAll,
  },
  {
    usage: 'mounts [what] [folder] [name]',
    what: 'further folders for containers: add <folder> [name] [--group a,b] [--rw], remove <name>',
    words: ['list', 'add', 'remove'],
    options: ['group', 'rw'],
    run: async (call) => say(await (await import('./mounts-command.js')).runMounts(call)),
  },
  {
    usage: 'connect <name>',
    what: 'gives a service with oauth2 access to your account, in a browser',
    run: async ({ ask, argument = '' }) => {
      const { connectService } = await import('../oauth/connect.js');
      return say(await connectService({ ask, say: print, input: process.stdin, clock: systemClock }, argument));
    },
  },
  {
    usage: 'logs',
    what: 'what Pinch logged: --follow, --run <id>, --last <lines>',
    isEveryday: true,
    options: ['follow', 'run', 'last'],
    run: showLogs,
  },
  {
    usage: 'service [what] [name]',
    what: 'install, uninstall, status or logs: run from boot on (--dry-run shows what would be done); list, test <name> or restart <name>: what services.json has',
    words: services,
    options: ['dry-run', 'root', 'follow', 'run', 'last'],
    run: runService,
  },
  {
    usage: 'link',
    what: 'puts `pinch` on the PATH; `unlink` takes it away',
    run: async ({ config, env }) => say((await import('./link.js')).linkCommand({ config, machine: machineOf(env) })),
  },
  {
    usage: 'unlink',
    what: 'takes `pinch` from the PATH',
    run: async ({ config, env }) => say((await import('./link.js')).unlinkCommand({ config, machine: machineOf(env) })),
  },
  {
    usage: 'completion <shell>',
    what: 'what bash, zsh or fish offers after `pinch`; its first line says where it belongs',
    words: shells,
    run: async ({ commands, argument = '' }) => say(completionScript(argument, commands)),
  },
];

/** The service of this home, when it is to run now; none on a machine without a service manager. */
export async function serviceNow(call: Pick<LocalCall, 'config' | 'env'>) {
  if (!/^(darwin|linux)$/.test(process.platform)) return undefined;
  return (await import('./service.js')).serviceToPause(serviceDeps(call));
}

async function runService(call: LocalCall): Promise<number> {
  const { config, argument = 'status', rest, values, ask } = call;
  if (/^(list|test|restart|body)$/.test(argument)) {
    const { runServices } = await import('../services/terminal.js');
    return say(await runServices(ask, argument, rest[0], values.json === true));
  }
  const { installService, serviceState, uninstallService } = await import('./service.js');
  const deps = serviceDeps(call);
  const options = { dryRun: values['dry-run'] === true, root: values.root === true };
  if (argument === 'install') await installService(deps, options);
  else if (argument === 'uninstall') await uninstallService(deps, options);
  else if (argument === 'status') return showState(call, serviceState(deps));
  else {
    const file = startLog(config.dataDir);
    const start = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
    for (const line of start.slice(-START_LINES)) print(visible(`${line}\n`));
    return showLogs(call);
  }
  return 0;
}

const machineOf = (env: Env): Machine => ({
  platform: process.platform,
  uid: process.getuid?.() ?? -1,
  home: homedir(),
  env,
  node: process.execPath,
});

function serviceDeps({ config, env }: Pick<LocalCall, 'config' | 'env'>): ServiceDeps {
  const machine = machineOf(env);
  // Missing in a shell that `su` opened; `systemctl --user` needs it.
  const shell = { ...env, XDG_RUNTIME_DIR: env.XDG_RUNTIME_DIR || `/run/user/${machine.uid}` };
  return {
    config,
    machine,
    clock: systemClock,
    run: ([program, ...args]: Step['argv']) => {
      const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', env: shell });
      return { code: status ?? 127, output: error ? `${program}: ${error.message}` : stdout + stderr };
    },
    say: (line) => print(`${line}\n`),
  };
}

function showState({ values }: LocalCall, state: ServiceState): number {
  if (values.json) print(`${JSON.stringify(state, null, 2)}\n`);
  else print(`${state.label}: ${state.detail}${state.installed ? `\n${state.file}` : ''}\n`);
  return 0;
}

async function examineAll(call: LocalCall): Promise<number> {
  const { config, ask, values } = call;
  const [{ examine, showFindings }, { serviceState }] = await Promise.all([
    import('./doctor.js'),
    import('./service.js'),
  ]);
  // What it looks at now stands below what it has found, until that is there.
  const now = (text: string) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`);
  const watcher = {
    begins: (check: string) => now(`… ${check}`),
    found(some: NamedFinding[]) {
      now('');
      print(visible(showFindings(some)));
    },
  };
  const deps = {
    config,
    ask,
    clock: systemClock,
    service: () => serviceState(serviceDeps(call)),
    isFull: values.full === true,
    mayCall: async (question: string) => values.yes === true || (values.json !== true && (await confirm(question))),
  };
  const findings = await examine(deps, values.json ? undefined : watcher);
  if (values.json) print(visible(`${JSON.stringify(findings, null, 2)}\n`));
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
  const { followLogs, readLogs } = await import('./logs.js');
  // Times as everywhere else: in the zone of the settings, whatever this terminal's is.
  process.env.TZ = config.timeZone;
  const view = {
    file: logFile(config.dataDir),
    run: run === undefined ? undefined : whole('--run', run),
    last: whole('--last', last),
    json: json === true,
    colorize: process.stdout.isTTY,
  };
  if (follow) await followLogs(view, new AbortController().signal, print);
  else print(await readLogs(view));
  return 0;
}

function whole(name: string, value: string | boolean): number {
  if (/^\d{1,9}$/.test(String(value))) return Number(value);
  throw new PinchError('usage', `${name} takes a number`);
}

/** Prints it as lines of their own; the exit code of a command that did what it should. */
function say(text: string): number {
  print(text.endsWith('\n') ? text : `${text}\n`);
  return 0;
}

const print = (text: string): void => void process.stdout.write(text);
