// The HTTP proxy of the containers: CONNECT, and requests whose target is a whole http URL. What goes through CONNECT is
// not looked at; a request that can be read and holds a secret of the host is refused.
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, pipeline, type Transform } from 'node:stream';
import type { HttpProxy } from '../gateway/server.js';
import type { Connections, Opened } from './connections.js';
import { canonicalHost, parseAuthority, type Target } from './host.js';

type Refusal = Exclude<Opened, { kind: 'allowed' }>;
const bad = (reason: string) => ({ kind: 'refused' as const, status: 400, reason });

/** What a caller may not do: give away secrets of the host, change anything in a dry run. */
export interface ProxyGuards<Caller> {
  /** Why a connection, or a request with a method, is not made at all. */
  holds?(caller: Caller, target: Target, method: string): Refusal | undefined;
  /** Why a request of these texts is not sent. */
  leaks(caller: Caller, host: string, texts: (string | Buffer)[]): Refusal | undefined;
  /** Of its requests only headers that change nothing go on. */
  readsOnly?(caller: Caller): boolean;
  /** Carries a body on, up to such a secret, of which `onFound` gets the words. */
  body(caller: Caller, host: string, onFound: (reason: string) => void): Transform;
}

export function createProxy<Caller>(
  connections: Pick<Connections<Caller>, 'open'>,
  guards: ProxyGuards<Caller>,
): HttpProxy<Caller> {
  return {
    async connect({ link, target, socket, head }) {
      const { host, port } = parseAuthority(target) ?? {};
      const opened =
        host && port
          ? (guards.leaks(link, host, [host]) ??
            guards.holds?.(link, { host, port }, 'CONNECT') ??
            (await connections.open(link, { host, port })))
          : bad('CONNECT takes a host and a port');
      if (opened.kind === 'allowed') tunnel(socket, opened.socket, head);
      else refuseConnect(socket, opened);
    },
    async forward({ link, request, response }) {
      const parsed = readRequest(request);
      if (parsed.kind !== 'forward') return refuseRequest(request, response, parsed);
      const { host } = parsed.target;
      const texts = [parsed.path, host, ...request.rawHeaders];
      const { method = 'GET' } = request;
      // A body could change what the site has, whatever its method.
      const does =
        parsed.chunked || Number(request.headers['content-length'] ?? 0) !== 0 ? `${method} with a body` : method;
      const opened =
        guards.leaks(link, host, texts) ??
        guards.holds?.(link, parsed.target, does) ??
        (await connections.open(link, parsed.target));
      if (opened.kind === 'allowed' && response.destroyed) opened.socket.destroy();
      else if (opened.kind === 'allowed')
        passOn(request, response, opened.socket, {
          ...parsed,
          headers: guards.readsOnly?.(link) ? readingHeaders(request.rawHeaders) : endToEnd(request.rawHeaders),
          guard: (onFound) => guards.body(link, host, onFound),
        });
      else refuseRequest(request, response, opened);
    },
  };
}

function tunnel(client: Duplex, upstream: Socket, head: Buffer): void {
  // It left while its site was looked up: what it was to close would stay open.
  if (client.destroyed) return void upstream.destroy();
  client.write('HTTP/1.1 200 Connection established\r\n\r\n');
  if (head.length > 0) upstream.write(head);
  // Either side holds what its own buffer takes; then the other one is not read.
  client.pipe(upstream).pipe(client);
  // What came whole before a site left goes on at the pace at which the client reads.
  upstream.on('close', () => upstream.readableEnded || client.destroy());
  client.on('finish', () => client.destroy()).on('close', () => upstream.destroy());
}

/** Most programs show nothing of a refused CONNECT but the reason phrase. It is ASCII, and ours: hosts in it are canonical. */
function refuseConnect(client: Duplex, { status, reason }: Refusal): void {
  const body = `${reason}\n`;
  const head = [`HTTP/1.1 ${status} ${reason}`, 'content-type: text/plain', `content-length: ${body.length}`];
  client.end(`${head.join('\r\n')}\r\nconnection: close\r\n\r\n${body}`);
}

