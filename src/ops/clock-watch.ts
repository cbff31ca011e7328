// Notices when the machine's clock jumps, also while Pinch was not there, and corrects what was planned by it. Set back: what is to happen "not
// before" or "until" a time would wait until the clock is there again, so each of these times moves along. Forward (a laptop slept, Pinch was
// stopped): what ends when nobody answers in time could not be answered meanwhile, so it gets that time again. Times that only tell stay.
import type { Clock } from '../core/clock.js';
import type { Db } from '../core/db.js';
import type { Logger } from '../core/log.js';

interface Planned {
  table: string;
  column: string;
  /** Which rows; all unless told. */
  where?: string;
  /** Nobody can keep this time while Pinch is not there: when it ends, or when it began. */
  needsUs?: 'end' | 'begin';
}

/** Every time that something waits for, or that begins a length of time which counts. Those of tasks are planned anew by their scheduler. */
export const PLANNED: Planned[] = [
  { table: 'runs', column: 'run_at', where: `state = 'ready'` },
  { table: 'runs', column: 'restart_told_at', where: `state IN ('ready', 'leased')` },
  { table: 'groups', column: 'parked_until' },
  { table: 'outbox', column: 'next_at', where: `state = 'queued'` },
  { table: 'outbox', column: 'next_at', where: `state = 'sent' AND buttons_over = 1` },
  { table: 'outbox', column: 'created_at', where: `state = 'queued'`, needsUs: 'begin' },
  { table: 'approvals', column: 'expires_at', where: `state = 'open'`, needsUs: 'end' },
  { table: 'approvals', column: 'created_at' },
  { table: 'egress_rules', column: 'until' },
  { table: 'egress_bytes', column: 'since' },
  { table: 'silent_streaks', column: 'since' },
  { table: 'taints', column: 'seen_at' },
  { table: 'page_sessions', column: 'expires_at' },
  { table: 'service_tokens', column: 'expires_at' },
];

const LOOK_MS = 30_000;
/** Clocks are adjusted by less than that all the time. */
const SET_BACK_MS = 5_000;
/** How often the time is written down for the next start. */
const NOTE_MS = 5 * 60_000;
const SEEN = 'clock:seen';

interface ClockWatchDeps {
  store: Pick<Db, 'statements' | 'settings' | 'transaction' | 'signal'>;
  clock: Clock;
  log: Pick<Logger, 'warn' | 'info'>;
}

export function createClockWatch({ store, clock, log }: ClockWatchDeps) {
  const { run } = store.statements;
  const over = new AbortController();
  const change = ({ table, column, where = 'true' }: Planned, isBefore: boolean) =>
    run<[at: number, ms: number]>(
      `UPDATE ${table} SET ${column} = ${column} + ?2 WHERE ${where} AND ${column} ${isBefore ? '<=' : '>'} ?1`,
    );
  const moveBack = PLANNED.map((planned) => change(planned, false));
  // What ended before the last look had its time.
  const giveTime = PLANNED.flatMap((one) => (one.needsUs ? [change(one, one.needsUs === 'begin')] : []));
  let seen = Number(store.settings.get(SEEN) ?? clock.now());
  let noted = 0;

  function note(now: number): void {
    noted = now;
    store.settings.set(SEEN, String(now));
  }

  /** Harmless at any time. */
  function look(): void {
    const now = clock.now();
    const ms = now - seen;
    const isSetBack = ms < -SET_BACK_MS;
    if (isSetBack || ms > 2 * LOOK_MS) {
      store.transaction(() => {
        for (const one of isSetBack ? moveBack : giveTime) one(isSetBack ? now : seen, ms);
        note(now);
      });
      if (isSetBack) log.warn({ ms }, 'the clock was set back: what waits for a time was moved along');
      else log.info({ ms }, 'Pinch was not there: what waits for an answer gets this time again');
      for (const signal of ['task', 'run:ready', 'outbox', 'clock'] as const) store.signal(signal);
    } else if (now - noted >= NOTE_MS) note(now);
    seen = now;
  }

  async function watch(): Promise<void> {
    while (!over.signal.aborted) {
      await clock.sleep(LOOK_MS, over.signal);
      if (!over.signal.aborted) look();
    }
  }
  return {
    look,
    /** Before anything else reads a time: the last process may have ended under another clock. */
    start(): void {
      look();
      void watch();
    },
    stop(): void {
      over.abort();
      look();
      note(clock.now());
    },
  };
}
