// An MCP server as a child process of Pinch on the machine itself (`"host": true`): with the rights of Pinch, in a process group of its own, with
// nothing of Pinch's environment but where programs are and how people write. Its input ends with Pinch, also when that is killed.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { atMost, type Clock } from '../core/clock.js';
import { oneLine } from '../core/one-line.js';

/** A running server, wherever it runs. */
export interface ServerProcess {
  stdin: Writable;
  stdout: Readable;
  /** The end of what it wrote for people. */
  stderrTail(): string;
  /** Resolves with why it ended. */
  closed: Promise<string>;
  /** Ends it, in a few seconds at most; harmless when it ended. */
  stop(): Promise<void>;
}

export interface HostCommand {
  command: string[];
  env: Record<string, string>;
  /** Its files; `/server` in its command means this folder. */
  folder?: string | undefined;
  /** Where it works; made when it is not there. */
  dir: string;
}

/** After the end of its input, and after it was asked to end. */
const END_MS = 700;
const TAIL_CHARS = 2_000;

export function startHostProcess({ command, env, folder, dir }: HostCommand, clock: Clock): ServerProcess {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const [program = '', ...args] = command.map((word) => (folder ? word.replace(/^\/server(?=\/|$)/, folder) : word));
  const child = spawn(program, args, { cwd: dir, env: { ...baseEnv(folder), ...env }, detached: true });
  let tail = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-TAIL_CHARS);
  });
  // Whoever writes to a program that ended hears it from `closed`.
  child.stdin.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`it cannot be started: ${error.message}`));
    child.once('exit', (code, signal) => {
      // What it started must not outlive it.
      killGroup(child.pid, 'SIGKILL');
      resolve(`it ended with ${signal ?? `exit code ${code}`}`);
    });
  });
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderrTail: () => oneLine(tail, 500),
    closed,
    async stop() {
      child.stdin.end();
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        if (await atMost(clock, END_MS, closed)) return;
        killGroup(child.pid, signal);
      }
      await closed;
    },
  };
}

function baseEnv(folder: string | undefined): NodeJS.ProcessEnv {
  const { PATH = '', HOME = '', LANG = 'C.UTF-8', TZ } = process.env;
  const path = folder ? `${join(folder, 'node_modules', '.bin')}${delimiter}${PATH}` : PATH;
  return { PATH: path, HOME, LANG, ...(TZ && { TZ }) };
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // Nobody of it is left.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
