// Child processes in groups of their own: collected output, killing, nothing left behind. Knows nothing about tools or the model.
import { spawn } from 'node:child_process';
import { systemClock } from '../../../src/clock.js';
import { cleanOutput } from './text.js';

/** More output than this is counted and dropped, so that a runaway command can fill neither memory nor disk. */
const MAX_OUTPUT_BYTES = 10 * 1024 * 1024;
/** A process that ended may leave children behind that hold the pipe open; do not wait longer for the last bytes. */
const DRAIN_MS = 100;
const TERM_GRACE_MS = 2_000;

export interface Exit {
  code: number | null;
  signal: string | null;
}

export interface Job {
  /** Standard output and error in the order written, cleaned; grows until `done`. */
  output(): string;
  /** What the process wrote to file descriptor 3. */
  side(): string;
  exit(): Exit | undefined;
  /** Resolves when the process ended; never rejects. */
  done: Promise<Exit>;
  /** SIGKILL to the whole group, at once. Harmless when it is gone. */
  kill(): void;
  /** SIGTERM to the group, SIGKILL after 2 s. */
  stop(): Promise<Exit>;
}

export interface StartOptions {
  file: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
}

export interface Processes {
  start(options: StartOptions): Job;
  /** SIGKILL to every group that may still have a member. */
  killAll(): void;
}

function createBuffer() {
  const chunks: Buffer[] = [];
  let kept = 0;
  let dropped = 0;
  return {
    add(chunk: Buffer): void {
      const room = MAX_OUTPUT_BYTES - kept;
      if (room > 0) chunks.push(chunk.subarray(0, room));
      kept += Math.min(room, chunk.length);
      dropped += Math.max(0, chunk.length - room);
    },
    text(): string {
      const note = dropped > 0 ? `\n[${dropped} more bytes were not kept]` : '';
      return cleanOutput(Buffer.concat(chunks).toString('utf8')) + note;
    },
  };
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals | 0): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    // ESRCH: nobody of the group is left.
    return false;
  }
}

function startJob({ file, args, cwd, env }: StartOptions, groups: Set<number>): Job {
  const out = createBuffer();
  const side = createBuffer();
  // Never 'inherit': the runner's own stdout is the link. Detached: a group that can be killed whole.
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const { pid } = child;
  if (pid !== undefined) groups.add(pid);
  // After the end the pipes are still read, and dropped: a closed pipe would kill children left running with `&`.
  child.stdout?.on('data', (chunk: Buffer) => out.add(chunk));
  child.stderr?.on('data', (chunk: Buffer) => out.add(chunk));
  child.stdio[3]?.on('data', (chunk: Buffer) => side.add(chunk));
  let exit: Exit | undefined;
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const done = new Promise<Exit>((resolve) => {
    child.once('error', (error) => {
      out.add(Buffer.from(`${file}: ${error.message}\n`));
      exit = { code: 127, signal: null };
      resolve(exit);
    });
    child.once('exit', async (code, signal) => {
      await Promise.race([closed, systemClock.sleep(DRAIN_MS)]);
      exit = { code, signal };
      if (pid !== undefined && !signalGroup(pid, 0)) groups.delete(pid);
      resolve(exit);
    });
  });
  return {
    output: () => out.text(),
    side: () => side.text(),
    exit: () => exit,
    done,
    kill: () => void signalGroup(pid, 'SIGKILL'),
    async stop() {
      signalGroup(pid, 'SIGTERM');
      await Promise.race([done, systemClock.sleep(TERM_GRACE_MS)]);
      signalGroup(pid, 'SIGKILL');
      return done;
    },
  };
}

/** All processes of the runner; one per runner. */
export function createProcesses(): Processes {
  const groups = new Set<number>();
  return {
    start: (options) => startJob(options, groups),
    killAll() {
      for (const pid of groups) signalGroup(pid, 'SIGKILL');
    },
  };
}
