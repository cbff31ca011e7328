// The model back end does not answer: after a minute of that the people whose run waits are told once, and once more when it answers again. Goes
// by the calls that are made; asks nothing itself.
import type { Clock } from '../core/clock.js';

/** Shorter troubles are over before anybody wonders. */
const TOLD_AFTER_MS = 60_000;
/** Runs that a long trouble may make us remember. */
const MAX_TOLD = 1_000;

interface OutageDeps {
  clock: Pick<Clock, 'now'>;
  /** Tells the people of the run's chat; a text of the same key only once. */
  tellRun(runId: number, key: string, text: string): void;
}

/** How a call ended: `server` is its host; `why` says what was wrong, undefined when it was answered. */
export interface CallEnd {
  runId: number | null;
  server: string;
  why: string | undefined;
}

export function createOutage({ clock, tellRun }: OutageDeps) {
  let since: number | undefined;
  let told = new Set<number>();
  return {
    /** Epoch ms since when no call was answered; undefined when the last one was. */
    since: () => since,
    note({ runId, server, why }: CallEnd): void {
      if (why === undefined) {
        for (const id of told) tellRun(id, `answers-again:${id}:${since}`, 'The model answers again: I go on.');
        [since, told] = [undefined, new Set()];
        return;
      }
      since ??= clock.now();
      if (runId === null || told.has(runId) || told.size >= MAX_TOLD || clock.now() - since < TOLD_AFTER_MS) return;
      told.add(runId);
      tellRun(runId, `no-model:${runId}`, `I cannot reach the model at ${server} (${why}). I keep trying.`);
    },
  };
}
