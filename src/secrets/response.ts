// An answer of the gateway, of which every byte goes through a mask.
import { ServerResponse } from 'node:http';
import type { Mask } from './mask.js';

type Done = (error?: Error | null) => void;

export class MaskedResponse extends ServerResponse {
  /** Set before the first byte. */
  mask: Mask | undefined;

  override write(chunk: unknown, ...more: unknown[]): boolean {
    const bytes = bytesOf(chunk, more);
    return super.write(this.mask?.feed(bytes) ?? bytes, doneOf(more));
  }

  override end(...given: unknown[]): this {
    const [chunk, ...more] = given;
    const bytes = bytesOf(chunk, more);
    const last = this.mask ? Buffer.concat([this.mask.feed(bytes), this.mask.end()]) : bytes;
    const done = doneOf(given);
    return last.length > 0 ? super.end(last, done) : super.end(done);
  }
}

function bytesOf(chunk: unknown, [encoding]: unknown[]): Buffer {
  if (chunk instanceof Uint8Array) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (typeof chunk !== 'string') return Buffer.alloc(0);
  return typeof encoding === 'string' && Buffer.isEncoding(encoding)
    ? Buffer.from(chunk, encoding)
    : Buffer.from(chunk);
}

const doneOf = (given: unknown[]): Done | undefined => given.find((one): one is Done => typeof one === 'function');
