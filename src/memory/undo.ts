// What taking back the last change of a run means: which files become what they were before it. Reads rows and changes none.
import type { Present, RestoreItem, Version } from './rows.js';
import type { Store } from './store.js';

export interface Undo {
  runId: number;
  files: { now: Present; back: Version | undefined }[];
  /** Of exactly this: when anything changed since it was shown, it is another one. */
  key: string;
}

/**
 * The last run whose changes are still there: those that were taken back, and those that something later changed, do not count. `before`: the
 * version of a file before what a run made of it.
 */
export function planUndo(
  present: Present[],
  before: (of: Present, runId: number) => Version | undefined,
): Undo | undefined {
  const ofRuns = present.filter(({ sourceRunId }) => sourceRunId !== null);
  const last = ofRuns.reduce<Present | undefined>((a, b) => (a && a.sourceId > b.sourceId ? a : b), undefined);
  const runId = last?.sourceRunId ?? undefined;
  if (runId === undefined) return undefined;
  const changed = ofRuns.filter(({ sourceRunId }) => sourceRunId === runId);
  const files = changed.map((now) => ({ now, back: before(now, runId) }));
  const newest = Math.max(...changed.map(({ id }) => id));
  return { runId, files, key: `${runId}-${newest}-${files.length}` };
}

/** What `/undo` in this group is about now. */
export const undoOf = ({ memory }: Store, groupId: number): Undo | undefined =>
  planUndo(memory.present(groupId), ({ path, sourceId }, runId) => memory.before(groupId, path, sourceId, runId));

/** A file that was not there before goes. */
export const itemsOf = ({ files }: Undo): RestoreItem[] =>
  files.map(({ now, back }) => ({ path: now.path, version: back?.id ?? null, over: now.id }));
