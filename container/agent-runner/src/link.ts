// The container's end of the link: every TCP connection to 127.0.0.1:<port> becomes one HTTP/2 stream over stdin and stdout.
// Knows nothing about what goes through it.
import { once } from 'node:events';
import http2 from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { Duplex, type Readable, type Writable } from 'node:stream';

/** `port`: 0 lets the system choose. `onClosed` is called once, when the host is gone or the link broke: the runner must end. */
type LinkOptions = { stdin: Readable; stdout: Writable; port: number; onClosed(): void };

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL } = http2.constants;
const STREAM_WINDOW_BYTES = 256 * 1024;
const SESSION_WINDOW_BYTES = 16 * 1024 * 1024;
/** Connections that have a stream at a time; more wait for their turn. The host refuses streams beyond twice as many. */
const MAX_AT_ONCE = 64;
/** What a script opens beyond this is refused. */
const MAX_CONNECTIONS = 512;
const HELLO_TIMEOUT_MS = 8_000;

/** Waits for the host's hello, answers it and listens. Rejects when stdin ends before the hello. */
export async function openLink({ stdin, stdout, port, onClosed }: LinkOptions) {
  stdout.write(`${await readHello(stdin)}\n`);
  const duplex = Duplex.from({ readable: stdin, writable: stdout });
  // What is written together leaves together: each piece would wake the host.
  duplex._writev = (pieces, done) => duplex._write(Buffer.concat(pieces.map(({ chunk }) => chunk)), 'utf8', done);
  const session = http2.connect('http://gateway.invalid', {
    createConnection: () => duplex,
    settings: { initialWindowSize: STREAM_WINDOW_BYTES, enablePush: false },
    maxSessionMemory: 64,
  });
  session.on('connect', () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
  const waiting = new Set<Socket>();
  let open = 0;
  const next = (): void => {
    const [socket] = waiting;
    if (!socket || open >= MAX_AT_ONCE) return;
    waiting.delete(socket);
    const stream = tunnel(socket, session);
    if (!stream) return;
    open += 1;
    stream.once('close', () => {
      open -= 1;
      next();
    });
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    waiting.add(socket.on('error', () => socket.destroy()).on('close', () => waiting.delete(socket)));
    next();
  });
  server.maxConnections = MAX_CONNECTIONS;
  await once(server.listen(port, '127.0.0.1'), 'listening');
  const close = () => session.destroy();
  session.on('error', close).on('close', () => {
    server.close();
    onClosed();
  });
  duplex.on('error', close).on('close', close);
  stdin.on('end', close);
  const address = server.address();
  return { port: typeof address === 'object' && address ? address.port : port, close };
}

/** Drops everything up to the first `{"hello":…}` line (some engines put their own bytes in front) and returns that line. */
async function readHello(stdin: Readable): Promise<string> {
  // A host that died while it was starting us leaves a stdin that never ends.
  const timeout = setTimeout(() => stdin.destroy(new Error('no hello from the host')), HELLO_TIMEOUT_MS);
  let seen = Buffer.from('\n');
  for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
    seen = Buffer.concat([seen, chunk]);
    const start = seen.indexOf('\n{"hello":') + 1;
    const end = start > 0 ? seen.indexOf('\n', start) : -1;
    if (end < 0) continue;
    clearTimeout(timeout);
    if (end + 1 < seen.length) stdin.unshift(seen.subarray(end + 1));
    return seen.toString('utf8', start, end);
  }
  throw new Error('stdin ended before the hello');
}

/** Bytes go both ways; a side that ends, or breaks off, makes the other one do the same. */
function tunnel(socket: Socket, session: http2.ClientHttp2Session): http2.ClientHttp2Stream | undefined {
  if (session.closed || session.destroyed) return void socket.destroy();
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false });
  socket.setNoDelay(true);
  socket.pipe(stream).pipe(socket);
  stream.on('error', () => socket.destroy());
  socket.on('close', () => stream.close(stream.readableEnded ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL));
  stream.on('close', () => {
    if (stream.rstCode !== NGHTTP2_NO_ERROR) socket.destroy();
    // Without reading on, the end of the client is never seen and the socket stays open for ever.
    else socket.end().resume();
  });
  return stream;
}
