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

type Place = { cwd: string; env: Record<string, string> };

function createBuffer() {
  const chunks: Buffer[] = [];
  let room = MAX_OUTPUT_BYTES;
  return {
    add(chunk: Buffer): void {
      if (room > 0) chunks.push(chunk.subarray(0, room));
      room -= chunk.length;
    },
    text(): string {
      const note = room < 0 ? `\n[${-room} more bytes were not kept]` : '';
      return cleanOutput(Buffer.concat(chunks).toString('utf8')) + note;
    },
  };
}

/** False when nobody of the group is left. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals | 0): boolean {
  try {
    return pid !== undefined && process.kill(-pid, signal);
  } catch {
    return false;
  }
}

function startJob(args: string[], { cwd, env }: Place, groups: Set<number>) {
  const out = createBuffer();
  const side = createBuffer();
  // Never 'inherit': the runner's own stdout is the link. Detached: a group that can be killed whole.
  const child = spawn('/bin/bash', args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const { pid } = child;
  if (pid !== undefined) groups.add(pid);
  // The pipes are read to their end, however late: a closed pipe would kill children left running with `&`.
  child.stdout?.on('data', out.add);
  child.stderr?.on('data', out.add);
  child.stdio[3]?.on('data', side.add);
  let exit: Exit | undefined;
  const closed = new Promise((resolve) => child.once('close', resolve));
  const done = new Promise<Exit>((resolve) => {
    child.once('error', (error) => {
      out.add(Buffer.from(`bash: ${error.message}\n`));
      resolve({ code: 127, signal: null });
    });
    child.once('exit', (code, signal) => {
      Promise.race([closed, systemClock.sleep(DRAIN_MS)]).then(() => resolve({ code, signal }));
    });
  }).then((ended) => {
    if (pid !== undefined && !signalGroup(pid, 0)) groups.delete(pid);
    exit = ended;
    return ended;
  });
  return {
    /** Standard output and error, cleaned; grows until `done`. */
    output: out.text,
    /** What the process wrote to file descriptor 3. */
    side: side.text,
    exit: () => exit,
    /** Resolves when the process ended; never rejects. */
    done,
    /** SIGKILL to the whole group, at once. Harmless when it is gone. */
    kill: () => void signalGroup(pid, 'SIGKILL'),
    /** SIGTERM to the group, SIGKILL after 2 s. */
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

/** All processes of the runner; `killAll` sends SIGKILL to every group that may still have a member. */
export function createProcesses() {
  const groups = new Set<number>();
  return {
    /** Starts bash with these arguments. */
    start: (args: string[], place: Place) => startJob(args, place, groups),
    killAll: () => {
      for (const pid of groups) signalGroup(pid, 'SIGKILL');
    },
  };
}
