// Runs each agent runner in a small virtual machine of its own, by Apple's `container` command (1.0 or newer), without network; the
// command's stdin and stdout are the link. Whatever is known here of its options is tested against test/sandbox/fake-container.mjs.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { atMost, type Clock } from '../core/clock.js';
import { describeError, PinchError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { within } from './engine.js';
import { containerUser, homeId } from './home.js';
import { openInstance } from './instance.js';
import { logRunnerLines } from './runner-log.js';
import { agentImage, type RuntimeDefinition } from './runtime.js';
import type { Mount, Sandbox, SandboxExit, SandboxInstance, SandboxSpec } from './sandbox.js';

export interface AppleSandboxDeps {
  /** The command, or where it lies. */
  program: string;
  /** Image tag of the agent. */
  image: string;
  /** By which containers of this home are known. */
  homeId: string;
  user: { uid: number; gid: number };
  clock: Clock;
  log: Logger;
}

export const appleRuntime: RuntimeDefinition = {
  name: 'apple',
  create: (config, deps) =>
    createAppleSandbox({
      program: 'container',
      image: agentImage(config),
      homeId: homeId(config.home),
      user: containerUser(),
      ...deps,
    }),
};

const CALL_TIMEOUT_MS = 30_000;
const PING_TIMEOUT_MS = 5_000;
/** How long an end waits for the container to be removed; a sick service must not hold up our own end. */
const REMOVE_WAIT_MS = 10_000;
const KILLED = 137;
const MAX_WORDS_CHARS = 300;

/** `held`: names of the containers this process starts or has; they are not left over. */
type Host = AppleSandboxDeps & { held: Set<string> };
const run = promisify(execFile);

export function createAppleSandbox(deps: AppleSandboxDeps): Sandbox {
  const host: Host = { ...deps, held: new Set() };
  return {
    start: (spec, onConnection) => startContainer(host, spec, onConnection),
    ping: async () => void (await containers(host, PING_TIMEOUT_MS)),
    async reap() {
      const left = (await containers(host)).filter((name) => !host.held.has(name));
      // One that will not go must not make the whole service count as down.
      const gone = await Promise.allSettled(left.map((name) => remove(host, name)));
      return gone.filter(({ status }) => status === 'fulfilled').length;
    },
  };
}

const prefixOf = ({ homeId }: Pick<AppleSandboxDeps, 'homeId'>) => `pinch-${homeId.slice(0, 8)}-`;

/** Every line but the names is a wall: see docs/security.md for what each one stops. The walls it has no option for are in the skill's manual. */
export function runArguments(
  deps: Pick<AppleSandboxDeps, 'image' | 'homeId' | 'user'>,
  spec: SandboxSpec,
): { name: string; args: string[] } {
  const name = `${prefixOf(deps)}${spec.folder}-${randomBytes(4).toString('hex')}`;
  const options = [
    ['--name', name],
    ['--label', `pinch.home=${deps.homeId}`],
    ['--label', `pinch.group=${spec.folder}`],
    ['--interactive'],
    ['--rm'],
    ['--progress', 'none'],
    ['--network', 'none'],
    ['--read-only'],
    ['--cap-drop', 'ALL'],
    ['--user', `${deps.user.uid}:${deps.user.gid}`],
    ['--cpus', '1'],
    ['--memory', '1024M'],
    ['--shm-size', '16M'],
    ['--ulimit', 'nproc=256:256'],
    ['--ulimit', 'nofile=16384:16384'],
    ['--ulimit', 'core=0:0'],
    ['--mount', 'type=tmpfs,target=/tmp,size=256M,mode=1777'],
    ['--init'],
    ['--workdir', '/workspace'],
    ['--env', 'HOME=/tmp'],
    ['--env', 'LANG=C.UTF-8'],
    ...spec.mounts.map((mount) => ['--mount', bindMount(mount)]),
  ];
  return { name, args: ['run', ...options.flat(), deps.image] };
}

/** Throws PinchError `container_start_failed` for a path that would be read as further options. */
function bindMount({ source, target, readOnly }: Mount): string {
  if (!/[,\n]/.test(source + target))
    return `type=bind,source=${source},target=${target}${readOnly ? ',readonly' : ''}`;
  throw new PinchError('container_start_failed', `the folder ${source} cannot be mounted: its path has a comma`, {
    hint: 'move it, or PINCH_HOME, to a path without one',
  });
}

async function startContainer(
  host: Host,
  spec: SandboxSpec,
  onConnection: Parameters<Sandbox['start']>[1],
): Promise<SandboxInstance> {
  const { program, clock, held, log } = host;
  const { name, args } = runArguments(host, spec);
  held.add(name);
  // A group of its own: Ctrl-C in our terminal is for us to handle. No environment of ours, so none can be passed on.
  const child = spawn(program, args, { env: bareEnv(), detached: true });
  const { stdin, stdout, stderr } = child;
  const said = lastWords(stderr);
  logRunnerLines(stderr, log.child({ group: spec.folder }));
  const exit = new Promise<SandboxExit>((resolve) => {
    child.once('error', ({ message: reason }) => resolve({ reason, exitCode: undefined, outOfMemory: false }));
    // Without a code it was the command that was killed, and not the container.
    child.once('exit', (code) => resolve(describeExit(code ?? undefined)));
  });
  const kill = async () => {
    const removed = remove(host, name).catch((error: unknown) => {
      log.warn({ error: describeError(error) }, 'container could not be removed; the next start does it');
    });
    await atMost(clock, REMOVE_WAIT_MS, removed);
    child.kill('SIGKILL');
  };
  try {
    const instance = await openInstance({ id: name, stdin, stdout, clock, onConnection, exit, kill });
    void instance.closed.then(() => held.delete(name));
    return instance;
  } catch (cause) {
    const words = said() || describeError(cause);
    await kill();
    held.delete(name);
    // When the service itself is down, that is the error.
    await containers(host, PING_TIMEOUT_MS);
    throw startError(spec, words, cause);
  }
}

function describeExit(exitCode: number | undefined): SandboxExit {
  const outOfMemory = exitCode === KILLED;
  const why = outOfMemory ? ': out of memory, or killed from outside' : '';
  return {
    reason: exitCode === undefined ? 'the command was killed' : `exit code ${exitCode}${why}`,
    exitCode,
    outOfMemory,
  };
}

/** The command's own error, which comes before the runner can say anything; one line, and not a long one. */
function lastWords(stderr: Readable): () => string {
  let text = '';
  stderr.on('data', (chunk: Buffer) => {
    if (text.length < MAX_WORDS_CHARS) text += chunk.toString();
  });
  return () => (/^Error: *(.+)/m.exec(text)?.[1] ?? '').slice(0, MAX_WORDS_CHARS);
}

function startError({ folder, mounts }: SandboxSpec, what: string, cause: unknown): PinchError {
  const gone = mounts.find(({ source }) => !existsSync(source));
  const message = gone ? `the folder ${gone.source} is missing` : what;
  const hint = gone
    ? `create it, or take the mount ${gone.target} away`
    : '`npm start` builds the image; PINCH_LOG_LEVEL=debug shows what the command printed';
  return new PinchError('container_start_failed', `container for group ${folder}: ${message}`, { hint, cause });
}

/** Names of this home's containers, also of those that have stopped. Throws PinchError `sandbox_unavailable`. */
async function containers(host: Host, ms = CALL_TIMEOUT_MS): Promise<string[]> {
  try {
    const names = (await call(host, ['list', '--all', '--quiet'], ms)).split('\n').map((name) => name.trim());
    return names.filter((name) => name.startsWith(prefixOf(host)));
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw new PinchError('sandbox_unavailable', `Apple's container service does not answer: ${describeError(cause)}`, {
      hint: missing ? 'install it from https://github.com/apple/container/releases' : 'run `container system start`',
      cause,
    });
  }
}

/** Resolves when it is gone. Harmless when it is gone already. */
async function remove(host: Host, name: string): Promise<void> {
  try {
    await call(host, ['delete', '--force', name], CALL_TIMEOUT_MS);
  } catch (error) {
    if ((await containers(host)).includes(name)) throw error;
  }
}

async function call({ program, clock }: Host, args: string[], ms: number): Promise<string> {
  const { stdout } = await within(clock, ms, (signal) => run(program, args, { env: bareEnv(), signal }));
  return stdout;
}

function bareEnv(): NodeJS.ProcessEnv {
  const { PATH = '', HOME = '' } = process.env;
  return { PATH, HOME };
}
