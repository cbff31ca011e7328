// JSON of an untrusted container, looked at before it is parsed. While its bytes arrive, long strings are taken out; only what is left is
// parsed, and how much that may be is bounded: a megabyte of brackets or keys would hold the process for a fifth of a second.
import { randomUUID } from 'node:crypto';

/** Parsing takes a quarter of a microsecond for each value, and ten times that for each key that no other object has. */
export type BodyLimits = Record<'bytes' | 'values' | 'keys' | 'depth' | 'parsedBytes', number>;

const LONG_BYTES = 1_024;

const [QUOTE, BACKSLASH, COMMA, COLON, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Buffer.from('"\\,:[]{}');

type Counts = Record<'bytes' | 'parsedBytes' | 'values' | 'keys' | 'depth' | 'deepest', number>;

/** One byte outside of strings. */
function count(counts: Counts, byte: number | undefined): void {
  const opens = byte === OPEN_LIST || byte === OPEN_OBJECT;
  if (opens || byte === COMMA) counts.values += 1;
  else if (byte === COLON) counts.keys += 1;
  if (opens) counts.depth += 1;
  else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) counts.depth -= 1;
  if (counts.depth > counts.deepest) counts.deepest = counts.depth;
}

/** What there is too much of. */
function excess(counts: Counts, most: BodyLimits): string | undefined {
  if (counts.bytes > most.bytes) return `the body is larger than ${most.bytes} bytes`;
  if (counts.deepest > most.depth) return `the body is nested more than ${most.depth} levels deep`;
  if (counts.values <= most.values && counts.keys <= most.keys && counts.parsedBytes <= most.parsedBytes)
    return undefined;
  return `the body has more than ${most.values} values, ${most.keys} keys, or ${most.parsedBytes} bytes beside long texts`;
}

/** Tells long strings from the rest, byte by byte. */
export function createScanner(most: BodyLimits) {
  // Random, so that no body can contain it.
  const name = `${randomUUID()}:`;
  const parsed: Buffer[] = [];
  const long: Buffer[][] = [];
  const counts: Counts = { bytes: 0, parsedBytes: 0, values: 0, keys: 0, depth: 0, deepest: 0 };
  let string: Buffer[] | undefined;
  let escaped = false;
  let problem: string | undefined;

  function keep(...pieces: Buffer[]): void {
    parsed.push(...pieces);
    counts.parsedBytes += sizeOf(pieces);
  }

  const endString = (pieces: Buffer[]): void =>
    sizeOf(pieces) > LONG_BYTES ? keep(Buffer.from(`${name}${long.push(pieces) - 1}`)) : keep(...pieces);

  function scan(chunk: Buffer): void {
    // Where the bytes begin that are not kept yet, and where the open string begins.
    let from = 0;
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (string) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) {
          if (string.length > 0 || at - start > LONG_BYTES) {
            keep(chunk.subarray(from, start));
            endString([...string, chunk.subarray(start, at)]);
            from = at;
          }
          string = undefined;
        }
        continue;
      }
      if (byte === QUOTE) {
        string = [];
        start = at + 1;
      } else count(counts, byte);
    }
    keep(chunk.subarray(from, string ? start : chunk.length));
    string?.push(chunk.subarray(start));
  }

  /** The first reason counts; what was kept is let go. */
  function refuse(why: string): void {
    problem ??= why;
    string = undefined;
    for (const kept of [parsed, long]) kept.length = 0;
  }

  return {
    refuse,
    isRefused: () => problem !== undefined,
    feed(chunk: Buffer): void {
      counts.bytes += chunk.length;
      if (!problem) scan(chunk);
      const why = excess(counts, most);
      if (problem || why) refuse(why ?? '');
    },
    result: () => ({ problem, parsed: [...parsed, ...(string ?? [])], long, name }),
  };
}

/** Bytes in all. */
export const sizeOf = (pieces: Buffer[]): number => pieces.reduce((sum, piece) => sum + piece.length, 0);
