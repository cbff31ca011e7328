// An answer of the gateway, of which every byte goes through a mask.
import { type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { type Mask, maskTexts } from './mask.js';

type Done = (error?: Error | null) => void;
type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];

export class MaskedResponse extends ServerResponse {
  /** Set before the first byte. */
  newMask: (() => Mask) | undefined;
  #ofBody: Mask | undefined;

  get #mask(): Mask | undefined {
    this.#ofBody ??= this.newMask?.();
    return this.#ofBody;
  }

  /** Reason phrase and headers, names too, may be words of somebody outside. */
  override writeHead(status: number, reason?: string | Headers, headers?: Headers): this {
    const [phrase, given] = typeof reason === 'string' ? [[reason], headers] : [[], reason];
    const texts = [...phrase, ...flat(given)];
    const safe = this.newMask ? maskTexts(this.newMask(), texts) : texts;
    const fields = safe.slice(phrase.length);
    const [safePhrase] = safe;
    return phrase.length > 0 ? super.writeHead(status, safePhrase, fields) : super.writeHead(status, fields);
  }

  override write(chunk: unknown, ...more: unknown[]): boolean {
    const bytes = bytesOf(chunk, more);
    return super.write(this.#mask?.feed(bytes) ?? bytes, doneOf(more));
  }

  override end(...given: unknown[]): this {
    const [chunk, ...more] = given;
    const bytes = bytesOf(chunk, more);
    const last = this.#mask ? Buffer.concat([this.#mask.feed(bytes), this.#mask.end()]) : bytes;
    const done = doneOf(given);
    return last.length > 0 ? super.end(last, done) : super.end(done);
  }
}

/** Name, value, name, value… */
const flat = (headers: Headers = []): string[] =>
  Array.isArray(headers)
    ? headers.flat().map(String)
    : Object.entries(headers).flatMap(([name, value = '']) => [value].flat().flatMap((one) => [name, `${one}`]));

function bytesOf(chunk: unknown, [encoding]: unknown[]): Buffer {
  if (chunk instanceof Uint8Array) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (typeof chunk !== 'string') return Buffer.alloc(0);
  return typeof encoding === 'string' && Buffer.isEncoding(encoding)
    ? Buffer.from(chunk, encoding)
    : Buffer.from(chunk);
}

const doneOf = (given: unknown[]): Done | undefined => given.find((one): one is Done => typeof one === 'function');
