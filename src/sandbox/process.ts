// Runs the agent runner as a plain child process, WITHOUT a sandbox: for development on a machine without Docker.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { BaseDeps } from '../core/deps.js';
import { describeError, PinchError } from '../core/errors.js';
import { openInstance } from './instance.js';
import { logRunnerLines } from './runner-log.js';
import type { RuntimeDefinition } from './runtime.js';
import type { Sandbox, SandboxExit, SandboxSpec } from './sandbox.js';

export interface ProcessSandboxDeps extends BaseDeps {
  /** Path of the bundled runner. */
  bundle: string;
}

export const processRuntime: RuntimeDefinition = {
  name: 'process',
  create(config, deps) {
    deps.log.warn('agents run WITHOUT a sandbox (PINCH_RUNTIME=process)');
    return createProcessSandbox({ bundle: join(config.repository, 'dist', 'runner.cjs'), ...deps });
  },
};

export function createProcessSandbox(deps: ProcessSandboxDeps): Sandbox {
  return {
    start: (...request) => startProcess(deps, ...request),
    ping: async () => undefined,
    // A runner ends with the stdin of the process that started it: nothing can be left.
    reap: async () => 0,
  };
}

async function startProcess(
  deps: ProcessSandboxDeps,
  ...[spec, onConnection, cancelled]: Parameters<Sandbox['start']>
) {
  if (spec.box)
    throw new PinchError('no_container', `the server ${spec.folder} needs a container`, {
      hint: 'PINCH_RUNTIME=process has none: use docker',
    });
  const child = spawn(process.execPath, [deps.bundle], {
    cwd: spec.mounts.find((mount) => mount.target === '/workspace')?.source,
    env: runnerEnv(spec),
    detached: true,
  });
  logRunnerLines(child.stderr, deps.log.child({ group: spec.folder }));
  const exit = new Promise<SandboxExit>((resolve) => {
    child.once('error', (error) => resolve({ reason: error.message, exitCode: undefined, outOfMemory: false }));
    child.once('exit', (code, signal) => {
      // What it started in the background must not outlive it.
      killGroup(child.pid);
      resolve({ reason: `exit ${code ?? signal}`, exitCode: code ?? undefined, outOfMemory: false });
    });
  });
  const kill = () => {
    killGroup(child.pid);
    return exit;
  };
  const { stdin, stdout } = child;
  cancelled?.addEventListener('abort', () => void kill());
  try {
    const id = `process-${child.pid}`;
    return await openInstance({ id, stdin, stdout, clock: deps.clock, onConnection, exit, kill });
  } catch (cause) {
    void kill();
    const hint = `is ${deps.bundle} built? \`npm start\` builds it; PINCH_LOG_LEVEL=debug shows what it printed`;
    const message = `the agent runner for group ${spec.folder}: ${describeError(cause)}`;
    throw new PinchError('container_start_failed', message, { hint, cause });
  }
}

function runnerEnv(spec: SandboxSpec): NodeJS.ProcessEnv {
  const { PATH = '', HOME = '' } = process.env;
  // Without a container nothing is at /workspace: its place is in PINCH_RUNNER_WORKSPACE, and so with every folder.
  // Further folders are where they are on the machine: nothing shields it here.
  const own = spec.mounts.filter(({ identity }) => !identity);
  const folders = own.map(({ source, target }) => [`PINCH_RUNNER_${target.slice(1).toUpperCase()}`, source]);
  return { PATH, HOME, LANG: 'C.UTF-8', PINCH_RUNNER_PORT: '0', ...Object.fromEntries(folders) };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
