// The history file of one session: append-only JSONL, on disk before anything relies on it. Knows nothing about the host or the model.
import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../src/core/clock.js';
import { openForAppend } from './plain-file.js';
import { type Entry, type HistoryRecord, historyRecord } from './records.js';

function parseLine(line: string): HistoryRecord[] {
  try {
    return [historyRecord.parse(JSON.parse(line))];
  } catch (error) {
    console.error('unreadable line in the history', error);
    return [];
  }
}

function syncFolder(dir: string): void {
  const folder = fs.openSync(dir, 'r');
  fs.fsyncSync(folder);
  fs.closeSync(folder);
}

/** Histories of task runs with a session of their own. A later run goes on in one only when people answer what it asked. */
const TASK_HISTORY = /^task\d+-\d+\.jsonl$/;
const KEPT_MS = 7 * 86_400_000;

/** When `name` is such a history: removes the others that nothing was written to for a week. */
export function removeOldHistories(dir: string, name: string): void {
  if (!TASK_HISTORY.test(`${name}.jsonl`)) return;
  for (const other of fs.readdirSync(dir).filter((file) => TASK_HISTORY.test(file) && file !== `${name}.jsonl`)) {
    const file = path.join(dir, other);
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() && stat.mtimeMs < systemClock.now() - KEPT_MS) fs.rmSync(file, { force: true });
  }
}

export type Session = ReturnType<typeof openSession>;

/** Opens or creates `<dir>/<name>.jsonl` for one run. A last line that a crash cut off is removed. Throws when no file can be there. */
export function openSession({ dir, name, runId }: { dir: string; name: string; runId: number }) {
  const file = path.join(dir, `${path.basename(name)}.jsonl`);
  const fd = openForAppend(file);
  const bytes = fs.readFileSync(fd);
  // A new file is on disk only when its folder is.
  if (bytes.length === 0) syncFolder(dir);
  const whole = bytes.lastIndexOf('\n') + 1;
  if (whole < bytes.length) fs.ftruncateSync(fd, whole);
  const records = bytes.toString('utf8', 0, whole).split('\n').filter(Boolean).flatMap(parseLine);
  let isClosed = false;
  return {
    records,
    /** Writes one record and returns its `seq` when it is on disk. Throws when it cannot be. */
    append(entry: Entry): number {
      // The number of the file may be that of another history by now.
      if (isClosed) throw new Error('the run of this history is over');
      const record = { seq: (records.at(-1)?.seq ?? 0) + 1, ts: systemClock.now(), runId, ...entry };
      fs.writeSync(fd, `${JSON.stringify(record)}\n`);
      fs.fsyncSync(fd);
      records.push(record);
      return record.seq;
    },
    /** True when the history has the message. */
    knows: (messageId: number) => records.some((r) => r.kind === 'user' && r.messageIds.includes(messageId)),
    /** Closes the file for good, and removes it when nothing was written to it. */
    close(): void {
      isClosed = true;
      if (fs.fstatSync(fd).size === 0) fs.rmSync(file, { force: true });
      fs.closeSync(fd);
    },
  };
}
