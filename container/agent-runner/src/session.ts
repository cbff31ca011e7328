// The history file of one session: append-only JSONL, on disk before anything relies on it. Knows nothing about the host or the model.
import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../src/core/clock.js';
import { archiveName } from '../../../src/wire.js';
import { openForAppend } from './plain-file.js';
import { type Entry, type HistoryRecord, historyRecord, keptOfArchived } from './records.js';

interface Line {
  record: HistoryRecord;
  /** Where it begins in the file. */
  at: number;
}

/** Of whole lines. What cannot be read is left out. */
function parseLines(bytes: Buffer): Line[] {
  const lines: Line[] = [];
  for (let at = 0, end = bytes.indexOf(10); end >= 0; at = end + 1, end = bytes.indexOf(10, at)) {
    if (end === at) continue;
    try {
      lines.push({ record: historyRecord.parse(JSON.parse(bytes.toString('utf8', at, end))), at });
    } catch (error) {
      console.error('unreadable line in the history', error);
    }
  }
  return lines;
}

/** What a history was when a run of this container closed it. */
interface Kept {
  records: HistoryRecord[];
  version: string;
}
export type KeptHistories = Map<string, Kept>;
const MAX_KEPT = 4;
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

/** Another one after every change, whoever made it: the folder is the agent's too. */
function versionOf(fd: number): string {
  const { ino, size, mtimeNs, ctimeNs } = fs.fstatSync(fd, { bigint: true });
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

function syncFolder(dir: string): void {
  const folder = fs.openSync(dir, 'r');
  fs.fsyncSync(folder);
  fs.closeSync(folder);
}

interface Place {
  dir: string;
  session: string;
}
const fileOf = ({ dir, session }: Place): string => path.join(dir, `${session}.jsonl`);

/** So many bytes are read in no time: less is not moved. */
const ARCHIVED_BYTES = 128 * 1024;

/**
 * The place of the last summary, when what lies before it is to be moved; else 0. A run that has been here before may need all of it: its
 * requests, and the ids of its calls.
 */
function summaryToArchive(lines: Line[], runId: number): number {
  const summary = lines.findLastIndex(({ record }) => record.kind === 'compact');
  const isLong = (lines[summary]?.at ?? 0) > ARCHIVED_BYTES;
  return isLong && !lines.some(({ record }) => record.runId === runId) ? summary : 0;
}

/**
 * Moves what lies before the summary to the archive of the session: no run reads that again. Killed after any step, the next run does the rest:
 * what is in the archive is known by its `seq`. False, and the history stays as it is, when the disk takes no more.
 */
function archive(place: Place, { lines, bytes, summary }: { lines: Line[]; bytes: Buffer; summary: number }): boolean {
  const records = lines.map(({ record }) => record);
  const cut = lines[summary]?.at ?? 0;
  const kept = keptOfArchived(records.slice(0, summary)).map((record) => `${JSON.stringify(record)}\n`);
  try {
    const known = endOfArchive(place);
    const first = lines.findIndex(({ record }) => record.seq > known);
    write(path.join(place.dir, archiveName(place.session)), [bytes.subarray(lines[first]?.at ?? cut, cut)]);
    syncFolder(place.dir);
    const part = `${fileOf(place)}.part`;
    fs.rmSync(part, { force: true });
    write(part, [Buffer.from(kept.join('')), bytes.subarray(cut)]);
    fs.renameSync(part, fileOf(place));
    syncFolder(place.dir);
    return true;
  } catch (error) {
    console.error('the history cannot be archived', error);
    return false;
  }
}

/** Appends; returns when it is on disk. */
function write(file: string, pieces: Buffer[]): void {
  const fd = openForAppend(file);
  try {
    for (const piece of pieces) for (let done = 0; done < piece.length; ) done += fs.writeSync(fd, piece, done);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** The `seq` of the last record in the archive; 0 when there is none. A line that a crash cut off is removed. */
function endOfArchive({ dir, session }: Place): number {
  const fd = openForAppend(path.join(dir, archiveName(session)));
  try {
    const { size } = fs.fstatSync(fd);
    for (let length = 64 * 1024; ; length *= 8) {
      const bytes = Buffer.alloc(Math.min(length, size));
      fs.readSync(fd, bytes, 0, bytes.length, size - bytes.length);
      const whole = bytes.lastIndexOf(10) + 1;
      const before = bytes.lastIndexOf(10, whole - 2);
      // The last whole line must be there from its beginning.
      if (bytes.length < size && (whole === 0 || before < 0)) continue;
      fs.ftruncateSync(fd, size - bytes.length + whole);
      return parseLines(bytes.subarray(before + 1, whole)).at(-1)?.record.seq ?? 0;
    }
  } finally {
    fs.closeSync(fd);
  }
}

export type Session = ReturnType<typeof openSession>;

interface HistoryOfRun {
  dir: string;
  name: string;
  runId: number;
  /** Histories that need not be read again. */
  kept?: KeptHistories | undefined;
}

/** Opens or creates `<dir>/<name>.jsonl` for one run. A last line that a crash cut off is removed. Throws when no file can be there. */
export function openSession({ dir, name, runId, kept = new Map() }: HistoryOfRun) {
  const place = { dir, session: path.basename(name) };
  const file = fileOf(place);
  const { fd, records } = open(place, runId, kept);
  let isClosed = false;
  let isOnDisk = true;
  function sync(): void {
    if (!isOnDisk) fs.fdatasyncSync(fd);
    isOnDisk = true;
  }
  function note(entry: Entry): number {
    // The number of the file may be that of another history by now.
    if (isClosed) throw new Error('the run of this history is over');
    const record = { seq: (records.at(-1)?.seq ?? 0) + 1, ts: systemClock.now(), runId, ...entry };
    isOnDisk = false;
    fs.writeSync(fd, `${JSON.stringify(record)}\n`);
    records.push(record);
    return record.seq;
  }
  return {
    records,
    /** Writes one record and returns its `seq` when it, and all before it, is on disk. Throws when it cannot be. */
    append(entry: Entry): number {
      const seq = note(entry);
      sync();
      return seq;
    },
    /**
     * Writes one record on which nothing depends before the next `append`, or `close`: until then a power cut may take it, and the host, which
     * knows of no answer, gives it again. A killed process loses nothing.
     */
    note,
    /** True when the history has the message. */
    knows: (messageId: number) => records.some((r) => r.kind === 'user' && r.messageIds.includes(messageId)),
    /** Closes the file for good, all of it on disk, and removes it when nothing was written to it. */
    close(): void {
      isClosed = true;
      try {
        sync();
        keep(kept, place.session, fd, records);
        if (fs.fstatSync(fd).size === 0) fs.rmSync(file, { force: true });
      } finally {
        fs.closeSync(fd);
      }
    },
  };
}

/** For the next run in this container. Not one with a summary, whose older part is to be moved, nor a long one. */
function keep(kept: KeptHistories, session: string, fd: number, records: HistoryRecord[]): void {
  kept.delete(session);
  const isLong = fs.fstatSync(fd).size > MAX_KEPT_BYTES || records.some(({ kind }) => kind === 'compact');
  if (records.length > 0 && !isLong) kept.set(session, { records, version: versionOf(fd) });
  for (const oldest of [...kept.keys()].slice(0, -MAX_KEPT)) kept.delete(oldest);
}

function open(place: Place, runId: number, kept: KeptHistories): { fd: number; records: HistoryRecord[] } {
  const file = fileOf(place);
  let fd = openForAppend(file);
  const known = kept.get(place.session);
  if (known?.version === versionOf(fd)) return { fd, records: known.records };
  const bytes = fs.readFileSync(fd);
  // A new file is on disk only when its folder is.
  if (bytes.length === 0) syncFolder(place.dir);
  const whole = bytes.lastIndexOf(10) + 1;
  if (whole < bytes.length) fs.ftruncateSync(fd, whole);
  const lines = parseLines(bytes.subarray(0, whole));
  let records = lines.map(({ record }) => record);
  const summary = summaryToArchive(lines, runId);
  if (summary > 0 && archive(place, { lines, bytes: bytes.subarray(0, whole), summary })) {
    fs.closeSync(fd);
    fd = openForAppend(file);
    records = [...keptOfArchived(records.slice(0, summary)), ...records.slice(summary)];
  }
  return { fd, records };
}
