// One session's history file: append-only JSONL, on disk before anything relies on it. Knows nothing about the host or the model.
import fs from 'node:fs';
import path from 'node:path';
import type { Entry, HistoryRecord, TodoItem } from './records.js';
import { historyRecord } from './records.js';

export interface Session {
  readonly records: readonly HistoryRecord[];
  /** Writes one record and returns when it is on disk. Throws when it cannot be. */
  append(entry: Entry): void;
  /** True when the host's message is in the history already. */
  knows(messageId: number): boolean;
  todo(): TodoItem[];
  close(): void;
}

function parseLine(line: string): HistoryRecord | undefined {
  try {
    return historyRecord.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** Complete lines of the file, and the length in bytes they take; what follows is a write that a crash cut off. */
function readLines(file: string): { records: HistoryRecord[]; bytes: number } {
  if (!fs.existsSync(file)) return { records: [], bytes: 0 };
  const content = fs.readFileSync(file);
  const bytes = content.lastIndexOf(0x0a) + 1;
  const lines = content.subarray(0, bytes).toString('utf8').split('\n').filter(Boolean);
  const records = lines.flatMap((line) => parseLine(line) ?? []);
  if (records.length < lines.length) console.error(`${lines.length - records.length} unreadable lines in ${file}`);
  return { records, bytes };
}

function syncDirectory(dir: string): void {
  const fd = fs.openSync(dir, 'r');
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}

/** Opens (or creates) `<dir>/<name>.jsonl` for one run; a torn last line is cut off. */
export function openSession(options: { dir: string; name: string; runId: number; now: () => number }): Session {
  const file = path.join(options.dir, `${path.basename(options.name)}.jsonl`);
  const { records, bytes } = readLines(file);
  const isNew = !fs.existsSync(file);
  const fd = fs.openSync(file, 'a', 0o600);
  fs.ftruncateSync(fd, bytes);
  if (isNew) syncDirectory(options.dir);
  const known = new Set(records.flatMap((r) => (r.kind === 'user' ? r.messageIds : [])));
  return {
    records,
    append(entry) {
      const seq = (records.at(-1)?.seq ?? 0) + 1;
      const record = { seq, ts: options.now(), runId: options.runId, ...entry };
      fs.writeSync(fd, `${JSON.stringify(record)}\n`);
      fs.fsyncSync(fd);
      records.push(record);
      if (record.kind === 'user') for (const id of record.messageIds) known.add(id);
    },
    knows: (messageId) => known.has(messageId),
    todo: () => records.findLast((r) => r.kind === 'todo')?.items ?? [],
    close: () => fs.closeSync(fd),
  };
}
