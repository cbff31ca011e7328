// Watches the container engine while it is down: asks with growing pauses until it answers, then lets the queue go on.
import type { Clock } from '../clock.js';
import { describeError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import type { Wake } from '../wake.js';

export interface SupervisorDeps {
  sandbox: Sandbox;
  wake: Wake;
  clock: Clock;
  log: Logger;
  notifyOwner(key: string, text: string): void;
}

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 15_000;
/** Short hiccups (an engine update) are nobody's business. */
const NOTICE_AFTER_MS = 60_000;

export type Supervisor = ReturnType<typeof createSupervisor>;

export function createSupervisor(deps: SupervisorDeps) {
  const { clock, log } = deps;
  const over = new AbortController();
  let down: { since: number; detail: string; noticed: boolean } | undefined;

  async function watch(since: number): Promise<void> {
    for (let pause = FIRST_PAUSE_MS; down && !over.signal.aborted; pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
      await clock.sleep(pause, over.signal);
      if (over.signal.aborted) return;
      try {
        await deps.sandbox.ping();
        // What an engine restart left of our containers is dead weight: their links are gone. Before any new one starts.
        await deps.sandbox.reap();
        down = undefined;
        log.info({ downMs: clock.now() - since }, 'container engine is back');
        deps.wake.emit('runs');
      } catch (error) {
        if (down) notice(down, describeError(error));
      }
    }
  }

  function notice(state: NonNullable<typeof down>, detail: string): void {
    state.detail = detail;
    if (state.noticed || clock.now() - state.since < NOTICE_AFTER_MS) return;
    state.noticed = true;
    deps.notifyOwner(
      `engine:${state.since}`,
      `I cannot start containers: ${detail}\n\nRuns wait and go on by themselves when it is back.`,
    );
  }

  return {
    engineDown: (): boolean => down !== undefined,
    engineState: () => (down ? { state: 'down' as const, detail: down.detail } : { state: 'up' as const, detail: '' }),
    /** The engine did not answer somebody; harmless when that is known. */
    reportDown(error: unknown): void {
      if (down || over.signal.aborted) return;
      down = { since: clock.now(), detail: describeError(error), noticed: false };
      log.error({ error: down.detail }, 'container engine is down, runs wait');
      void watch(down.since);
    },
    stop: (): void => over.abort(),
  };
}
