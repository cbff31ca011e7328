// The body of a model call, read without holding the process: it may be 32 MB of base64, or of brackets. While its bytes arrive, long
// strings are taken out; only what is left is parsed, and how much that may be is bounded. Knows JSON, and nothing about models.
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { parseJson, tooMuchAtOnce } from '../gateway/body.js';
import type { Room } from '../gateway/bounds.js';

export const BODY_LIMIT_BYTES = 32 * 1024 * 1024;
/** A conversation that fills a window of 200,000 tokens has some 20,000. Parsing takes a quarter of a microsecond for each. */
const MAX_VALUES = 40_000;
const MAX_DEPTH = 100;
/** What is parsed, without the long strings. */
const MAX_PARSED_BYTES = 768 * 1024;
const LONG_BYTES = 1_024;

const [QUOTE, BACKSLASH, COMMA, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Buffer.from('"\\,[]{}');

export interface ModelBody {
  /** The JSON value; each long string in it is replaced by a name. Undefined when it is no JSON. */
  json: unknown;
  /** A part of `json` as bytes, the long strings put back. */
  bytesOf(value: unknown): Buffer[];
}

/**
 * Reads a body to its end. Returns what is wrong with one that is too large or too deep; that is not kept. Throws PinchError `too_many`
 * without room for it.
 */
export async function readModelBody(request: Readable, room: Room): Promise<ModelBody | { tooLarge: string }> {
  const scanner = createScanner();
  let hasRoom = true;
  try {
    for await (const chunk of request) {
      hasRoom &&= scanner.isRefused() || room.take(chunk.length);
      scanner.feed(chunk);
      if (!hasRoom) scanner.refuse('there is no room for it');
      if (scanner.isRefused()) room.leave();
    }
  } catch {
    return { json: undefined, bytesOf: () => [] };
  }
  if (!hasRoom) throw tooMuchAtOnce();
  const { problem, parsed, long, name } = scanner.result();
  if (problem) return { tooLarge: problem };
  const placeholder = new RegExp(`${name}(\\d+)`);
  return {
    json: parseJson(Buffer.concat(parsed).toString()),
    bytesOf(value) {
      const parts = JSON.stringify(value).split(placeholder);
      return parts.flatMap((part, index) => (index % 2 === 0 ? [Buffer.from(part)] : (long[Number(part)] ?? [])));
    },
  };
}

type Seen = Record<'bytes' | 'parsedBytes' | 'values' | 'depth' | 'deepest', number>;

/** One byte outside of strings. */
function count(seen: Seen, byte: number | undefined): void {
  const opens = byte === OPEN_LIST || byte === OPEN_OBJECT;
  if (opens || byte === COMMA) seen.values += 1;
  if (opens) seen.depth += 1;
  else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) seen.depth -= 1;
  if (seen.depth > seen.deepest) seen.deepest = seen.depth;
}

/** Tells long strings from the rest, byte by byte. */
function createScanner() {
  // Nobody can write it into a body before it is drawn.
  const name = `${randomUUID()}:`;
  const parsed: Buffer[] = [];
  const long: Buffer[][] = [];
  const seen: Seen = { bytes: 0, parsedBytes: 0, values: 0, depth: 0, deepest: 0 };
  let string: Buffer[] | undefined;
  let escaped = false;
  let problem: string | undefined;

  function keep(...pieces: Buffer[]): void {
    parsed.push(...pieces);
    seen.parsedBytes += sizeOf(pieces);
  }

  const endString = (pieces: Buffer[]): void =>
    sizeOf(pieces) > LONG_BYTES ? keep(Buffer.from(`${name}${long.push(pieces) - 1}`)) : keep(...pieces);

  function scan(chunk: Buffer): void {
    // Where what is not kept yet begins, and the string that is open.
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
      } else count(seen, byte);
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
      seen.bytes += chunk.length;
      if (!problem) scan(chunk);
      if (seen.bytes > BODY_LIMIT_BYTES) refuse(`the body is larger than ${BODY_LIMIT_BYTES} bytes`);
      else if (seen.deepest > MAX_DEPTH) refuse(`the body is nested more than ${MAX_DEPTH} levels deep`);
      else if (problem || seen.values > MAX_VALUES || seen.parsedBytes > MAX_PARSED_BYTES)
        refuse(`the body has more than ${MAX_VALUES} values, or ${MAX_PARSED_BYTES} bytes beside long texts`);
    },
    result: () => ({ problem, parsed: [...parsed, ...(string ?? [])], long, name }),
  };
}

/** Bytes in all. */
export const sizeOf = (pieces: Buffer[]): number => pieces.reduce((sum, piece) => sum + piece.length, 0);
