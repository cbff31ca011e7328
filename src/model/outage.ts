// The model back end does not answer: after a minute of that the people whose run waits are told once, and once more when it answers again;
// what is wrong at present can be asked for. Goes by the calls that are made; asks nothing itself.
import type { Clock } from '../core/clock.js';

/** Shorter troubles are over before anybody wonders. */
const TOLD_AFTER_MS = 60_000;
/** Shorter ones are no news for who looks at the status. */
const SHOWN_AFTER_MS = 5_000;
/** Runs are tried again every few minutes: a trouble that nobody has met for so long is another one. */
const FORGOTTEN_AFTER_MS = 40 * 60_000;
/** Runs that a long trouble may make us remember. */
const MAX_WAITING = 1_000;

interface OutageDeps {
  clock: Pick<Clock, 'now' | 'at'>;
  /** Tells the chat of the run, once until `over`. */
  tell(runId: number, text: string): void;
  /** Tells every chat that was told. */
  over(text: string): void;
  /** What `state` gives may be another now. */
  onChange(): void;
}

/** How a call ended, or that it goes on too long: `server` is its host; `why` says what is wrong, undefined when it was answered. */
export interface CallEnd {
  runId: number | null;
  server: string;
  why: string | undefined;
  /** Since when there was no answer, epoch ms; now without it. */
  since?: number;
}

export type Outage = ReturnType<typeof createOutage>;

export function createOutage({ clock, tell, over, onChange }: OutageDeps) {
  let trouble: { server: string; why: string; since: number; metAt: number } | undefined;
  let waiting = new Set<number>();
  let timer: { cancel(): void } | undefined;
  /** An earlier process may have told some. */
  let someKnow = true;

  function forget(): void {
    timer?.cancel();
    [trouble, waiting, timer] = [undefined, new Set(), undefined];
  }

  function tellWaiting(): void {
    if (!trouble) return;
    someKnow = true;
    const { server, why } = trouble;
    for (const runId of waiting) tell(runId, `I get no answer from the model at ${server}: ${why}. I keep trying.`);
    waiting = new Set();
    onChange();
  }

  function noteAnswer(): void {
    if (!trouble && !someKnow) return;
    forget();
    someKnow = false;
    over('The model answers again: I go on.');
    onChange();
  }

  return {
    /** What is wrong at present; undefined when nothing is, or nobody has met it for long. */
    state(): { server: string; why: string; since: number } | undefined {
      if (!trouble || clock.now() - trouble.since < SHOWN_AFTER_MS) return undefined;
      const { server, why, since } = trouble;
      return { server, why, since };
    },
    /** The server answers, and another model takes the place of the one that is overloaded: who was told hears of the next answer. */
    setAside(): void {
      if (!trouble) return;
      forget();
      onChange();
    },
    note({ runId, server, why, since = clock.now() }: CallEnd): void {
      if (why === undefined) return noteAnswer();
      // Another server, because the settings were changed, or a trouble of long ago: its time does not count.
      if (trouble && (trouble.server !== server || clock.now() - trouble.metAt > FORGOTTEN_AFTER_MS)) forget();
      trouble = { server, why, since: trouble?.since ?? since, metAt: clock.now() };
      if (runId !== null && waiting.size < MAX_WAITING) waiting.add(runId);
      const tellAt = trouble.since + TOLD_AFTER_MS;
      if (clock.now() >= tellAt) return tellWaiting();
      // A back end may ask for an hour until the next try: no other call would bring it up.
      timer ??= clock.at(tellAt, tellWaiting);
      onChange();
    },
  };
}
