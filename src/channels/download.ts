// Reads files that people sent, within a limit. Where they lie is each channel's to know and to check.
import { ChannelError } from './channel.js';

/** The body of an answer. Throws `ChannelError` when the answer is none or larger than `maxBytes`, and the error of a broken connection. */
export async function readAnswer(response: Response, from: string, maxBytes: number): Promise<Buffer> {
  const { ok, status, body } = response;
  if (ok && body) return readAtMost(body, maxBytes);
  await body?.cancel();
  const isGone = status >= 400 && status < 500 && status !== 429;
  throw new ChannelError(isGone ? 'permanent' : 'network', `${from} answered ${status}`);
}

/** Throws `ChannelError` when there is more than `maxBytes`. */
export async function readAtMost(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let left = maxBytes;
  for await (const chunk of body) {
    left -= chunk.byteLength;
    // Leaving the loop early cancels the rest of the download.
    if (left < 0) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export const tooLarge = (maxBytes: number): ChannelError =>
  new ChannelError('permanent', `larger than ${Math.floor(maxBytes / 1024 / 1024)} MB`);
