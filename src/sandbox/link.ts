// The host's half of the link: HTTP/2 over the stdin and stdout of a container. Every TCP connection that is made inside to
// 127.0.0.1:8080 arrives here as one plain duplex. The other side is untrusted: sizes are capped, every error ends the link.
import { randomUUID } from 'node:crypto';
import http2 from 'node:http2';
import { Duplex, duplexPair, pipeline, type Readable, type Writable } from 'node:stream';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { createFrameReader } from './frames.js';

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
/** What the runner opens at a time (`MAX_AT_ONCE` there). Those that it has done with may not be over here yet, so twice as many are taken. */
const STREAMS_AT_ONCE = 64;
const MAX_STREAMS = 2 * STREAMS_AT_ONCE;
const STREAM_WINDOW_BYTES = 256 * 1024;
const GOAWAY = 7;
const { NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = http2.constants;

/** Resolves when the runner has answered the hello. Throws PinchError `link_failed`; the caller then kills the container. */
export async function openHostLink(deps: HostLinkDeps): Promise<HostLink> {
  const { stdin, stdout } = deps;
  // Other listeners come and go; an error while there is none must not end this process.
  stdout.on('error', () => stdout.destroy());
  stdin.on('error', () => stdout.destroy()).on('close', () => stdout.destroy());
  const hello = `${JSON.stringify({ hello: randomUUID() })}\n`;
  // Podman puts the attach options in front of stdin; the newline ends them, and the runner drops all lines before its hello.
  stdin.write(`\n${hello}`);
  await dropUntilHello(deps, hello);
  return serve(deps);
}

/** Consumes stdout up to and including `hello`. What follows stays in the stream. */
async function dropUntilHello({ stdout, clock, helloTimeoutMs }: HostLinkDeps, hello: string): Promise<void> {
  let failure = 'ended before it answered';
  const timeout = clock.at(clock.now() + helloTimeoutMs, () => {
    failure = 'did not answer in time';
    stdout.destroy();
  });
  let seen = Buffer.alloc(0);
  try {
    for await (const chunk of stdout.iterator({ destroyOnReturn: false })) {
      seen = Buffer.concat([seen, chunk]);
      const at = seen.indexOf(hello);
      if (at >= 0) return stdout.unshift(seen.subarray(at + hello.length));
      if (seen.length <= MAX_PREAMBLE_BYTES) continue;
      failure = 'spoke before its hello';
      break;
    }
  } catch {
    // An error means the same as the end of the stream.
  } finally {
    timeout.cancel();
  }
  throw new PinchError('link_failed', `the agent runner ${failure}`);
}

function serve({ stdin, stdout, onConnection }: HostLinkDeps): HostLink {
  let reason: string | undefined;
  const endBroken = () => end('the link broke: the runner did not speak HTTP/2');
  const duplex = joined(stdout, stdin, { onGoaway: endBroken, afterRead: () => session.destroyed && endBroken() });
  const session = http2.performServerHandshake(duplex, {
    maxSessionMemory: 64,
    // Node counts over the whole life of a link.
    maxSessionRejectedStreams: 1_000,
    maxHeaderListPairs: 16,
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxHeaderListSize: 4_096,
      enablePush: false,
    },
  });
  /** Does not wait for the session to close: it does so only when its last bytes were read, which a frozen runner never does. */
  function end(why: string): void {
    reason ??= why;
    session.destroy();
    // By then the session has written its last frames.
    setImmediate(() => duplex.destroy());
  }
  const close = () => end('the link was closed');
  // Room for every stream's window: a stream nobody reads must not hold up the others.
  session.setLocalWindowSize(STREAMS_AT_ONCE * STREAM_WINDOW_BYTES);
  session.on('stream', (stream, headers) => acceptStream(stream, headers, onConnection));
  session.on('error', (error) => end(`the link broke: ${error.message}`)).on('close', close);
  // The runner opens no more streams: for us that is its end.
  session.on('goaway', close);
  const closed = new Promise<string>((resolve) => {
    duplex.on('error', close).on('close', () => {
      close();
      resolve(reason ?? '');
    });
  });
  return { closed, close };
}

type LinkWatch = Record<'onGoaway' | 'afterRead', () => void>;

/**
 * Stdout and stdin of a container as one stream with back-pressure both ways. `onGoaway`: our session gave up the other side, for after a
 * protocol error Node sends GOAWAY and reads no more, but emits nothing. `afterRead`: the session was given a piece of the input.
 */
function joined(input: Readable, output: Writable, { onGoaway, afterRead }: LinkWatch): Duplex {
  const http2Frames = { headerBytes: 9, payloadBytes: (header: Buffer) => header.readUIntBE(0, 3) };
  const watch = createFrameReader(http2Frames, (frame) => {
    // Later, because the session is in the middle of writing this frame.
    if (frame[3] === GOAWAY) setImmediate(onGoaway);
  });
  const send = (chunk: Buffer, done: (error?: Error | null) => void) => {
    output.write(chunk, done);
    watch(chunk);
  };
  const duplex = new Duplex({
    read: () => void input.resume(),
    write: (chunk: Buffer, _encoding, done) => send(chunk, done),
    // What is written together leaves together: every piece wakes the engine and the runner.
    writev: (pieces, done) => send(Buffer.concat(pieces.map(({ chunk }) => chunk)), done),
    final: (done) => void output.end(done),
    destroy(error, done) {
      output.end();
      // What a runner still says is thrown away; held back it would block the end of its stderr.
      input.destroy();
      done(error);
    },
  });
  input
    .on('close', () => duplex.destroy())
    .on('data', (chunk: Buffer) => {
      if (!duplex.push(chunk)) input.pause();
      setImmediate(afterRead);
    });
  return duplex;
}

/** Gives one tunnelled TCP connection to `onConnection`, half-closes kept until the host ends its side. */
function acceptStream(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  onConnection: (connection: Duplex) => void,
): void {
  stream.on('error', () => stream.destroy());
  // A stream that is reset as soon as it is opened is over when this event comes; an answer would throw.
  if (stream.destroyed || stream.closed) return;
  if (headers[':method'] !== 'POST') return stream.close(NGHTTP2_REFUSED_STREAM);
  copyPieces(stream);
  stream.respond({ ':status': 200 });
  // Not the stream itself: strings written by an HTTP/1 response into an HTTP/2 stream over a JavaScript duplex arrive corrupted on
  // Node 20. What comes out of a pair is Buffers.
  const [inner, connection] = duplexPair();
  // What is written together (a head, the length of a chunk, the chunk) is one piece: each would wake the engine and the runner.
  connection._writev = (pieces, done) =>
    connection._write(Buffer.concat(pieces.map(({ chunk }) => chunk)), 'utf8', done);
  pipeline(stream, inner, stream, () => connection.destroy());
  connection.on('close', () => inner.destroy());
  // What was written has been handed on: both directions end, also when the other side is still sending.
  stream.on('finish', () => stream.close(NGHTTP2_NO_ERROR));
  onConnection(connection);
}

/**
 * Keeps what a stream that nobody reads can hold near to its window: HTTP/2 hands out slices of what came in at once, and one byte would
 * keep all of that, frames that nobody asked for as well.
 */
function copyPieces(stream: http2.ServerHttp2Stream): void {
  const push = stream.push.bind(stream);
  stream.push = (piece: unknown): boolean => {
    if (!Buffer.isBuffer(piece)) return push(piece);
    // Not from the pool that small buffers share.
    const own = Buffer.allocUnsafeSlow(piece.length);
    piece.copy(own);
    return push(own);
  };
}
