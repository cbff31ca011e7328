// The agent: reads the host's work stream and starts, steers and aborts runs. Knows nothing about the link.
import { atMost, systemClock } from '../../../src/core/clock.js';
import type { RunSpec } from '../../../src/wire.js';
import type { Paths } from './context.js';
import { createHost } from './host.js';
import { createJournal } from './journal.js';
import { createClient } from './model.js';
import { createPictures } from './pictures.js';
import { createProcesses } from './processes.js';
import { startRun } from './run.js';
import type { KeptHistories } from './session.js';
import { createShell, type Shell } from './shell.js';
import { onceADay, removeOldOutput } from './tidy.js';
import { createWeb } from './web/web.js';

/** `port`: where the gateway is reached on 127.0.0.1; `reader`, `picture`: the bundles of web/reader.ts and picture.ts; `stallMs`: silence in a model stream after which it counts as dead. */
type AgentOptions = { port: number; paths: Paths; reader: string; picture?: string; stallMs?: number };

/** The host gives a stopped run about a second to end by itself. */
const STOPPED_MS = 300;

/** Starts to work. `ended` resolves when the host says stop or goes away; `killAll` then ends every job at once. */
export function startAgent({ port, paths, reader, picture = '', stallMs }: AgentOptions): {
  ended: Promise<void>;
  killAll(): void;
} {
  const host = createHost(port);
  const client = createClient(port, stallMs);
  const processes = createProcesses(port);
  const web = createWeb({ port, reader });
  const pictures = createPictures(picture);
  const journal = createJournal({ host, paths });
  const runs = new Map<number, ReturnType<typeof startRun>>();
  const shells = new Map<string, Shell>();
  const histories: KeptHistories = new Map();
  const tidy = onceADay(() => removeOldOutput(paths));
  async function start(run: RunSpec): Promise<void> {
    const previous = runs.get(run.id);
    // Two attempts of one run must not write to the history at the same time.
    if (previous) await previous.done;
    const shell = shells.get(run.session) ?? createShell(paths.workspace);
    shells.set(run.session, shell);
    const active = startRun(run, { host, client, paths, processes, web, pictures, journal, shell, histories });
    runs.set(run.id, active);
    const report = await active.done;
    // Not what is only over its time: background jobs may go on then.
    const isStopped = report.outcome === 'cancelled' && active.isAborted();
    const keeps = isStopped && (await processes.endSession(run.session));
    runs.delete(run.id);
    // With its report the container of a run that a person stopped may go; else nobody waits for this.
    const handedOver = journal.end(run);
    if (isStopped) await atMost(systemClock, STOPPED_MS, handedOver);
    await host.finish(run.id, { ...report, ...(keeps && { keeps }), attempt: run.attempt });
    tidy();
  }
  async function work(): Promise<void> {
    for await (const line of host.work()) {
      if (line.type === 'stop') return;
      if (line.type === 'run') void start(line.run);
      else if (line.type === 'restore') void journal.restore(line);
      else if (line.type === 'steer') runs.get(line.runId)?.steer(line.messages);
      else runs.get(line.runId)?.abort();
    }
  }
  const ended = work().catch((error) => console.error('the work stream broke', error));
  return { ended, killAll: processes.killAll };
}
