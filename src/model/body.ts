// The body of a model call, read without blocking the process, although it may be 32 MB of base64 or of brackets. Knows nothing about models.
import type { Readable } from 'node:stream';
import { parseJson, readScanned } from '../gateway/body.js';
import type { Room } from '../gateway/bounds.js';
import { sizeOf } from '../gateway/scanner.js';

export const BODY_LIMIT_BYTES = 32 * 1024 * 1024;
/** A conversation that fills a window of 200,000 tokens has some 20,000 values, and keys for two thirds of them. */
const LIMITS = { bytes: BODY_LIMIT_BYTES, values: 40_000, keys: 20_000, depth: 100, parsedBytes: 768 * 1024 };

/** What is left to parse of one that is worth pauses between its checks. */
const LARGE_BYTES = 64 * 1024;

/**
 * Reads a body to its end. `json`: its value, each long string in it replaced by a name; undefined when it is no JSON. `isLarge`: to look at all of it takes some
 * milliseconds. `bytesOf`: a part of
 * that as bytes, the long strings put back. `tooLarge`: what is wrong with one that is too large or too deep; that is not kept. Throws
 * PinchError `too_many` without room for it.
 */
export async function readModelBody(request: Readable, room: Room) {
  const scanned = await readScanned(request, LIMITS, room);
  if (!scanned) return { json: undefined, isLarge: false, bytesOf: (): Buffer[] => [] };
  const { problem, parsed, long, name } = scanned;
  if (problem) return { tooLarge: problem };
  const placeholder = new RegExp(`${name}(\\d+)`);
  return {
    json: parseJson(Buffer.concat(parsed).toString()),
    isLarge: sizeOf(parsed) > LARGE_BYTES,
    bytesOf(value: unknown): Buffer[] {
      const parts = JSON.stringify(value).split(placeholder);
      return parts.flatMap((part, index) => (index % 2 === 0 ? [Buffer.from(part)] : (long[Number(part)] ?? [])));
    },
  };
}
