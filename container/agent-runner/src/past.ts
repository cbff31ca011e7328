// Search in what the sessions of this group hold: what the agent did, read and said, also in conversations that are over or summarized. What people
// wrote, the host finds in its messages. Bounded in bytes and time; between two files other work goes on.
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { matches, type Query, readQuery } from '../../../src/groups/search-words.js';
import { archiveName } from '../../../src/wire.js';
import type { Paths } from './context.js';
import { readEnd } from './plain-file.js';
import { type Block, type HistoryRecord, historyRecord } from './records.js';
import { head } from './text.js';

export interface PastHit {
  session: string;
  at: number;
  /** What it was: `said`, `summary`, or of a tool `call` and `result`. */
  what: string;
  text: string;
}

const MAX_FILES = 200;
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_BYTES = 48 * 1024 * 1024;
const MAX_MS = 1_500;
/** Of one find, around the first word. */
const MAX_CHARS = 600;

/** Newest first. `now`: the session that asks; what it still sees is left out. */
export async function searchPast({ sessions }: Paths, now: string, text: string, limit: number): Promise<PastHit[]> {
  const query = readQuery(text);
  if (!query || query.terms.length === 0) return [];
  const until = performance.now() + MAX_MS;
  const hits: PastHit[] = [];
  let left = MAX_BYTES;
  for (const name of newestFiles(sessions)) {
    if (left <= 0 || hits.length >= limit || performance.now() > until) break;
    const bytes = readEnd(path.join(sessions, name), Math.min(left, MAX_FILE_BYTES));
    left -= bytes.length;
    hits.push(...(await findIn(bytes, { name, now, query, until, most: limit - hits.length })));
  }
  return hits;
}

function newestFiles(dir: string): string[] {
  const files = fs.readdirSync(dir).filter((name) => name.endsWith('.jsonl'));
  const known = files.flatMap((name) => {
    const stat = fs.lstatSync(path.join(dir, name), { throwIfNoEntry: false });
    return stat?.isFile() ? [{ name, at: stat.mtimeMs }] : [];
  });
  known.sort((a, b) => b.at - a.at);
  return known.slice(0, MAX_FILES).map(({ name }) => name);
}

interface Looked {
  name: string;
  now: string;
  query: Query;
  until: number;
  most: number;
}

async function findIn(bytes: Buffer, { name, now, query, until, most }: Looked): Promise<PastHit[]> {
  const lines = bytes.toString().split('\n');
  const isArchive = name === archiveName(now);
  // The model has before it what came after the last summary.
  const seenFrom =
    name === `${now}.jsonl` ? lines.findLastIndex((line) => line.includes('"kind":"compact"')) : lines.length;
  const session = name.replace(/(\.archive)?\.jsonl$/, '');
  const hits: PastHit[] = [];
  for (let at = Math.min(seenFrom, lines.length) - 1; at >= 0 && hits.length < most; at -= 1) {
    if (at % 50 === 0) await setImmediate();
    if (performance.now() > until) break;
    const record = readLine(lines[at] ?? '');
    if (!record || (isArchive && record.kind === 'compact')) continue;
    const found = textsOf(record).find(({ text }) => matches(query, text));
    if (found) hits.push({ session, at: record.ts, what: found.what, text: around(found.text, query) });
  }
  return hits;
}

function readLine(line: string): HistoryRecord | undefined {
  try {
    return line === '' ? undefined : historyRecord.safeParse(JSON.parse(line)).data;
  } catch {
    // The first line of a piece, or one that a crash cut off.
    return undefined;
  }
}

function textsOf(record: HistoryRecord): { what: string; text: string }[] {
  if (record.kind === 'compact') return record.content.flatMap((part) => textIn(part, 'summary'));
  if (record.kind === 'assistant') return record.content.flatMap((part) => textIn(part, 'said'));
  if (record.kind === 'user' && record.origin === 'results') return record.content.flatMap((part) => textIn(part, ''));
  return [];
}

/** Of an own search nothing: each would find the last one. `what`: of texts; none where they are words of people. */
function textIn(part: Block, what: string): { what: string; text: string }[] {
  if (part.type === 'text') return what ? [{ what, text: part.text }] : [];
  if (part.type === 'tool_use')
    return part.name === 'search_history' ? [] : [{ what: `call of ${part.name}`, text: JSON.stringify(part.input) }];
  if (part.type !== 'tool_result') return [];
  const { content = '' } = part;
  const texts =
    typeof content === 'string' ? [content] : content.flatMap((one) => (one.type === 'text' ? [one.text] : []));
  return texts.filter((text) => !FOUND.test(text)).map((text) => ({ what: 'result', text }));
}
const FOUND = /^<(message|memory|session) |^Nothing found\./;

function around(text: string, { terms }: Query): string {
  const lower = text.toLowerCase();
  const first = Math.max(
    0,
    Math.min(...terms.map(({ term }) => lower.indexOf(term)).filter((at) => at >= 0), text.length),
  );
  const from = first < text.length ? Math.max(0, first - MAX_CHARS / 3) : 0;
  return head(text.slice(from).replace(/^[\udc00-\udfff]/, ''), MAX_CHARS);
}
