// Jobs: bash in process groups of their own, output collected, killed with all they started. Knows nothing about tools or the model.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import fs from 'node:fs';
import { systemClock } from '../../../src/core/clock.js';
import type { RunSpec } from '../../../src/wire.js';
import { gitEnv, proxyEnv } from './network.js';
import { INIT, ownerOf, type Process, readProcesses, ticksNow } from './process-owner.js';
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
type Options = {
  cwd: string;
  run: Pick<RunSpec, 'id' | 'session' | 'timeZone' | 'services'>;
  log?: string | undefined;
};

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

/** False when it is gone. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

/** False when no process of the group is left. */
const signalGroup = (pid: number | undefined, name: NodeJS.Signals | 0): boolean =>
  pid !== undefined && signal(-pid, name);

type Shared = {
  /** Process groups that may live, by the process id of their job. */
  groups: Set<number | undefined>;
  /** By process id, of all jobs there were: the session they work for. */
  jobs: Map<number, string>;
  /** By session, when its first job started here. */
  began: Map<string, number>;
  markOf(session: string): string;
  port: number;
};

function startJob(args: string[], { cwd, run, log }: Options, { groups, jobs, began, markOf, port }: Shared) {
  const allowed = Object.entries(process.env).filter(([name]) => ENV_ALLOWED.test(name));
  // For the `pinch` command: its run, and where the host is.
  const [markName = '', mark] = markOf(run.session).split('=');
  const pinch = { PINCH_RUN: `${run.id}`, PINCH_PORT: `${port}`, [markName]: mark };
  if (!began.has(run.session)) began.set(run.session, ticksNow());
  const network = { ...proxyEnv(port), ...gitEnv(port, run.services) };
  const env = { ...Object.fromEntries(allowed), ...network, ...pinch, TERM: 'dumb', TZ: run.timeZone };
  // Never 'inherit': the runner's own stdout is the link. Detached: a process group, which can be killed whole.
  const child = spawn('/bin/bash', args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'ignore', 'pipe'] });
  const { pid } = child;
  groups.add(pid);
  if (pid !== undefined) jobs.set(pid, run.session);
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

/** How often what starts further processes while it is ended is looked for again, and the pause. */
const LOOKS = 20;
const LOOK_PAUSE_MS = 10;

/** The jobs of the runner, which reach the host at `port`; `killAll` sends SIGKILL to every group. */
export function createProcesses(port: number) {
  // Random: of another Pinch on this machine, where there is no container, nothing must be taken for ours.
  const mark = randomUUID();
  const shared: Shared = {
    ...{
      groups: new Set<number | undefined>(),
      jobs: new Map<number, string>(),
      began: new Map<string, number>(),
      port,
    },
    markOf: (session) => `PINCH_SESSION=${mark}-${session}`,
  };
  return {
    /** Starts bash. */
    start: (args: string[], options: Options) => startJob(args, options, shared),
    killAll: () => shared.groups.forEach((pid) => void signalGroup(pid, 'SIGKILL')),
    endSession: (session: string) => endSession(session, shared),
  };
}

/**
 * Ends at once all that was started for a session, wherever it went. True when jobs of others work on and nothing is left that might be of this
 * one: then its container may stay.
 */
async function endSession(session: string, { jobs, began, markOf }: Shared): Promise<boolean> {
  const known = { runner: process.pid, jobs, markOf, beganAt: began.get(session) ?? ticksNow() };
  for (let look = 1; ; look++) {
    const all = readProcesses();
    const rest = [...all.values()].filter(({ pid }) => pid !== process.pid && pid !== INIT);
    const owned = rest.map((one) => ({ ...one, owner: ownerOf(one, all, session, known) }));
    const ours = owned.filter(({ owner }) => owner === 'ours');
    for (const { pid } of ours) signal(pid, 'SIGKILL');
    if (ours.length > 0 && look < LOOKS) await systemClock.sleep(LOOK_PAUSE_MS);
    else return owned.every(({ owner }) => owner === 'others') && rest.some((one) => isJobOf(one, jobs));
  }
}

const isJobOf = ({ kernelSession, pid }: Process, jobs: Shared['jobs']) => jobs.has(kernelSession) || jobs.has(pid);
