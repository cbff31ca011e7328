// A connection to the host for the runner's own calls: one HTTP/2 stream of the link, without the way through a TCP socket and back that what runs
// in the shell has to take. It looks like a socket to node:http.
import http2 from 'node:http2';
import { Duplex } from 'node:stream';

export class HostConnection extends Duplex {
  readonly #stream: http2.ClientHttp2Stream;

  constructor(session: http2.ClientHttp2Session) {
    super();
    this.#stream = session
      .request({ ':method': 'POST', ':path': '/' }, { endStream: false })
      .on('data', (chunk: Buffer) => {
        if (!this.push(chunk)) this.#stream.pause();
      })
      .on('end', () => this.push(null))
      .on('error', (error) => this.destroy(error))
      .on('close', () => this.destroy())
      .on('timeout', () => this.emit('timeout'));
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#stream.write(chunk, done);
  }

  /** What is written together leaves together: each piece would wake the host. */
  override _writev(pieces: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#stream.write(Buffer.concat(pieces.map(({ chunk }) => chunk)), done);
  }

  override _final(done: () => void): void {
    this.#stream.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.close(http2.constants.NGHTTP2_CANCEL);
    done(error);
  }

  /** `ms` of silence in which `timeout` is emitted; 0 for no limit. */
  setTimeout(ms: number): this {
    this.#stream.setTimeout(ms);
    return this;
  }

  // Of a socket; a stream has nothing of it.
  setKeepAlive = (): this => this;
  setNoDelay = (): this => this;
  ref = (): this => this;
  unref = (): this => this;
}
