// The gateway: one ordinary HTTP/1.1 server that listens nowhere. Connections come from links; which link a connection came
// through is who is calling. Modules add their routes; this knows rates, sizes and refusals, and nothing about what a call does.
import { createServer, IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { BaseDeps } from '../core/deps.js';
import { describeError, PinchError } from '../core/errors.js';
import type { Mask } from '../secrets/mask.js';
import { MaskedResponse } from '../secrets/response.js';
import { readJson } from './body.js';
import { createBounds, type LinkBounds, type Rate, type Room } from './bounds.js';

/** The caller's identity, fixed when its container was started. */
export interface Link {
  groupId: number;
  /** The container works on this dry run and on nothing else: what has an effect is held back. */
  dryRun?: number;
  /** Epoch ms. */
  startedAt: number;
  /** Gives the runner's `GET /work` response to the container that owns this link. */
  onWork(response: ServerResponse): void;
}

/** One call of a container. */
export interface Call<Caller = Link> {
  link: Caller;
  request: IncomingMessage;
  response: ServerResponse;
  /** The numbers in the path, in their order. */
  ids: number[];
  /** What the call may make the host hold. */
  room: Room;
}

/** What a container may ask for. `:name` in the path stands for a number, `*` at its end for anything. Rights follow `link`, never the body. */
export interface Route<Caller = Link> {
  method: 'GET' | 'POST' | 'any';
  path: string;
  /** The rate it counts to. */
  rate?: Rate;
  /** Answers the call itself. Throws PinchError for what the container did wrong. */
  serve(call: Call<Caller>): void | Promise<void>;
}

/** Answers a call in the place of its route, or leaves it to that one. */
export type Hold<Caller = Link> = (
  call: Call<Caller>,
  route: Pick<Route<Caller>, 'method' | 'path'>,
) => Promise<void> | undefined;

/** Takes what is meant for other hosts. What goes through it is not looked at here. */
export interface HttpProxy<Caller = Link> {
  /** `CONNECT <target>`; `head`: bytes that came right behind it. */
  connect(call: { link: Caller; target: string; socket: Duplex; head: Buffer }): Promise<void>;
  /** A request whose target is a whole URL. */
  forward(call: Pick<Call<Caller>, 'link' | 'request' | 'response'>): Promise<void>;
}

export type Gateway<Caller extends object = Link> = ReturnType<typeof createGateway<Caller>>;

const OFFERS =
  'Here are only the model, messages to your chats, tasks and the message history; other hosts are reached ' +
  'through the proxy that HTTP_PROXY names, where the owner allowed them. Do not try other addresses; tell the user what you could not reach.';

const MAX_BODY_BYTES = 1024 * 1024;

/** How long the head of a call, and all of it, may take to arrive. */
const TIME_LIMITS = { headersTimeout: 20_000, requestTimeout: 60_000, connectionsCheckingInterval: 5_000 };
/** A runner keeps its connections as long as people think between two messages: a new one goes a long way before it carries anything. */
const KEPT_MS = 15 * 60_000;
const STATUS: Record<string, number> = {
  too_large: 413,
  forbidden: 403,
  not_available: 403,
  no_room: 507,
  disk_full: 507,
};
/** Every kind of too much has a code of its own, so that none hides another one in a timeline. */
const statusOf = (code: string): number => STATUS[code] ?? (code.startsWith('too_many') ? 429 : 400);
/** Refusals that will be the same in a second. */
const LASTING = /^(too_many_tasks|disk_full)$/;
const NO_HTTP = 'HTTP/1.1 400 this is no proper HTTP/1.1 request, or it took too long\r\nconnection: close\r\n\r\n';
/** Refusals that a timeline tells: what is not this container's, and what is too much. */
const NOTED = new Set([403, 429, 507]);

type OnRefused<Caller> = (link: Caller, why: string) => void;
type MaskFor<Caller> = (link: Caller) => Mask;
type Served<Caller> = Route<Caller> & { pattern: RegExp };

/** A route that takes a JSON body and answers with JSON. */
export function post(
  path: string,
  answer: (link: Link, body: unknown, ...ids: number[]) => object | Promise<object>,
  { rate, maxBytes = MAX_BODY_BYTES }: { rate?: Rate; maxBytes?: number } = {},
): Route {
  return {
    ...{ method: 'POST' as const, path, ...(rate && { rate }) },
    serve: async ({ link, request, response, ids, room }) =>
      reply(response, 200, await answer(link, await readJson(request, maxBytes, room), ...ids)),
  };
}

/** Begins without any route; modules add theirs before the first container starts. `offers`: what there is, for who asks for something else. */
export function createGateway<Caller extends object = Link>({
  offers = OFFERS,
  ...deps
}: BaseDeps & { offers?: string }) {
  const links = new WeakMap<object, Caller>();
  const boundsOf = new WeakMap<Caller, LinkBounds>();
  const newBounds = createBounds(deps.clock.now);
  const routes: Served<Caller>[] = [];
  const proxies: HttpProxy<Caller>[] = [];
  const onRefused: OnRefused<Caller>[] = [];
  const masks: MaskFor<Caller>[] = [];
  const holds: Hold<Caller>[] = [];
  const http = {
    maxHeaderSize: 32_768,
    ...TIME_LIMITS,
    keepAliveTimeout: KEPT_MS,
    IncomingMessage,
    ServerResponse: MaskedResponse,
  };
  /** Once a minute for each kind. */
  function note(link: Caller, bounds: LinkBounds, code: string, message: string): void {
    if (bounds.worthNoting(code)) for (const report of onRefused) report(link, message);
  }
  const server = createServer(http, (request, response) => {
    // A response whose client left must not crash the host.
    response.on('error', () => response.destroy());
    const link = links.get(request.socket);
    const bounds = link && boundsOf.get(link);
    // Without a socket the call is pipelined behind another one, which no client of ours does, and we could not see when it is over.
    if (!link || !bounds || !response.socket) return void request.socket.destroy();
    const [maskFor] = masks;
    response.newMask = maskFor && (() => maskFor(link));
    serve({ routes, holds, proxies, offers }, { link, request, response, bounds }).catch((error: unknown) => {
      // Reads the rest of a body that nobody needs: otherwise the caller would not get the answer.
      request.resume();
      // Nothing waits for this promise: an error in here, e.g. of a full disk, would end the process.
      try {
        const { status, code, message } = refuse(deps, response, error);
        if (NOTED.has(status)) note(link, bounds, status === 403 ? 'forbidden' : code, message);
      } catch (failure) {
        deps.log.error({ err: failure }, 'gateway refusal failed');
        response.destroy();
      }
    });
  });
  server.on('connect', ({ url: target = '' }, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const link = links.get(socket);
    const [proxy] = proxies;
    const bounds = link && boundsOf.get(link);
    if (!link || !bounds) return void socket.destroy();
    if (!bounds.admit('call')) {
      socket.end('HTTP/1.1 429 too many calls\r\n\r\n');
      return note(link, bounds, 'too_many_connections', 'this container opens connections too often');
    }
    if (!proxy) return void socket.end('HTTP/1.1 403 there is no way out\r\n\r\n');
    proxy.connect({ link, target, socket, head }).catch((error: unknown) => {
      deps.log.error({ err: error }, 'gateway connection failed');
      socket.destroy();
    });
  });
  server.on('clientError', (_error, socket) => void socket.end(NO_HTTP, () => socket.destroy()));
  // This server never listens, and without that Node would not look at its time limits.
  server.emit('listening');
  return {
    /** `report` is called when a call was refused or ran into a bound, once a minute for each link and kind. */
    add(more: Route<Caller>[], report?: OnRefused<Caller>): void {
      for (const route of more) routes.push({ ...route, pattern: patternOf(route.path) });
      if (report) onRefused.push(report);
    },
    /** What is no call of ours goes to `proxy`; without one it is refused. */
    addProxy: (proxy: HttpProxy<Caller>): void => void proxies.push(proxy),
    /** Asked before any route is. */
    addHold: (hold: Hold<Caller>): void => void holds.push(hold),
    /** Every byte that a container is given goes through the mask made for its answer. */
    addMask: (maskFor: MaskFor<Caller>): void => void masks.push(maskFor),
    /** Serves HTTP on one connection of a link. */
    connect(link: Caller, connection: Duplex): void {
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

const patternOf = (path: string): RegExp =>
  new RegExp(`^${path.replace(/:\w+/g, '(\\d{1,15})').replace(/\*$/, '.*')}$`, 's');

interface Offered<Caller> {
  routes: Served<Caller>[];
  holds: Hold<Caller>[];
  proxies: HttpProxy<Caller>[];
  offers: string;
}
type Arrived<Caller> = Omit<Call<Caller>, 'ids' | 'room'> & { bounds: LinkBounds };

async function serve<Caller>(
  { routes, holds, proxies: [proxy], offers }: Offered<Caller>,
  { bounds, ...call }: Arrived<Caller>,
): Promise<void> {
  const { request, response } = call;
  if (proxy && !request.url?.startsWith('/')) {
    if (!bounds.admit('call')) throw tooOften('call');
    return proxy.forward(call);
  }
  // A GET needs no body; one that is sent anyway is dropped instead of held.
  if (request.method === 'GET') request.resume();
  const path = (request.url ?? '').split('?')[0] ?? '';
  const route = routes.find(
    ({ method, pattern }) => (method === 'any' || method === request.method) && pattern.test(path),
  );
  const rate = route?.rate ?? 'call';
  if (!bounds.admit(rate)) throw tooOften(rate);
  if (!route) throw new PinchError('not_available', `This address, ${path.slice(0, 100)}, is not available. ${offers}`);
  const ids = route.pattern.exec(path)?.slice(1).map(Number) ?? [];
  const arrived = { ...call, ids, room: bounds.room(response) };
  for (const hold of holds) {
    const held = hold(arrived, route);
    if (held) return held;
  }
  await route.serve(arrived);
}

const tooOften = (rate: Rate) =>
  new PinchError(`too_many_${rate}s`, `this container ${TOO_OFTEN[rate]} too often; wait a second`);
const TOO_OFTEN = { call: 'asks', history: 'searches', finish: 'reports', memory: 'hands over memory' };

/** Answers with JSON. */
export function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** What the container did wrong becomes text for it; what we did wrong is logged and stays vague outside. */
function refuse({ log }: BaseDeps, response: ServerResponse, error: unknown) {
  const message = describeError(error);
  if (error instanceof PinchError) {
    const status = statusOf(error.code);
    // What lasts is not tried again in a second.
    if (NOTED.has(status) && status !== 403 && !LASTING.test(error.code)) response.setHeader('retry-after', 1);
    reply(response, status, { error: { code: error.code, message } });
    return { status, code: error.code, message: error.message };
  }
  log.error({ err: error }, 'gateway call failed');
  if (response.headersSent) response.destroy();
  else reply(response, 500, { error: { code: 'internal', message: 'the host could not do this; try again later' } });
  return { status: 500, code: 'internal', message };
}
