// The runner apart from the link: reads the work stream and starts, steers and aborts runs. Knows nothing about how the host is reached.
import path from 'node:path';
import type { WorkLine } from '../../../src/wire.js';
import { createHost } from './host.js';
import { createClient } from './model.js';
import { createProcesses } from './processes.js';
import type { ActiveRun } from './run.js';
import { startRun } from './run.js';
import type { Paths } from './tools/context.js';
import type { Shell } from './tools/shell.js';
import { createShell } from './tools/shell.js';

export interface AgentOptions {
  /** Where the gateway listens on 127.0.0.1. */
  port: number;
  paths: Paths;
  /** Silence in a model stream after which it counts as dead, ms. */
  stallMs?: number;
}

export interface Agent {
  /** Resolves when there is nothing left to do: told to stop, or the host is gone. */
  ended: Promise<void>;
  /** Kills every child process, at once. */
  killAll(): void;
}

/** Connects to the host and works until it says stop or goes away. */
export function startAgent({ port, paths, stallMs }: AgentOptions): Agent {
  const host = createHost(port);
  const client = createClient({ port, ...(stallMs !== undefined && { stallMs }) });
  const processes = createProcesses();
  const runs = new Map<number, ActiveRun>();
  const shells = new Map<string, Shell>();

  const ended = new Promise<void>((resolve) => {
    function start(line: Extract<WorkLine, { type: 'run' }>): void {
      const { run } = line;
      if (runs.has(run.id)) return;
      const shell = shells.get(run.session) ?? createShell(path.resolve(paths.workspace));
      shells.set(run.session, shell);
      const active = startRun(run, { host, client, paths, processes, shell });
      runs.set(run.id, active);
      active.done.then(
        () => runs.delete(run.id),
        (error) => {
          console.error('the host does not take the report', error);
          resolve();
        },
      );
    }
    function onLine(line: WorkLine): void {
      if (line.type === 'run') start(line);
      else if (line.type === 'steer') runs.get(line.runId)?.steer(line.messages);
      else if (line.type === 'abort') runs.get(line.runId)?.abort();
      else resolve();
    }
    host.readWork(onLine).then(resolve, (error) => {
      console.error('the work stream broke', error);
      resolve();
    });
  });
  return { ended, killAll: processes.killAll };
}
