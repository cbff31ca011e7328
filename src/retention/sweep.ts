// Takes away what is old: a pass over all tables every hour, in steps of a few milliseconds with pauses between them. A pass keeps nothing but its
// place in memory: after any end of the process the next one begins anew, and goes on where rows are left.

import { type Begun, unwatched } from '../core/begun.js';
import type { Clock } from '../core/clock.js';
import type { Db } from '../core/db.js';
import { describeError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { type FileDeps, removeHistory, removeInboxFiles, sweepChannelFiles, sweepMedia, sweepOutbox } from './files.js';
import type { Limits, Walk } from './rows.js';

export interface RetentionDeps extends FileDeps {
  store: FileDeps['store'] & Pick<Db, 'settings' | 'unhurried' | 'transaction'>;
  config: FileDeps['config'] & { keepDays: number; keepMessagesDays: number };
  clock: Pick<Clock, 'now' | 'sleep'>;
  log: Pick<Logger, 'info' | 'warn'>;
  /** Knows at the next start which row was being taken away when Pinch ended. */
  begun?: Begun;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** After a start others come first. */
const AFTER_START_MS = 10_000;
/** How long a step goes on, ms; the last piece of it and the commit come on top. What is longer than LONG_MS makes the next pieces smaller. */
const STEP_MS = 2;
const LONG_MS = 6;
/** For each millisecond of work the others have four, and ten at least. */
const REST = 4;
const REST_MS = 10;
const [FEWEST_ROWS, MOST_ROWS] = [5, 100];
/** A clock that is so much further than at the last look was set, or the machine was off for long: it is believed when it still says so later. */
const JUMP_MS = 7 * DAY_MS;
const DOUBT_MS = 10 * 60_000;
const JUMP_SETTING = 'retention_looked_at';
/** What the run of a file may still need for a retry is kept so long. */
const FILES_MS = 7 * DAY_MS;
/** No platform delivers anything again after a year. */
const REMEMBERED_MS = 365 * DAY_MS;
/** Keys of an account that was linked anew are of no use, except to whoever looks for the reason. */
const FORMER_ACCOUNT_MS = 30 * DAY_MS;

export function startRetention(deps: RetentionDeps): { stop(): Promise<void> } {
  const over = new AbortController();
  const { signal } = over;
  const mayForget = createJumpGuard(deps);
  const loop = async () => {
    await deps.clock.sleep(AFTER_START_MS, signal);
    while (!signal.aborted) {
      const isSure = mayForget();
      if (isSure) await passOnce(deps, signal);
      await deps.clock.sleep(isSure ? HOUR_MS : DOUBT_MS, signal);
    }
  };
  const finished = loop();
  return {
    async stop() {
      over.abort();
      await finished;
    },
  };
}

/** Whether the clock can be believed: one that is years ahead would take away everything. */
function createJumpGuard({ store, clock }: RetentionDeps): () => boolean {
  let hasDoubted = false;
  return () => {
    const now = clock.now();
    const jumped = now - Number(store.settings.get(JUMP_SETTING) ?? now) > JUMP_MS;
    if (jumped && !hasDoubted) {
      hasDoubted = true;
      return false;
    }
    hasDoubted = false;
    store.settings.set(JUMP_SETTING, String(now));
    return true;
  };
}

type Gone = Record<string, number>;

/** Everything that is over now. Ends early when `signal` aborts. */
export async function passOnce(deps: RetentionDeps, signal: AbortSignal): Promise<Gone> {
  const { clock, log, config } = deps;
  const gone: Gone = {};
  try {
    await inSteps(deps, gone, signal);
    if (signal.aborted) return gone;
    const filesMs = Math.min(FILES_MS, (config.keepDays || FILES_MS) * DAY_MS);
    const files = await sweepMedia(deps, clock.now() - filesMs);
    gone.files = files + (await sweepOutbox(deps, clock.now() - DAY_MS));
    if (config.keepDays > 0) gone.files += await sweepChannelFiles(deps, clock.now() - config.keepDays * DAY_MS);
  } catch (error) {
    log.warn({ error: describeError(error) }, 'old rows could not be taken away; the next try is in an hour');
  }
  if (Object.values(gone).some((rows) => rows > 0)) log.info({ gone }, 'what was old is gone');
  return gone;
}

async function inSteps(deps: RetentionDeps, gone: Gone, signal: AbortSignal): Promise<void> {
  const { store, clock } = deps;
  const pass: Pass = { ...deps, gone, limits: { now: clock.now(), before: 0, rows: FEWEST_ROWS }, afterwards: [] };
  const work = walkAll(pass);
  for (let isDone = false; !isDone && !signal.aborted; ) {
    const began = performance.now();
    isDone = store.unhurried(() => workUntil(work, began + STEP_MS));
    // Only what is committed takes its files along.
    for (const act of pass.afterwards.splice(0)) act();
    const tookMs = performance.now() - began;
    pass.limits.rows =
      tookMs > LONG_MS ? Math.max(FEWEST_ROWS, pass.limits.rows >> 1) : Math.min(MOST_ROWS, pass.limits.rows + 1);
    if (!isDone) await clock.sleep(Math.max(REST_MS, tookMs * REST), signal);
  }
}

function workUntil(work: Generator<void>, end: number): boolean {
  for (;;) {
    if (work.next().done) return true;
    if (performance.now() >= end) return false;
  }
}

interface Pass extends RetentionDeps {
  gone: Gone;
  /** The same object all the time. */
  limits: Limits;
  /** To be done once the step is committed. */
  afterwards: (() => void)[];
}

/** Small pieces of work, one per turn. */
function* walkAll(pass: Pass): Generator<void> {
  const { limits, config, store } = pass;
  const rows = store.retention;
  const ago = (ms: number) => Math.max(0, limits.now - ms);
  if (config.keepDays > 0) {
    limits.before = ago(config.keepDays * DAY_MS);
    yield* walk(pass, rows.runs, (id) => {
      const had = rows.runs.sessionOf(id);
      return had && (() => removeHistory(pass, had));
    });
    for (const each of [rows.modelCalls, rows.outbox, rows.approvals, rows.memoryVersions, rows.memoryRestores])
      yield* walk(pass, each);
    yield* walkSlots(pass);
    yield* walkTaints(pass);
  }
  if (config.keepMessagesDays > 0) {
    limits.before = ago(config.keepMessagesDays * DAY_MS);
    yield* walk(pass, rows.messages, (id) => {
      const had = rows.mediaOf(id);
      return had && (() => removeInboxFiles(pass, { id, ...had }));
    });
  }
  limits.before = ago(REMEMBERED_MS);
  yield* walk(pass, rows.forgotten);
  limits.before = ago(FORMER_ACCOUNT_MS);
  yield* walkFormerAccounts(pass);
}

/** `filesOf` is asked before the row is gone, and says what is to be done after that. */
function* walk(pass: Pass, table: Walk, filesOf?: (id: number) => (() => void) | undefined): Generator<void> {
  const { limits, gone, afterwards } = pass;
  for (let after = 0; ; ) {
    const page = table.page(after, limits.before, limits.rows);
    // The clock may have been ahead for some rows: only where all are young the rest is.
    if (!page.some(({ isOld }) => isOld)) return;
    yield;
    for (const { id, isOver } of page) {
      after = id;
      if (!isOver) continue;
      const removeFiles = filesOf?.(id);
      while (!forgetSafely(pass, table, id)) yield;
      if (removeFiles) afterwards.push(removeFiles);
      gone[table.name] = (gone[table.name] ?? 0) + 1;
      yield;
    }
  }
}

/** A row that cannot go must not hold up the others: it is left, and told. */
function forgetSafely({ store, log, limits, begun = unwatched }: Pass, table: Walk, id: number): boolean {
  const name = `old-row ${table.name} ${id}`;
  if (begun.isSetAside(name)) return true;
  try {
    return begun.guarded(name, () => store.transaction(() => table.forget(id, limits)));
  } catch (error) {
    log.warn({ table: table.name, id, error: describeError(error) }, 'an old row cannot be taken away');
    return true;
  }
}

function* walkSlots({ store, limits, gone }: Pass): Generator<void> {
  const { tasksAfter, forgetSlots } = store.retention;
  for (let last = 0; ; ) {
    const tasks = tasksAfter(last, limits.rows);
    if (tasks.length === 0) return;
    for (const id of tasks) {
      last = id;
      for (let isLeft = true; isLeft; ) {
        const most = limits.rows;
        const went = forgetSlots(id, limits.before, most);
        gone.slots = (gone.slots ?? 0) + went;
        isLeft = went === most;
        yield;
      }
    }
  }
}

/** A container that lives since then may know what its session was given: marks are kept as long as this process runs. */
function* walkTaints({ store, limits, gone }: Pass): Generator<void> {
  const { taintsAfter, forgetTaint } = store.retention;
  const before = Math.min(limits.before, limits.now - performance.now());
  for (let last = ''; ; ) {
    const page = taintsAfter(last, before, limits.rows);
    yield;
    for (const { session, isOver } of page) {
      last = session;
      if (isOver) gone.taints = (gone.taints ?? 0) + Number(forgetTaint(session));
    }
    if (page.length === 0) return;
  }
}

function* walkFormerAccounts({ store, limits, gone }: Pass): Generator<void> {
  const { channelAfter, forgetAccount } = store.retention;
  for (let channel = channelAfter(''); channel !== undefined; channel = channelAfter(channel)) {
    const [, asideAt = Infinity] = /@(\d+)$/.exec(channel) ?? [];
    for (let isLeft = Number(asideAt) < limits.before; isLeft; ) {
      const most = limits.rows;
      const went = forgetAccount(channel, most);
      gone.channel_auth = (gone.channel_auth ?? 0) + went;
      isLeft = went === most;
      yield;
    }
  }
}
