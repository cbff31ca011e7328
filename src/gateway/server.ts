// The gateway: one ordinary HTTP/1.1 server that listens nowhere. Connections come from links; which link a connection came
// through is who is calling. Knows routes and sizes; what a call does is in host-api.ts and model.ts.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { PinchError } from '../errors.js';
import type { Logger } from '../log.js';
import { RUN_HEADER } from '../wire.js';
import type { HostApi } from './host-api.js';

/** The caller's identity, fixed when its container was started. */
export interface Link {
  groupId: number;
  folder: string;
  isMain: boolean;
  /** Gives the runner's `GET /work` response to the worker that owns this link. */
  onWork(response: ServerResponse): void;
}

export interface GatewayDeps {
  hostApi: HostApi;
  model(
    request: IncomingMessage,
    response: ServerResponse,
    caller: { groupId: number; folder: string; runId: number | null },
  ): Promise<void>;
  log: Logger;
}

export interface Gateway {
  /** Serves HTTP on one connection of a link. */
  connect(link: Link, connection: Duplex): void;
  close(): void;
}

const REFUSED =
  'This address is not available. The container has no network: only the model, messages to your chats and the message history can be reached. ' +
  'Do not try other addresses; tell the user what you could not reach.';

export function createGateway(deps: GatewayDeps): Gateway {
  const links = new WeakMap<object, Link>();
  const server = createServer({ maxHeaderSize: 32_768, requestTimeout: 0 }, (request, response) => {
    // A response whose client left must not crash the host.
    response.on('error', () => response.destroy());
    const link = links.get(request.socket);
    if (!link) return void response.destroy();
    route(deps, link, request, response).catch((error: unknown) => fail(deps, response, error));
  });
  server.on('connect', (_request, socket: Duplex) => {
    const body = JSON.stringify({ error: { code: 'egress_refused', message: REFUSED } });
    socket.end(
      `HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  });
  server.on('clientError', (_error, socket) => void socket.destroy());
  return {
    connect(link, connection) {
      links.set(connection, link);
      server.emit('connection', connection);
    },
    close: () => server.closeAllConnections(),
  };
}

async function route(deps: GatewayDeps, link: Link, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '').split('?')[0] ?? '';
  const call = `${request.method} ${path}`;
  if (path === '/v1/messages' || path === '/v1/messages/count_tokens') {
    const runId = Number(request.headers[RUN_HEADER]);
    const known = Number.isSafeInteger(runId) && deps.hostApi.isLeasedRun(link, runId);
    return deps.model(request, response, { groupId: link.groupId, folder: link.folder, runId: known ? runId : null });
  }
  if (call === 'GET /work') return link.onWork(response);
  const media = /^GET \/media\/(\d{1,15})\/(\d{1,3})$/.exec(call);
  if (media) return deps.hostApi.media(link, { messageId: Number(media[1]), index: Number(media[2]) }, response);
  const ofRun = /^POST \/runs\/(\d{1,15})\/(events|finish)$/.exec(call);
  if (ofRun) {
    const body = await readJson(request);
    const runId = Number(ofRun[1]);
    return reply(
      response,
      200,
      ofRun[2] === 'events' ? deps.hostApi.events(link, runId, body) : deps.hostApi.finish(link, runId, body),
    );
  }
  if (call === 'POST /send') return reply(response, 200, deps.hostApi.send(link, await readJson(request)));
  if (call === 'POST /history') return reply(response, 200, deps.hostApi.history(link, await readJson(request)));
  request.resume();
  reply(response, 403, { error: { code: 'not_available', message: REFUSED } });
}

const MAX_BODY_BYTES = 1024 * 1024;

/** Reads a JSON body up to 1 MiB; longer or malformed ones throw PinchError. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new PinchError('too_large', `the body is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new PinchError('bad_json', 'the body is not JSON', { cause: error });
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** What the container did wrong becomes text for it; what we did wrong is logged and stays vague outside. */
function fail(deps: GatewayDeps, response: ServerResponse, error: unknown): void {
  if (error instanceof PinchError) {
    const status =
      error.code === 'too_large' ? 413 : error.code === 'not_found' || error.code === 'forbidden' ? 403 : 400;
    if (status === 413) response.setHeader('connection', 'close');
    return reply(response, status, { error: { code: error.code, message: error.message } });
  }
  deps.log.error({ err: error }, 'gateway call failed');
  if (response.headersSent) response.destroy();
  else reply(response, 500, { error: { code: 'internal', message: 'the host could not do this; try again later' } });
}
