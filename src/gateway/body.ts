// Bodies as an untrusted container sends them.
import type { Readable } from 'node:stream';
import { PinchError } from '../core/errors.js';
import type { Room } from './bounds.js';
import { type BodyLimits, createScanner } from './scanner.js';

/** Room for the longest list of handled messages and the fullest list of events; texts are long strings, which do not count. */
const LIMITS = { values: 12_000, keys: 3_000, depth: 20, parsedBytes: 256 * 1024 };

/**
 * The value of a JSON body; undefined when it is none, or the caller left. What is too large is read to its end, or else the answer would
 * be lost, but not kept. Throws PinchError `too_large` over `bytes` or what parsing may take, `too_many` without room for it.
 */
export async function readJson(request: Readable, bytes: number, room: Room): Promise<unknown> {
  const scanned = await readScanned(request, { ...LIMITS, bytes }, room);
  if (!scanned) return undefined;
  const { problem, parsed, long, name } = scanned;
  if (problem) throw new PinchError('too_large', problem);
  const text = Buffer.concat(parsed).toString();
  const longText = (_: string, index: string) => Buffer.concat(long[Number(index)] ?? []).toString();
  return parseJson(text.replace(new RegExp(`${name}(\\d+)`, 'g'), longText));
}

/** Reads a body to its end, bounded; undefined when the caller left. Throws PinchError `too_many` without room for it. */
export async function readScanned(request: Readable, most: BodyLimits, room: Room) {
  const scanner = createScanner(most);
  let hasRoom = true;
  try {
    for await (const chunk of request) {
      hasRoom &&= scanner.isRefused() || room.take(chunk.length);
      scanner.feed(chunk);
      if (!hasRoom) scanner.refuse('there is no room for it');
      if (scanner.isRefused()) room.leave();
    }
  } catch {
    return undefined;
  }
  if (!hasRoom) throw new PinchError('too_many_bytes', TOO_MUCH_AT_ONCE);
  return scanner.result();
}

const TOO_MUCH_AT_ONCE = 'this container has too many large calls open at once; wait for their answers';

/** The value of a JSON text, undefined when it is none. */
export function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
