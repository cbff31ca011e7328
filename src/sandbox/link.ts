// The host's half of the link: HTTP/2 over the stdin and stdout of a container. Every TCP connection that is made inside to
// 127.0.0.1:8080 arrives here as one plain duplex. The other side is untrusted: sizes are capped, every error ends the link.
import { randomUUID } from 'node:crypto';
import http2 from 'node:http2';
import { Duplex, type Readable, type Writable } from 'node:stream';
import type { Clock } from '../clock.js';
import { PinchError } from '../errors.js';

export interface HostLink {
  /** Resolves once with the reason when the link is gone. Never rejects. */
  closed: Promise<string>;
  /** Ends the container's stdin, which ends the runner. Harmless twice. */
  close(): void;
}

export interface HostLinkDeps {
  stdin: Writable;
  stdout: Readable;
  clock: Clock;
  helloTimeoutMs: number;
  onConnection(connection: Duplex): void;
}

const MAX_PREAMBLE_BYTES = 64 * 1024;
const MAX_STREAMS = 64;
const STREAM_WINDOW_BYTES = 256 * 1024;
const FRAME_HEADER_BYTES = 9;
const GOAWAY = 7;

/** Resolves when the runner has answered the hello. Throws PinchError `link_failed`; the caller then kills the container. */
export async function openHostLink(deps: HostLinkDeps): Promise<HostLink> {
  const { stdin, stdout } = deps;
  stdin.on('error', () => stdout.destroy());
  // Whatever else listens comes and goes; an error in between must not end this process.
  stdout.on('error', () => stdout.destroy());
  const nonce = randomUUID();
  // Podman puts the attach options in front of stdin; the newline ends them, and the runner drops all lines before its hello.
  stdin.write(`\n${JSON.stringify({ hello: nonce })}\n`);
  await dropUntilHello(deps, JSON.stringify({ hello: nonce }));
  return serve(new StdioDuplex(stdout, stdin), deps.onConnection);
}

/** Consumes stdout up to and including the line `hello`. What follows stays in the stream. */
function dropUntilHello({ stdout, clock, helloTimeoutMs }: HostLinkDeps, hello: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    let dropped = 0;
    const timeout = clock.at(clock.now() + helloTimeoutMs, () => fail('the agent runner did not answer in time'));
    const fail = (message: string) => {
      stopReading();
      reject(new PinchError('link_failed', message, { retryable: true }));
    };
    const onEnd = () => fail('the agent runner ended before it answered');
    const onData = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      for (let newline = seen.indexOf(10); newline >= 0; newline = seen.indexOf(10)) {
        const line = seen.subarray(0, newline).toString();
        seen = seen.subarray(newline + 1);
        dropped += newline + 1;
        if (line !== hello) continue;
        stopReading();
        if (seen.length > 0) stdout.unshift(seen);
        return resolve();
      }
      if (dropped + seen.length > MAX_PREAMBLE_BYTES) fail('the agent runner spoke before its hello');
    };
    const stopReading = () => {
      timeout.cancel();
      stdout.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onEnd).pause();
    };
    stdout.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onEnd);
  });
}

function serve(duplex: StdioDuplex, onConnection: (connection: Duplex) => void): HostLink {
  const session = http2.performServerHandshake(duplex, {
    maxSessionMemory: 64,
    maxHeaderListPairs: 16,
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxHeaderListSize: 4_096,
      enablePush: false,
    },
  });
  // Room for every stream's window: a stream nobody reads must not hold up the others.
  session.setLocalWindowSize(MAX_STREAMS * STREAM_WINDOW_BYTES);
  session.on('stream', (stream, headers) => acceptStream(stream, headers, onConnection));
  let reason = 'the link was closed';
  const closed = new Promise<string>((resolve) => {
    session.on('error', (error) => {
      reason = `the link broke: ${error.message}`;
    });
    session.on('close', () => {
      duplex.destroy();
      resolve(reason);
    });
    // The runner opens no more streams: for us that is its end.
    session.on('goaway', () => session.destroy());
    duplex.on('error', () => session.destroy());
    duplex.on('close', () => session.destroy());
  });
  duplex.onGoaway = () => {
    if (session.destroyed) return;
    reason = 'the link broke: the runner did not speak HTTP/2';
    session.destroy();
  };
  return { closed, close: () => session.destroy() };
}

