// The runner apart from the link: reads the work stream and starts, steers and aborts runs. Knows nothing about how the host is reached.
import type { WorkLine } from '../../../src/wire.js';
import type { Paths } from './context.js';
import { createHost } from './host.js';
import { createClient } from './model.js';
import { createProcesses } from './processes.js';
import { startRun } from './run.js';
import { createShell, type Shell } from './tools/bash.js';

export interface AgentOptions {
  /** Where the gateway listens on 127.0.0.1. */
  port: number;
  paths: Paths;
  /** Silence in a model stream after which it counts as dead, ms. */
  stallMs?: number;
}

/**
 * Connects to the host and works. `ended` resolves when the host says stop or goes away; `killAll` then ends every
 * child process at once.
 */
export function startAgent({ port, paths, stallMs }: AgentOptions): { ended: Promise<void>; killAll(): void } {
  const host = createHost(port);
  const client = createClient(port, stallMs);
  const processes = createProcesses();
  const runs = new Map<number, ReturnType<typeof startRun>>();
  const shells = new Map<string, Shell>();
  const ended = new Promise<void>((resolve) => {
    const end = (error: unknown) => {
      console.error('the host is gone', error);
      resolve();
    };
    const onLine = (line: WorkLine) => {
      if (line.type === 'stop') resolve();
      else if (line.type === 'steer') runs.get(line.runId)?.steer(line.messages);
      else if (line.type === 'abort') runs.get(line.runId)?.abort();
      else if (!runs.has(line.run.id)) {
        const { id, session } = line.run;
        const shell = shells.get(session) ?? createShell(paths.workspace);
        shells.set(session, shell);
        const active = startRun(line.run, { host, client, paths, processes, shell });
        runs.set(id, active);
        active.done.then(() => runs.delete(id), end);
      }
    };
    host.readWork(onLine).then(resolve, end);
  });
  return { ended, killAll: processes.killAll };
}
