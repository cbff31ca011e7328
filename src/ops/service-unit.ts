// What the operating system is given so that Pinch runs from boot on: a launchd agent (macOS) or a systemd user unit (Linux), where
// it lies, and the commands that start and stop it. Runs none of them.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config, Env } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { startLog } from './log-file.js';
import { stableNode } from './service-node.js';

/** The machine, as far as a service sees it. */
export interface Machine {
  platform: NodeJS.Platform;
  uid: number;
  /** The user's home folder. */
  home: string;
  env: Env;
  /** The running Node's own path. */
  node: string;
}

/** A command, and what its failure means; without `onFailure` the whole undertaking fails. */
export interface Step {
  argv: [program: string, ...args: string[]];
  /** `retry`: launchd still ends the previous one; `note`: works without, but somebody should know. */
  onFailure?: 'ignore' | 'note' | 'retry';
}

export interface Unit {
  label: string;
  /** Where it lies. */
  file: string;
  text: string;
  /** The path of Node in it. */
  node: string;
  start: Step[];
  /** Before and after the file is removed. */
  stop: Step[];
  forget: Step[];
  query: Step['argv'];
  /** Stops it until it is started again, or the machine is. */
  pause: Step[];
  resume: Step[];
}

/** The unit of this home. The first home on a machine has the plain name, each other one its hash. Throws PinchError `no_service_manager`. */
export function serviceUnit(config: Config, machine: Machine): Unit {
  const kind = kinds[machine.platform];
  if (!kind) {
    throw new PinchError('no_service_manager', `services are for macOS and Linux, this is ${machine.platform}`, {
      hint: 'keep `npm start` running by other means',
    });
  }
  const folder = kind.folder(machine);
  const node = stableNode(machine.node, machine.home);
  const command = [node, '--max-semi-space-size=1', join(config.repository, 'scripts/start.mjs')];
  const environment = Object.entries(serviceEnvironment(config, machine)).map(kind.variable);
  const ours = kind.variable(['PINCH_HOME', config.home]);
  const label = chooseLabel(kind.name, config.home, (name) => {
    const file = join(folder, name + kind.ending);
    return existsSync(file) ? readFileSync(file, 'utf8').includes(ours) : undefined;
  });
  const file = join(folder, label + kind.ending);
  const fill: Record<string, string> = {
    LABEL: label,
    COMMAND: kind.command(command.map(oneLine)),
    ENVIRONMENT: environment.join('\n'),
    REPOSITORY: kind.escape(oneLine(config.repository)),
    START_LOG: kind.escape(oneLine(startLog(config.dataDir))),
  };
  const template = readFileSync(join(config.repository, 'launchd', kind.template), 'utf8');
  const text = template.replace(/@([A-Z_]+)@/g, (mark, name: string) => fill[name] ?? mark);
  return { label, file, text, node, ...kind.steps(label, file, machine) };
}

interface Kind {
  template: string;
  name: string;
  ending: string;
  folder(machine: Machine): string;
  escape(value: string): string;
  command(words: string[]): string;
  variable(entry: [name: string, value: string]): string;
  steps(
    label: string,
    file: string,
    machine: Machine,
  ): Pick<Unit, 'start' | 'stop' | 'forget' | 'query' | 'pause' | 'resume'>;
}

const launchd: Kind = {
  template: 'pinch.plist',
  name: 'local.pinch',
  ending: '.plist',
  folder: ({ home }) => join(home, 'Library/LaunchAgents'),
  escape: (value) => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
  command: (words) => words.map((word) => `\t\t<string>${launchd.escape(word)}</string>`).join('\n'),
  variable: ([name, value]) => `\t\t<key>${name}</key>\n\t\t<string>${launchd.escape(oneLine(value))}</string>`,
  steps(label, file, { uid }) {
    const domain = `gui/${uid}`;
    const bootout: Step = { argv: ['launchctl', 'bootout', `${domain}/${label}`], onFailure: 'ignore' };
    const bootstrap: Step = { argv: ['launchctl', 'bootstrap', domain, file], onFailure: 'retry' };
    return {
      start: [bootout, { argv: ['launchctl', 'enable', `${domain}/${label}`] }, bootstrap],
      stop: [bootout],
      forget: [],
      query: ['launchctl', 'print', `${domain}/${label}`],
      pause: [bootout],
      resume: [bootstrap],
    };
  },
};

const systemd: Kind = {
  template: 'pinch.service',
  name: 'pinch',
  ending: '.service',
  folder: ({ env, home }) => join(env.XDG_CONFIG_HOME || join(home, '.config'), 'systemd/user'),
  escape: (value) => value.replaceAll('%', '%%'),
  // Of the two, only a command has its variables filled in.
  command: (words) => words.map((word) => quoted(word).replaceAll('$', '$$$$')).join(' '),
  variable: ([name, value]) => `Environment=${quoted(`${name}=${oneLine(value)}`)}`,
  steps(label) {
    const control = (...args: string[]): Step['argv'] => ['systemctl', '--user', ...args];
    const unit = `${label}.service`;
    return {
      start: [
        // Without it the service ends when the user logs out, and starts at log-in instead of at boot.
        { argv: ['loginctl', 'enable-linger'], onFailure: 'note' },
        { argv: control('daemon-reload') },
        { argv: control('enable', unit) },
        { argv: control('restart', unit) },
      ],
      stop: [{ argv: control('disable', '--now', unit), onFailure: 'ignore' }],
      forget: [{ argv: control('daemon-reload'), onFailure: 'ignore' }],
      query: control('show', unit, '--property=ActiveState,SubState,MainPID,NRestarts,ExecMainStatus'),
      pause: [{ argv: control('stop', unit) }],
      resume: [{ argv: control('start', unit) }],
    };
  },
};

const quoted = (word: string): string => `"${systemd.escape(word).replace(/["\\]/g, '\\$&')}"`;

const kinds: { [platform in NodeJS.Platform]?: Kind } = { darwin: launchd, linux: systemd };

/** A service starts with next to no environment: where programs are, and what set-up cannot find by itself. Never a key. */
function serviceEnvironment(config: Config, { home, env, node }: Machine): Record<string, string> {
  const programs = ['/opt/homebrew/bin', '/usr/local/bin', join(home, '.orbstack/bin'), join(home, '.docker/bin')];
  const path = [dirname(stableNode(node, home)), ...programs, '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  return {
    PINCH_SERVICE: '1',
    PINCH_HOME: config.home,
    PATH: [...new Set(path)].join(':'),
    ...(env.DOCKER_HOST && { DOCKER_HOST: env.DOCKER_HOST }),
  };
}

function chooseLabel(name: string, home: string, isOurs: (label: string) => boolean | undefined): string {
  const own = `${name}-${createHash('sha256').update(home).digest('hex').slice(0, 8)}`;
  return isOurs(own) === undefined && isOurs(name) !== false ? name : own;
}

function oneLine(value: string): string {
  if (!/\p{Cc}/u.test(value)) return value;
  throw new PinchError('service_path', `a service cannot have the path ${JSON.stringify(value)}`, {
    hint: 'move it to a folder without control characters in its name',
  });
}
