// The gateway: one ordinary HTTP/1.1 server that listens nowhere. Connections come from links; which link a connection came
// through is who is calling. Knows routes and sizes; what a call does is in host-api.ts and model.ts.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import { describeError, PinchError } from '../errors.js';
import type { Logger } from '../log.js';
import { RUN_HEADER } from '../wire.js';
import { readJson } from './body.js';
import { createBounds, type LinkBounds } from './bounds.js';
import type { HostApi } from './host-api.js';
import type { ModelProxy } from './model.js';

/** The caller's identity, fixed when its container was started. */
export interface Link {
  groupId: number;
  /** Gives the runner's `GET /work` response to the worker that owns this link. */
  onWork(response: ServerResponse): void;
}

export interface GatewayDeps {
  hostApi: HostApi;
  model: ModelProxy['handle'];
  clock: Clock;
  log: Logger;
}

export type Gateway = ReturnType<typeof createGateway>;

const REFUSED =
  'This address is not available. The container has no network: only the model, messages to your chats and the message history can be reached. ' +
  'Do not try other addresses; tell the user what you could not reach.';

const MAX_BODY_BYTES = 1024 * 1024;
/** What is read into objects holds this process up. */
const MAX_EVENTS_BYTES = 256 * 1024;

/** How long the head of a call, and all of it, may take to arrive. */
const TIMES = { headersTimeout: 20_000, requestTimeout: 60_000, connectionsCheckingInterval: 5_000 };
const STATUS: Record<string, number> = { too_large: 413, forbidden: 403, too_many: 429, no_room: 507 };

/** One call of a container. */
interface Call {
  link: Link;
  bounds: LinkBounds;
  request: IncomingMessage;
  response: ServerResponse;
}

export function createGateway(deps: GatewayDeps) {
  const links = new WeakMap<object, Link>();
  const boundsOf = new WeakMap<Link, LinkBounds>();
  const newBounds = createBounds(deps.clock.now);
  const server = createServer({ maxHeaderSize: 32_768, ...TIMES }, (request, response) => {
    // A response whose client left must not crash the host.
    response.on('error', () => response.destroy());
    const link = links.get(request.socket);
    const bounds = link && boundsOf.get(link);
    // Without a socket it waits behind another call on its connection, which no client of ours does; nobody could say when it is over.
    if (!link || !bounds || !response.socket) return void request.socket.destroy();
    const call = { link, bounds, request, response };
    route(deps, call).catch((error: unknown) => fail(deps, call, error));
  });
  server.on('connect', (_request, socket: Duplex) => {
    const body = JSON.stringify({ error: { code: 'egress_refused', message: REFUSED } });
    socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n${body}`);
  });
  server.on('clientError', (_error, socket) => void socket.destroy());
  // This server never listens, and without that Node would not look at its time limits.
  server.emit('listening');
  return {
    /** Serves HTTP on one connection of a link. */
    connect(link: Link, connection: Duplex): void {
      links.set(connection, link);
      if (!boundsOf.has(link)) boundsOf.set(link, newBounds());
      server.emit('connection', connection);
    },
    close(): void {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function route(deps: GatewayDeps, { link, bounds, request, response }: Call): Promise<void> {
  const { hostApi } = deps;
  const path = (request.url ?? '').split('?')[0] ?? '';
  const call = `${request.method} ${path}`;
  if (!bounds.admit(path === '/history' ? 'history' : path.endsWith('/finish') ? 'finish' : 'call')) {
    request.resume();
    throw new PinchError('too_many', 'this container asks too often; wait a second');
  }
  const room = bounds.room(response);
  if (path === '/v1/messages' || path === '/v1/messages/count_tokens') {
    const run = hostApi.leasedRun(link, Number(request.headers[RUN_HEADER]));
    return deps.model(request, response, { groupId: link.groupId, runId: run?.id ?? null, room });
  }
  if (call === 'GET /work') return link.onWork(response);
  const [id = 0, index = 0] = (path.match(/\d{1,15}/g) ?? []).map(Number);
  if (call === `GET /media/${id}/${index}`) return hostApi.media(link, id, index, response);
  // What is left of a body that nobody wants is read, or else the answer would be lost.
  if (call === 'POST /file')
    return reply(response, 200, await hostApi.file(link, request).finally(() => request.resume()));
  const posts: Record<string, (body: unknown) => object | Promise<object>> = {
    [`POST /runs/${id}/events`]: (body) => hostApi.events(link, id, body),
    [`POST /runs/${id}/answer`]: (body) => hostApi.answer(link, id, body),
    [`POST /runs/${id}/finish`]: (body) => hostApi.finish(link, id, body),
    'POST /send': (body) => hostApi.send(link, body),
    'POST /ask': (body) => hostApi.ask(link, body),
    'POST /tasks': (body) => hostApi.tasks.add(link, body),
    'POST /tasks/list': (body) => hostApi.tasks.list(link, body),
    [`POST /tasks/${id}`]: (body) => hostApi.tasks.change(link, id, body),
    'POST /history': (body) => hostApi.history(link, body),
  };
  const post = posts[call];
  const limit = path.endsWith('/events') ? MAX_EVENTS_BYTES : MAX_BODY_BYTES;
  if (post) return reply(response, 200, await post(await readJson(request, limit, room)));
  request.resume();
  reply(response, 403, { error: { code: 'not_available', message: REFUSED } });
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** What the container did wrong becomes text for it; what we did wrong is logged and stays vague outside. */
function fail({ log, hostApi }: GatewayDeps, { link, bounds, response }: Call, error: unknown): void {
  if (error instanceof PinchError) {
    const status = STATUS[error.code] ?? 400;
    if (status === 429 || status === 507) {
      response.setHeader('retry-after', 1);
      hostApi.noteRefusal(link, error.message, bounds.worthNoting);
    }
    return reply(response, status, { error: { code: error.code, message: describeError(error) } });
  }
  log.error({ err: error }, 'gateway call failed');
  if (response.headersSent) response.destroy();
  else reply(response, 500, { error: { code: 'internal', message: 'the host could not do this; try again later' } });
}