function refuseRequest(request: IncomingMessage, response: ServerResponse, { status, reason }: Refusal): void {
  // Reads the rest of the body: otherwise the caller would not get the answer.
  request.resume();
  response.writeHead(status, reason, { 'content-type': 'text/plain' }).end(`${reason}\n`);
}

/** What the request asks for. One parser reads the URL, and what it found is what is decided on, connected to and said in Host. */
function readRequest({ url = '', headers }: IncomingMessage) {
  if (!/^http:\/\//i.test(url) || !URL.canParse(url))
    return bad('only http:// URLs are passed on; for others use CONNECT');
  const { hostname, port, username, password, pathname, search } = new URL(url);
  const host = canonicalHost(hostname);
  if (host === undefined) return bad('this URL names no host');
  if (username || password) return bad('a URL with a user name or password is not passed on');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || headers['content-length'] !== undefined))
    return bad('a body has a length, or is chunked');
  const target = { host, port: Number(port || 80) };
  const said = { authority: port ? `${host}:${port}` : host, path: pathname + search, chunked: coding !== undefined };
  return { kind: 'forward' as const, target, ...said };
}
type ForwardRequest = Exclude<ReturnType<typeof readRequest>, Refusal> & {
  /** Name, value, name, value… */
  headers: string[];
  guard(onFound: (reason: string) => void): Transform;
};

function passOn(request: IncomingMessage, response: ServerResponse, upstream: Socket, to: ForwardRequest): void {
  const { method = 'GET', headers } = request;
  // Given as they came, with the framing said again: what Node would make of a GET with a body is not left to it.
  const own = ['Host', to.authority, ...(to.chunked ? ['Transfer-Encoding', 'chunked'] : [])];
  const head = { method, path: to.path, headers: [...own, ...to.headers] };
  const outgoing = http.request({ ...head, createConnection: () => upstream });
  const leave = (): void => void upstream.destroy();
  outgoing.on('error', leave);
  outgoing.on('response', (answer) => {
    try {
      response.writeHead(answer.statusCode ?? 0, endToEnd(answer.rawHeaders));
    } catch {
      // A status or a header that our own server refuses to say.
      return leave();
    }
    pipeline(answer, response, leave);
  });
  response.on('close', leave);
  upstream.on('close', () => {
    // Also after an upgrade that nobody asked for, of which the request hears nothing.
    if (!response.headersSent)
      refuseRequest(request, response, {
        kind: 'failed',
        status: 502,
        reason: `${to.authority} gave no proper answer`,
      });
  });
  if (!to.chunked && headers['content-length'] === undefined) return void outgoing.end();
  const body = to.guard((reason) => {
    if (response.headersSent) response.destroy();
    else refuseRequest(request, response, { kind: 'refused', status: 403, reason });
  });
  request.pipe(body).pipe(outgoing);
  // Nobody takes the rest of the body, but the caller gets the answer only when it is read.
  outgoing.on('close', () => void request.unpipe().resume());
}

/** Each of these is about one connection, and is said anew on the next one. */
const HOP_BY_HOP =
  /^(host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|proxy-connection|proxy-authenticat(e|ion-info)|proxy-authorization)$/i;

/** Those that only say what is wanted: one may stand for another method, or for who somebody is. */
const READING =
  /^(accept|accept-(encoding|language)|cache-control|if-(match|none-match|modified-since|range|unmodified-since)|range|user-agent)$/i;
const readingHeaders = (raw: string[]): string[] =>
  raw.flatMap((name, at) => (at % 2 === 0 && READING.test(name) ? [name, raw[at + 1] ?? ''] : []));

/** Raw headers (name, value, name, value…) without those for one connection, and those that `Connection` names. */
function endToEnd(raw: string[]): string[] {
  const pairs = raw.flatMap((name, at) => (at % 2 === 0 ? [{ name, value: raw[at + 1] ?? '' }] : []));
  const listed = pairs.filter(({ name }) => /^connection$/i.test(name)).flatMap(({ value }) => value.split(','));
  const dropped = new Set(listed.map((name) => name.trim().toLowerCase()));
  // Without its length a body would be read as a second request.
  dropped.delete('content-length');
  return pairs
    .filter(({ name }) => !HOP_BY_HOP.test(name) && !dropped.has(name.toLowerCase()))
    .flatMap(({ name, value }) => [name, value]);
}
