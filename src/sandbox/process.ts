// Runs the agent runner as a plain child process, WITHOUT a sandbox: for development on a machine without Docker.
import { spawn } from 'node:child_process';
import type { Clock } from '../clock.js';
import { PinchError } from '../errors.js';
import type { Logger } from '../log.js';
import { openHostLink } from './link.js';
import { logRunnerLines } from './runner-log.js';
import type { Sandbox, SandboxExit, SandboxInstance, SandboxSpec } from './sandbox.js';

export interface ProcessSandboxDeps {
  /** Path of the bundled runner. */
  bundle: string;
  clock: Clock;
  log: Logger;
}

const HELLO_TIMEOUT_MS = 20_000;
const folderVariables: Record<string, string> = {
  '/workspace': 'PINCH_RUNNER_WORKSPACE',
  '/global': 'PINCH_RUNNER_GLOBAL',
  '/sessions': 'PINCH_RUNNER_SESSIONS',
  '/skills': 'PINCH_RUNNER_SKILLS',
};

export function createProcessSandbox(deps: ProcessSandboxDeps): Sandbox {
  return {
    start: (spec, onConnection) => startProcess(deps, spec, onConnection),
    ping: async () => undefined,
    // A runner ends with the stdin of the process that started it: nothing can be left.
    reap: async () => 0,
  };
}

async function startProcess(
  deps: ProcessSandboxDeps,
  spec: SandboxSpec,
  onConnection: Parameters<Sandbox['start']>[1],
): Promise<SandboxInstance> {
  const child = spawn(process.execPath, [deps.bundle], {
    cwd: spec.mounts.find((mount) => mount.target === '/workspace')?.source,
    env: runnerEnv(spec),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  logRunnerLines(child.stderr, deps.log.child({ group: spec.folder }));
  let stopping = false;
  const exit = new Promise<SandboxExit>((resolve) => {
    child.once('error', (error) => resolve({ reason: error.message, exitCode: undefined, outOfMemory: false }));
    child.once('exit', (code, signal) => {
      const reason = stopping ? 'it was stopped' : `exit ${code ?? signal}`;
      resolve({ reason, exitCode: code ?? undefined, outOfMemory: false });
    });
  });
  try {
    const link = await openHostLink({
      stdin: child.stdin,
      stdout: child.stdout,
      clock: deps.clock,
      helloTimeoutMs: HELLO_TIMEOUT_MS,
      onConnection,
    });
    const stop = async (graceMs: number): Promise<void> => {
      stopping = true;
      link.close();
      const waited = new AbortController();
      await Promise.race([exit, deps.clock.sleep(graceMs, waited.signal)]);
      waited.abort();
      killGroup(child.pid);
      await exit;
    };
    const linkLost = link.closed.then(() => stop(0).then(() => exit));
    return { id: `process-${child.pid}`, closed: Promise.race([exit, linkLost]), stop };
  } catch (error) {
    killGroup(child.pid);
    throw new PinchError('container_start_failed', `the agent runner for group ${spec.folder} did not start`, {
      retryable: true,
      cause: error,
    });
  }
}

function runnerEnv(spec: SandboxSpec): NodeJS.ProcessEnv {
  const { PATH = '', HOME = '' } = process.env;
  const folders = spec.mounts.map(({ source, target }) => [folderVariables[target], source]);
  return {
    PATH,
    HOME,
    LANG: 'C.UTF-8',
    PINCH_RUNNER_PORT: '0',
    ...Object.fromEntries(folders.filter(([name]) => name !== undefined)),
  };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
