// Bodies as an untrusted container sends them.
import type { IncomingMessage } from 'node:http';
import { PinchError } from '../core/errors.js';
import type { Room } from './bounds.js';

/**
 * The value of a JSON body; undefined when it is none, or the caller left. What is too large is read to its end, or else the answer would
 * be lost, but not kept. Throws PinchError `too_large` over `limit`, `too_many` without room for it.
 */
export async function readJson(request: IncomingMessage, limit: number, room: Room): Promise<unknown> {
  const chunks: Buffer[] = [];
  let refusal: PinchError | undefined;
  let size = 0;
  try {
    for await (const chunk of request) {
      size += chunk.length;
      if (size > limit) refusal ??= new PinchError('too_large', `the body is larger than ${limit} bytes`);
      else if (!refusal && !room.take(chunk.length)) refusal = tooMuchAtOnce();
      if (!refusal) chunks.push(chunk);
      else if (chunks.splice(0).length > 0) room.leave();
    }
  } catch {
    return undefined;
  }
  if (refusal) throw refusal;
  return parseJson(Buffer.concat(chunks).toString());
}

export const tooMuchAtOnce = () =>
  new PinchError('too_many', 'this container has too many large calls open at once; wait for their answers');

/** The value of a JSON text, undefined when it is none. */
export function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
