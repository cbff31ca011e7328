// What was done since yesterday evening, or for so many hours: the runs with what they cost and why they failed, times of tasks that were left
// out, what waits for an answer, and whose memory changes still stand. Reads rows and changes none.
import { endOfDay } from '../core/day.js';
import { oneLine } from '../core/one-line.js';
import type { Group, Run } from '../core/types.js';
import type { Store as MemoryStore } from '../memory/store.js';
import { whatOf } from '../runs/run-text.js';
import type { Store as TaskStore } from '../tasks/store.js';

export interface RecapDeps {
  store: TaskStore & MemoryStore;
  clock: { now(): number };
  config: { timeZone: string };
}

/** What whoever asks may see: everything, one group, or the runs of one chat. */
export type Seen = { kind: 'all' } | { kind: 'group'; group: Group } | { kind: 'chat'; chatId: number };

/** Runs that are looked at: a busy day has fewer, and a page must not wait for more. */
const MOST_RUNS = 150;
const MOST_MISSED = 10;
const MAX_WHY_CHARS = 240;
const HOUR_MS = 3_600_000;
const EVENING_HOUR = 18;

export type Recap = ReturnType<typeof recapOf>;
export type RecapRun = Recap['runs'][number];

/** Yesterday at 18:00 where people are; across a change of the clocks an hour beside it. */
export function yesterdayEvening(now: number, timeZone: string): number {
  const midnight = endOfDay(now - 24 * HOUR_MS, timeZone);
  return midnight - (24 - EVENING_HOUR) * HOUR_MS;
}

/** Newest run first. */
export function recapOf({ store, clock, config }: RecapDeps, seen: Seen, hours?: number) {
  const now = clock.now();
  const since = hours === undefined ? yesterdayEvening(now, config.timeZone) : now - hours * HOUR_MS;
  const newest = newestOf(store, seen);
  const runs = newest.filter((run) => lastAt(run) >= since).map((run) => viewOf(store, run));
  const isOwners = seen.kind !== 'chat';
  const count = (...states: Run['state'][]) => runs.filter(({ state }) => states.includes(state)).length;
  return {
    since,
    now,
    timeZone: config.timeZone,
    runs,
    /** There were more than were looked at. */
    isCut: newest.length === MOST_RUNS && runs.length === MOST_RUNS,
    done: count('done'),
    failed: count('dead'),
    stopped: count('cancelled'),
    open: count('ready', 'leased'),
    costMicroUsd: runs.reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0),
    missed: isOwners ? store.tasks.missedSince(since, seen.kind === 'group' ? seen.group.id : null, MOST_MISSED) : [],
    approvalsOpen: isOwners ? (store.approvals.marks()?.open ?? 0) : 0,
    /** What `/undo` in each group takes back. */
    changed: isOwners
      ? changedBy(
          store,
          newest.filter((run) => lastAt(run) >= since),
          seen,
        )
      : [],
  };
}

function newestOf({ runs }: TaskStore, seen: Seen): Run[] {
  if (seen.kind === 'all') return runs.list(null, MOST_RUNS);
  return seen.kind === 'group' ? runs.ofGroup(seen.group.id, MOST_RUNS) : runs.ofChat(seen.chatId, MOST_RUNS);
}

/** When something happened to it last; now for one that is not over. */
const lastAt = ({ state, finishedAt, createdAt }: Run): number =>
  state === 'ready' || state === 'leased' ? Number.POSITIVE_INFINITY : (finishedAt ?? createdAt);

function viewOf(store: TaskStore, run: Run) {
  const { id, state, taskId, attempt, createdAt, startedAt, finishedAt } = run;
  return {
    ...{ id, state, taskId, attempt, finishedAt },
    at: startedAt ?? createdAt,
    what: whatOf(store, run, oneLine) || run.kind,
    group: store.groups.get(run.groupId)?.folder ?? '',
    costMicroUsd: store.usage.spentByRun(id),
    why: state === 'done' || !run.error ? null : oneLine(run.error, MAX_WHY_CHARS),
  };
}

/** Files whose present text is of such a run: by run, the newest first. */
function changedBy({ memory }: RecapDeps['store'], runs: Run[], { kind }: Seen) {
  const groups = kind === 'chat' ? [] : [...new Set(runs.map(({ groupId }) => groupId))];
  const present = groups.flatMap((groupId) => memory.present(groupId));
  return runs
    .map(({ id }) => ({
      run: id,
      files: present
        .filter(({ sourceRunId, restores }) => sourceRunId === id && restores === null)
        .map(({ path }) => path),
    }))
    .filter(({ files }) => files.length > 0);
}
