// What the owner may ask of the whole daemon, from a chat, the page or the command line.
import type { RunningChannels } from '../channels/start.js';
import type { Clock } from '../core/clock.js';
import type { Backend, Config } from '../core/config.js';
import type { Logger } from '../core/log.js';
import type { Fallback } from '../model/fallback.js';
import type { Outage } from '../model/outage.js';
import type { Queue } from '../runs/queue.js';
import type { StopSwitch } from '../runs/stop-switch.js';
import type { Containers } from '../sandbox/module.js';
import type { Store } from '../tasks/store.js';
import type { Home } from './home-lock.js';
import { createStoredFacts, type StatusSnapshot, statusSnapshot } from './status.js';

export interface ControlDeps {
  config: Config;
  store: Store;
  clock: Clock;
  log: Logger;
  home: Pick<Home, 'lastEnd'>;
  stopSwitch: StopSwitch;
  channels: Pick<RunningChannels, 'states'>;
  containers: Containers;
  mcp: { killAll(): Promise<void>; running(): string[] };
  runs: { queue: Pick<Queue, 'cancelAll'> };
  /** The model's, as `.env` says now. */
  backend(): Backend;
  outage: Pick<Outage, 'state'>;
  fallback: Pick<Fallback, 'inUse'>;
}

export type Control = ReturnType<typeof createControl>;

export function createControl(deps: ControlDeps) {
  const { log, stopSwitch, channels } = deps;
  const { signals } = deps.store;
  const { pool, supervisor } = deps.containers;
  const startedAt = deps.clock.now();
  const stored = createStoredFacts(deps);
  return {
    emergencyStop(reason: string): void {
      log.warn({ reason }, 'emergency stop');
      // First of all, and even when the disk is full: the containers end and none starts.
      void pool.stopAll('emergency stop', 0);
      try {
        stopSwitch.stop(reason);
      } finally {
        void deps.mcp.killAll();
      }
      deps.runs.queue.cancelAll();
      signals.emit('daemon');
    },
    resume(): void {
      stopSwitch.resume();
      pool.reopen();
      for (const changed of ['task', 'run:ready', 'daemon'] as const) signals.emit(changed);
    },
    status: (): StatusSnapshot =>
      statusSnapshot({
        ...deps,
        stored: stored(),
        backend: deps.backend(),
        outage: deps.outage.state(),
        startedAt,
        lastEnd: deps.home.lastEnd,
        stopped: stopSwitch.stopped(),
        engine: supervisor.engineState(),
        channels: channels.states(),
        containers: pool.containers(),
        servers: deps.mcp.running(),
        fallback: deps.fallback.inUse(),
      }),
  };
}
