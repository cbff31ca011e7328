// Who may work in which container when there are fewer than groups that want one. Pure. The bounds, which docs/tasks.md tells:
// - At most three runs work in a container, two of them background work (hooks and tasks): a person finds a place beside it.
// - With several containers, background work leaves one of them to people.
// - A group with work for people waits PATIENCE_MS; then the group that has had its container for longest gets no further runs and gives it up
//   after its present ones, and one group more each further PATIENCE_MS, so that one long run does not decide. For background work one group does.
//   Nobody gives way within PATIENCE_MS of getting a container. So with g groups that never rest, c containers and runs of at most r, each group
//   has its turn within (g / c) * (PATIENCE_MS + r) or so.
// - A group that gives way still takes what people ask for while background work keeps its container anyway: nobody waits for another's task.

/** Runs of different sessions of one group at the same time. */
const MAX_RUNS = 3;
const MAX_BACKGROUND = 2;
export const PATIENCE_MS = 15_000;

/** What a group has of a container. */
export interface Turn {
  runs: number;
  /** Those of `runs` that nobody waits for. */
  background: number;
  /** When it got the container. */
  since: number;
  /** Another group gets it after the present runs. */
  givesWay: boolean;
}

export interface Waiting {
  groupId: number;
  isBackground: boolean;
  /** Since when it is its turn. */
  turnAt: number;
}

/** Whether a run of the group whose `entry` is given finds a place: there, or in a container of its own for which an idle one goes. */
export function decidePlace({
  entry,
  entries,
  most,
  isBackground,
}: {
  entry: Turn | undefined;
  entries: Turn[];
  most: number;
  isBackground: boolean;
}): boolean {
  const isBusy = ({ runs }: Turn) => runs > 0;
  if (entry && isBusy(entry)) {
    if (entry.runs >= MAX_RUNS) return false;
    if (isBackground) return !entry.givesWay && entry.background < MAX_BACKGROUND;
    return !entry.givesWay || entry.background > 0;
  }
  if (entry?.givesWay) return false;
  const busy = entries.filter(isBusy).length;
  return busy < (isBackground ? Math.max(1, most - 1) : most);
}

/** Marks which of `entries`, by group or dry run, give way to those that wait for a container. Returns when to look again, if anybody waits. */
export function shareOut(
  entries: Map<number | string, Turn>,
  waiting: Waiting[],
  { now, most }: { now: number; most: number },
): number | undefined {
  const wanted = waiting.map(({ groupId, isBackground, turnAt }) => {
    const places = Math.min(Math.floor((now - turnAt) / PATIENCE_MS), isBackground ? 1 : most);
    return { groupId, places: Math.max(0, places) };
  });
  let left = wanted.reduce((sum, { places }) => sum + places, 0);
  const longestFirst = [...entries].sort(([, one], [, other]) => one.since - other.since);
  for (const [groupId, entry] of longestFirst) {
    // One whose runs are over keeps its word, though its own group may wait again by now.
    const isFree = entry.runs === 0;
    const mayKeep = isFree && !(entry.givesWay && wanted.some((one) => one.places > 0 && one.groupId !== groupId));
    entry.givesWay = left > 0 && !mayKeep && now - entry.since >= PATIENCE_MS;
    left -= Number(entry.givesWay);
  }
  return waiting.length > 0 ? now + PATIENCE_MS : undefined;
}