function acceptStream(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  onConnection: (connection: Duplex) => void,
): void {
  stream.on('error', () => stream.destroy());
  // Reset in the same breath as it was opened: the event comes after the end, and an answer would throw.
  if (stream.destroyed || stream.closed) return;
  if (headers[':method'] !== 'POST') return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  stream.respond({ ':status': 200 });
  onConnection(new TunnelConnection(stream));
}

/** Stdout and stdin of a container as one stream with back-pressure both ways. */
class StdioDuplex extends Duplex {
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #sent = new FrameWatch();
  /** Our session gave the other side up. Node does not say so: after a protocol error it sends GOAWAY and stays open, deaf. */
  onGoaway: () => void = () => undefined;

  constructor(input: Readable, output: Writable) {
    super();
    this.#input = input;
    this.#output = output;
    input.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) input.pause();
    });
    input.on('end', () => this.destroy());
    input.on('close', () => this.destroy());
    input.on('error', () => this.destroy());
    output.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#input.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#output.write(chunk, done);
    // Not inside the session's own write.
    if (this.#sent.sees(chunk, GOAWAY)) setImmediate(() => this.onGoaway());
  }

  override _final(done: () => void): void {
    this.#output.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#output.end();
    // What a runner still says is thrown away; held back it would block the end of its stderr.
    this.#input.destroy();
    done(error);
  }
}

/** Follows the frames in our own output, which comes in pieces that know no frame borders. */
class FrameWatch {
  #header = Buffer.alloc(0);
  #payloadLeft = 0;

  /** True when a frame of `type` has its header completed in this piece. */
  sees(piece: Buffer, type: number): boolean {
    let found = false;
    let rest = piece;
    while (rest.length > 0) {
      const skipped = Math.min(this.#payloadLeft, rest.length);
      this.#payloadLeft -= skipped;
      const wanted = FRAME_HEADER_BYTES - this.#header.length;
      this.#header = Buffer.concat([this.#header, rest.subarray(skipped, skipped + wanted)]);
      rest = rest.subarray(skipped + wanted);
      if (this.#header.length < FRAME_HEADER_BYTES) continue;
      found ||= this.#header[3] === type;
      this.#payloadLeft = this.#header.readUIntBE(0, 3);
      this.#header = Buffer.alloc(0);
    }
    return found;
  }
}

/**
 * One tunnelled TCP connection, with what node:http expects of a socket. It hands Buffers to the HTTP/2 stream: strings
 * written by an HTTP/1 response into an HTTP/2 stream over a JavaScript duplex arrive corrupted on Node 20.
 */
class TunnelConnection extends Duplex {
  readonly #stream: http2.ServerHttp2Stream;

  constructor(stream: http2.ServerHttp2Stream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) stream.pause();
    });
    stream.on('end', () => this.push(null));
    stream.on('aborted', () => this.destroy());
    stream.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#stream.destroyed) done(new Error('the connection is closed'));
    else this.#stream.write(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'utf8', done);
  }

  override _final(done: () => void): void {
    this.#stream.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const finished = this.#stream.writableEnded && error === null;
    if (!this.#stream.destroyed)
      this.#stream.close(finished ? http2.constants.NGHTTP2_NO_ERROR : http2.constants.NGHTTP2_CANCEL);
    done(null);
  }

  /** As a socket's: what was written arrives, then both directions end, also when the other side is still sending. */
  destroySoon(): void {
    if (this.writableFinished) return void this.destroy();
    this.once('finish', () => this.destroy());
    this.end();
  }
  /** No idle time-out: the container only fills up its own streams, and node:http's request time-outs do not need it. */
  setTimeout = () => this;
  setNoDelay = () => this;
  setKeepAlive = () => this;
  ref = () => this;
  unref = () => this;
}
