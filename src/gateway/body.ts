// Bodies as an untrusted container sends them.
import type { IncomingMessage } from 'node:http';

/** The body; undefined when the caller left. One over `limit` is read to its end, or else the answer would be lost, but not kept. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
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
  return Buffer.concat(chunks);
}

/** The value of a JSON text, undefined when it is none. */
export function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
