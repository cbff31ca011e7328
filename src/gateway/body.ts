// Bodies as an untrusted container sends them.
import type { IncomingMessage } from 'node:http';
import { PinchError } from '../errors.js';

/**
 * The value of a JSON body; undefined when it is none, or the caller left. One over `limit` is read to its end, or else the answer would
 * be lost, but not kept. Throws PinchError `too_large`.
 */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request) {
      if (size <= limit) chunks.push(chunk);
      size += chunk.length;
    }
  } catch {
    return undefined;
  }
  if (size > limit) throw new PinchError('too_large', `the body is larger than ${limit} bytes`);
  return parseJson(Buffer.concat(chunks).toString());
}

/** The value of a JSON text, undefined when it is none. */
export function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
