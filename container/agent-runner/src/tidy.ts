// Files of the runner that nobody needs any more, by their age. Knows nothing about what is in them.
import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../src/core/clock.js';
import type { Paths } from './context.js';

const DAY_MS = 86_400_000;

/** Removes plain files of the folder that nothing was written to for so long. */
function removeOld(dir: string, keptMs: number, isOurs: (name: string) => boolean): void {
  for (const name of fs.readdirSync(dir).filter(isOurs)) {
    const file = path.join(dir, name);
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() && stat.mtimeMs < systemClock.now() - keptMs) fs.rmSync(file, { force: true });
  }
}

/** Histories of runs with a session of their own: of tasks, and replays. A later run goes on in one only when people answer what it asked. */
const OF_ONE_RUN = /^(task\d+|replay-\d+)-\d+(\.archive)?\.jsonl$/;

/** When `name` is such a history: removes the others after a week. */
export function removeOldHistories(dir: string, name: string): void {
  if (!OF_ONE_RUN.test(`${name}.jsonl`)) return;
  removeOld(dir, 7 * DAY_MS, (file) => OF_ONE_RUN.test(file) && file !== `${name}.jsonl`);
}

/** Logs of background jobs and output that was too long for a result, after a month. Never throws: the folder is the agent's. */
export function removeOldOutput({ workspace }: Paths): void {
  try {
    removeOld(path.join(workspace, '.out'), 30 * DAY_MS, (file) => /\.(log|txt)$/.test(file));
  } catch {
    // There is none yet, or something else in its place.
  }
}

/** Calls `work` once a day at most, when it is asked to. */
export function onceADay(work: () => void): () => void {
  let doneAt = 0;
  return () => {
    if (systemClock.now() - doneAt < DAY_MS) return;
    doneAt = systemClock.now();
    work();
  };
}
