// Jobs: bash in process groups of their own, output collected, killed with all they started. Knows nothing about tools or the model.
import { spawn } from 'node:child_process';
import type { EventEmitter } from 'node:events';
import fs from 'node:fs';
import { systemClock } from '../../../src/core/clock.js';
import type { RunSpec } from '../../../src/wire.js';
import { gitEnv, proxyEnv } from './network.js';
import { cleanOutput } from './text.js';

/** More output than this is counted and dropped, so that a runaway job can fill neither memory nor disk. */
const MAX_OUTPUT_BYTES = 10 * 1024 * 1024;
/** Time for the last bytes after a process ended: children it left may hold the pipe open for ever. */
const DRAIN_MS = 100;
const TERM_GRACE_MS = 2_000;

/** What a job sees of the runner's environment. */
const ENV_ALLOWED =
  /^(PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TMPDIR|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|SSL_CERT_(FILE|DIR))$/i;

/** An exit code, or the name of the signal that ended the process, or why it could not start. */
type Exit = number | string;

export const exitText = (exit: Exit) => (typeof exit === 'number' ? `exit code ${exit}` : `killed by ${exit}`);

/** `run`: for which it works; `log`: a file that takes the output as it comes, instead of memory. */
type Options = { cwd: string; run: Pick<RunSpec, 'id' | 'timeZone' | 'services'>; log?: string | undefined };

/** Reads the pipe to its end, however late: a closed one would kill children left running with `&`. */
function collect(pipe: EventEmitter | null | undefined, log?: string): () => string {
  const chunks: Buffer[] = [];
  const file = log === undefined ? undefined : fs.createWriteStream(log).on('error', console.error);
  let room = MAX_OUTPUT_BYTES;
  pipe?.on('data', (chunk: Buffer) => {
    const kept = chunk.subarray(0, Math.max(room, 0));
    room -= chunk.length;
    if (file) file.write(kept);
    else chunks.push(kept);
  });
  pipe?.on('end', () => file?.end());
  return () =>
    cleanOutput(Buffer.concat(chunks).toString()) + (room < 0 ? `\n[${-room} more bytes were not kept]` : '');
}

/** False when no process of the group is left. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals | 0): boolean {
  try {
    return pid !== undefined && process.kill(-pid, signal);
  } catch {
    return false;
  }
}

type Shared = { groups: Set<number | undefined>; port: number };

function startJob(args: string[], { cwd, run, log }: Options, { groups, port }: Shared) {
  const allowed = Object.entries(process.env).filter(([name]) => ENV_ALLOWED.test(name));
  // For the `pinch` command: its run, and where the host is.
  const pinch = { PINCH_RUN: `${run.id}`, PINCH_PORT: `${port}` };
  const network = { ...proxyEnv(port), ...gitEnv(port, run.services) };
  const env = { ...Object.fromEntries(allowed), ...network, ...pinch, TERM: 'dumb', TZ: run.timeZone };
  // Never 'inherit': the runner's own stdout is the link. Detached: a process group, which can be killed whole.
  const child = spawn('/bin/bash', args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'ignore', 'pipe'] });
  const { pid } = child;
  groups.add(pid);
  let exit: Exit | undefined;
  const done = new Promise<Exit>((resolve) => {
    const end = (how: Exit) => {
      if (!signalGroup(pid, 0)) groups.delete(pid);
      exit ??= how;
      resolve(exit);
    };
    child.once('error', (error) => end(error.message));
    child.once('close', (code, signal) => end(code ?? signal ?? 0));
    child.once('exit', (code, signal) => systemClock.sleep(DRAIN_MS).then(() => end(code ?? signal ?? 0)));
  });
  return {
    /** Of the process and of its group. */
    pid,
    /** Standard output, cleaned; grows until `done`. */
    output: collect(child.stdout, log),
    /** What the process wrote to file descriptor 3. */
    fd3: collect(child.stdio[3]),
    /** Undefined while the process runs. */
    exit: () => exit,
    /** Resolves when the process ended; never rejects. */
    done,
    /** SIGKILL to the whole group, at once. Harmless when it is gone. */
    kill: () => void signalGroup(pid, 'SIGKILL'),
    /** SIGTERM to the group, SIGKILL to what is left of it. */
    async stop(): Promise<Exit> {
      signalGroup(pid, 'SIGTERM');
      await Promise.race([done, systemClock.sleep(TERM_GRACE_MS)]);
      signalGroup(pid, 'SIGKILL');
      return done;
    },
  };
}

export type Job = ReturnType<typeof startJob>;
export type Processes = ReturnType<typeof createProcesses>;

/** The jobs of the runner, which reach the host at `port`; `killAll` sends SIGKILL to every group. */
export function createProcesses(port: number) {
  const groups = new Set<number | undefined>();
  return {
    /** Starts bash. */
    start: (args: string[], options: Options) => startJob(args, options, { groups, port }),
    killAll: () => groups.forEach((pid) => void signalGroup(pid, 'SIGKILL')),
  };
}
