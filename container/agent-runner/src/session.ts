// One session's history file: append-only JSONL, on disk before anything relies on it. Knows nothing about the host or the model.
import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../src/core/clock.js';
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

/** Of runs that begin with nothing: no later run goes on in them, but people may still answer what one asked. */
const FRESH = /^task\d+-\d+\.jsonl$/;
const KEPT_MS = 7 * 86_400_000;

/** When `name` is the history of a fresh run: removes those of others that nobody wrote to for a week, and nothing else. */
export function removeOldHistories(dir: string, name: string): void {
  if (!FRESH.test(`${name}.jsonl`)) return;
  const others = fs.readdirSync(dir).filter((file) => FRESH.test(file) && file !== `${name}.jsonl`);
  for (const file of others.map((other) => path.join(dir, other))) {
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() && stat.mtimeMs < systemClock.now() - KEPT_MS) fs.rmSync(file, { force: true });
  }
}

export type Session = ReturnType<typeof openSession>;

/** Opens (or creates) `<dir>/<name>.jsonl` for one run; a last line that a crash cut off is removed. */
export function openSession({ dir, name, runId }: { dir: string; name: string; runId: number }) {
  const file = path.join(dir, `${path.basename(name)}.jsonl`);
  const fd = fs.openSync(file, 'a', 0o600);
  const bytes = fs.readFileSync(file);
  // The name of a new file must be on disk as well.
  if (bytes.length === 0) syncFolder(dir);
  const whole = bytes.lastIndexOf('\n') + 1;
  if (whole < bytes.length) fs.ftruncateSync(fd, whole);
  const lines = bytes.toString('utf8', 0, whole).split('\n').filter(Boolean);
  const records: HistoryRecord[] = lines.flatMap(parseLine);
  return {
    records,
    /** Writes one record and returns its `seq` when it is on disk. Throws when it cannot be. */
    append(entry: Entry): number {
      const record = { seq: (records.at(-1)?.seq ?? 0) + 1, ts: systemClock.now(), runId, ...entry };
      fs.writeSync(fd, `${JSON.stringify(record)}\n`);
      fs.fsyncSync(fd);
      records.push(record);
      return record.seq;
    },
    /** True when the host's message is in the history already. */
    knows: (messageId: number) => records.some((r) => r.kind === 'user' && r.messageIds.includes(messageId)),
    /** A file that nothing was written to is not left behind. */
    close(): void {
      if (fs.fstatSync(fd).size === 0) fs.rmSync(file);
      fs.closeSync(fd);
    },
  };
}
