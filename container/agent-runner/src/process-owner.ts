// Whose process is whose in this container, as Linux tells it: what a session started ends with it when a person stops it, what others started
// goes on. A program may leave its process group and its parent, and lie in its environment; so what cannot be told apart is said to be left.
import fs from 'node:fs';

export interface Process {
  pid: number;
  parent: number;
  /** The kernel's session: a program can make a new one, but join none. */
  kernelSession: number;
  /** Clock ticks since the machine started. */
  startedAt: number;
  environment: string;
}

/** What is known of those we started: the process id of a job is the kernel's session of all that did not leave it. */
export interface Known {
  /** Of this runner; pid 1 is the container's init. */
  runner: number;
  /** By process id of the job: the session it works for. */
  jobs: ReadonlyMap<number, string>;
  /** What stands in the environment of all that a session starts. */
  markOf(session: string): string;
  /** When the session began here, in ticks. */
  beganAt: number;
}

/** Takes over whoever lost its parent. */
export const INIT = 1;

export type Owner = 'ours' | 'others' | 'unknown';

/** Pure: to whom a process belongs, seen from the session. `of`: all processes by id. */
export function ownerOf(one: Process, of: ReadonlyMap<number, Process>, session: string, known: Known): Owner {
  if (one.environment.includes(`\0${known.markOf(session)}\0`)) return 'ours';
  for (let at: Process | undefined = one; at && at.pid !== known.runner && at.pid !== INIT; at = of.get(at.parent)) {
    const job = known.jobs.get(at.kernelSession) ?? known.jobs.get(at.pid);
    if (job !== undefined) return job === session ? 'ours' : 'others';
    // What was here before cannot have been started by it.
    if (at.startedAt < known.beganAt) return 'others';
  }
  return one.parent === known.runner && one.kernelSession === of.get(known.runner)?.kernelSession
    ? 'others'
    : 'unknown';
}

/** Those that live, without this runner and init; empty where there is no /proc. */
export function readProcesses(): Map<number, Process> {
  const names = fs.existsSync('/proc/self/stat') ? fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
  return new Map(names.flatMap(readProcess).map((one) => [one.pid, one]));
}

function readProcess(name: string): Process[] {
  try {
    const stat = fs.readFileSync(`/proc/${name}/stat`, 'utf8');
    // The name before it may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, parent, , kernelSession] = fields;
    if (state === 'Z' || state === 'X') return [];
    const numbers = { pid: Number(name), parent: Number(parent), kernelSession: Number(kernelSession) };
    return [{ ...numbers, startedAt: Number(fields[19]), environment: readEnvironment(name) }];
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function readEnvironment(name: string): string {
  try {
    return `\0${fs.readFileSync(`/proc/${name}/environ`, 'latin1')}\0`;
  } catch {
    return '';
  }
}

/** Now, on the clock of `startedAt`. */
export function ticksNow(): number {
  try {
    return Math.floor(Number(fs.readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 100);
  } catch {
    return 0;
  }
}
