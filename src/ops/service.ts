// `pinch service install | uninstall | status`: puts the unit in its place and has the machine's service manager run it. Every
// command goes through `run`, every line for the reader through `say`.
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import * as channels from '../channels/index.js';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { describeError, PinchError } from '../core/errors.js';
import { lockHome, prepareHome } from '../sandbox/home.js';
import { linkCommand } from './link.js';
import { startLog } from './log-file.js';
import { nodeNote } from './service-node.js';
import { type Machine, type Step, serviceUnit, type Unit } from './service-unit.js';

export interface ServiceDeps {
  config: Config;
  machine: Machine;
  clock: Pick<Clock, 'sleep'>;
  /** Never throws; `code` is 127 when there is no such program. */
  run(argv: Step['argv']): { code: number; output: string };
  say(line: string): void;
}

export interface ServiceOptions {
  /** Only say what would be written and run. */
  dryRun?: boolean | undefined;
  /** To run as root on purpose. */
  root?: boolean | undefined;
}

export interface ServiceState {
  label: string;
  file: string;
  installed: boolean;
  running: boolean;
  detail: string;
}

/** launchd takes as long to forget the previous one as that takes to end. */
const RETRIES = 25;
const RETRY_MS = 1_000;

/** Writes the unit and starts it; nothing happens when it is there and runs already. Throws PinchError `as_root` or `service_failed`. */
export async function installService(deps: ServiceDeps, options: ServiceOptions = {}): Promise<void> {
  const { config, machine, say } = deps;
  const unit = serviceUnit(config, machine);
  if (!options.dryRun) refuseRoot(machine, options);
  if (machine.uid === 0) say('# This is root: Pinch would have every right on this machine.');
  if (options.dryRun) return say([`# ${unit.file}`, unit.text, ...unit.start.map(commandLine)].join('\n'));
  const { installed, running } = serviceState(deps);
  warnOfSettings(deps);
  if (installed && running && readFileSync(unit.file, 'utf8') === unit.text) {
    return say(`The service ${unit.label} is installed and runs.`);
  }
  prepareHome(config);
  // One that runs in a terminal would keep the service from starting for as long as it runs.
  if (!running) lockHome(config).release();
  // launchd opens the file before we run, and makes no folder for it.
  mkdirSync(dirname(startLog(config.dataDir)), { recursive: true, mode: 0o700 });
  mkdirSync(dirname(unit.file), { recursive: true });
  writeFileSync(unit.file, unit.text);
  // Service managers complain about a unit that not everybody can read; it holds no secret.
  chmodSync(unit.file, 0o644);
  for (const step of unit.start) await perform(deps, step);
  say(`The service ${unit.label} is installed (${unit.file}) and starts now and at every boot.`);
  const note = nodeNote(unit.node);
  if (note) say(note);
  say(linked(deps));
}

/** The service is installed either way. */
function linked(deps: ServiceDeps): string {
  try {
    return linkCommand(deps);
  } catch (error) {
    return `Note: \`pinch\` is not on the PATH: ${describeError(error)}`;
  }
}

/** Stops it and removes the unit. Harmless when there is none; data stay. */
export async function uninstallService(deps: ServiceDeps, { dryRun }: ServiceOptions = {}): Promise<void> {
  const unit = serviceUnit(deps.config, deps.machine);
  if (dryRun) return deps.say([...unit.stop.map(commandLine), `rm ${unit.file}`].join('\n'));
  if (!isInstalled(unit)) return deps.say('No service is installed for this home.');
  for (const step of unit.stop) await perform(deps, step);
  rmSync(unit.file, { force: true });
  for (const step of unit.forget) await perform(deps, step);
  deps.say(`The service ${unit.label} is stopped and removed. Messages, memories and settings are where they were.`);
}

/** What the service manager says. Throws PinchError `no_service_manager`. */
export function serviceState({ config, machine, run }: Pick<ServiceDeps, 'config' | 'machine' | 'run'>): ServiceState {
  const unit = serviceUnit(config, machine);
  const { label, file } = unit;
  if (!isInstalled(unit)) return { label, file, installed: false, running: false, detail: 'not installed' };
  const { code, output } = run(unit.query);
  const value = (name: string) => new RegExp(`^\\s*${name} ?= ?(.+)$`, 'm').exec(output)?.[1];
  const state = value('state') ?? value('ActiveState');
  const details = [
    ['pid', value('pid') ?? value('MainPID')],
    ['restarts', value('runs') ?? value('NRestarts')],
    ['last exit', value('last exit code') ?? value('ExecMainStatus')],
  ].flatMap(([name, found]) => (found ? [`${name} ${found}`] : []));
  const running = code === 0 && (state === 'running' || state === 'active');
  const detail = code === 0 ? [state, ...details].join(', ') : `not loaded: ${output.trim().split('\n')[0]}`;
  return { label, file, installed: true, running, detail };
}

/** What stops and starts it; undefined unless the service manager is to keep it running now, whether it does or tries again. */
export function serviceToPause({ config, machine, run }: Pick<ServiceDeps, 'config' | 'machine' | 'run'>) {
  const unit = serviceUnit(config, machine);
  if (!isInstalled(unit)) return undefined;
  const { code, output } = run(unit.query);
  if (code !== 0 || /^ActiveState=(inactive|failed)$/m.test(output)) return undefined;
  const steps = (list: Step[]) =>
    list.map(({ argv, onFailure }) => ({ argv, retry: onFailure === 'retry', optional: onFailure === 'ignore' }));
  return { label: unit.label, pause: steps(unit.pause), resume: steps(unit.resume) };
}

const isInstalled = ({ file }: Unit): boolean => existsSync(file);
const commandLine = ({ argv }: Step): string => argv.join(' ');

function refuseRoot({ uid }: Machine, { root }: ServiceOptions): void {
  if (uid !== 0 || root) return;
  throw new PinchError('as_root', 'a service of root runs Pinch with every right on this machine', {
    hint: 'install it as the user whose assistant it is (no sudo), or with --root when that is what you want',
  });
}

/** The service does not see the variables of this terminal. Names only: values may be keys. */
function warnOfSettings({ config, machine, say }: ServiceDeps): void {
  const file = join(config.home, '.env');
  const kept = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
  // A channel's variables begin with its name, those of skills too.
  const words = ['ANTHROPIC', 'PINCH', 'ASSISTANT', ...Object.values(channels).map(({ name }) => name.toUpperCase())];
  const ours = new RegExp(`^(${words.join('|')})_|^TZ$`);
  const here = Object.keys(machine.env).filter((name) => ours.test(name) && name !== 'PINCH_HOME' && !kept[name]);
  if (here.length > 0)
    say(`Only in this terminal, so unknown to the service; put them into ${file}: ${here.join(', ')}`);
}

async function perform({ run, clock, say }: ServiceDeps, step: Step): Promise<void> {
  let result = run(step.argv);
  for (let left = RETRIES; result.code !== 0 && step.onFailure === 'retry' && left > 0; left -= 1) {
    await clock.sleep(RETRY_MS);
    result = run(step.argv);
  }
  if (result.code === 0 || step.onFailure === 'ignore') return;
  const why = `\`${commandLine(step)}\` failed: ${result.output.trim() || `exit code ${result.code}`}`;
  if (step.onFailure === 'note') return say(`Note: ${why}`);
  throw new PinchError('service_failed', why, {
    hint: 'do it as the user who is logged in: on macOS at the screen, on Linux not through `su` or `sudo`',
  });
}
