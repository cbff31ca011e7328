// Watches the container engine while it is down: asks with growing pauses until it answers, then lets the queue go on.

import type { LoopDeps } from '../core/deps.js';
import { describeError, PinchError } from '../core/errors.js';
import type { Signals } from '../core/signals.js';
import type { Sandbox } from './sandbox.js';

export interface SupervisorDeps extends LoopDeps {
  sandbox: Sandbox;
  signals: Signals;
}

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 15_000;
/** The owner is not told about a shorter outage, e.g. an update of the engine. */
const NOTICE_AFTER_MS = 60_000;
/** One that fails again so soon never was well: the owner hears of it as of one outage, and the pauses go on growing. */
const STEADY_MS = 60_000;

interface Outage {
  since: number;
  /** Until the engine is asked again. */
  pauseMs: number;
  detail: string;
}

export type Supervisor = ReturnType<typeof createSupervisor>;

export function createSupervisor({ sandbox, signals, clock, log, notifyOwner }: SupervisorDeps) {
  const over = new AbortController();
  let down: Outage | undefined;
  /** The one before, and when it seemed to be over. */
  let before: { outage: Outage; backAt: number } | undefined;

  function tell({ since, detail }: Outage): void {
    if (clock.now() - since >= NOTICE_AFTER_MS) notifyOwner(`engine:${since}`, notice(detail));
  }

  async function watch(state: Outage): Promise<void> {
    for (; down; state.pauseMs = Math.min(state.pauseMs * 2, MAX_PAUSE_MS)) {
      await clock.sleep(state.pauseMs, over.signal);
      if (over.signal.aborted) return;
      try {
        await sandbox.ping();
        // Containers that survived a restart of the engine have lost their links. They are removed before any new one starts.
        await sandbox.reap();
        down = undefined;
      } catch (error) {
        state.detail = describeError(error);
        tell(state);
      }
    }
    before = { outage: state, backAt: clock.now() };
    log.info({ downMs: clock.now() - state.since }, 'container engine is back');
    for (const changed of ['daemon', 'run:ready'] as const) signals.emit(changed);
  }

  /** The engine did not answer somebody; harmless when that is known. */
  function reportDown(error: unknown): void {
    if (down || over.signal.aborted) return;
    const isSame = before !== undefined && clock.now() - before.backAt < STEADY_MS;
    const { since, pauseMs } = (isSame && before?.outage) || { since: clock.now(), pauseMs: FIRST_PAUSE_MS };
    down = { since, pauseMs, detail: describeError(error) };
    tell(down);
    log.error({ error: down.detail }, 'container engine is down, runs wait');
    signals.emit('daemon');
    void watch(down);
  }

  return {
    /** Removes what an earlier process left; an engine that does not answer is watched from here on. */
    async start(): Promise<void> {
      try {
        const reaped = await sandbox.reap();
        if (reaped > 0) log.info({ containers: reaped }, 'containers of an earlier process removed');
      } catch (error) {
        // A setting that cannot be kept is for a person to correct, now.
        if (error instanceof PinchError && error.code === 'no_oci_runtime') throw error;
        reportDown(error);
      }
    },
    reportDown,
    engineDown: (): boolean => down !== undefined,
    engineState: () => (down ? { state: 'down' as const, detail: down.detail } : { state: 'up' as const, detail: '' }),
    stop: (): void => over.abort(),
  };
}

const notice = (detail: string) =>
  `I cannot start containers: ${detail}\n\nRuns wait and go on by themselves when it is back.`;
