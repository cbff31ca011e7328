// A connection to an MCP server over HTTP: the protocol's own transport, whose requests go out as those of any other service do, with the owner's
// credential and within bounds. What comes back is cleaned by who hands it on to a container.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../core/clock.js';
import { describeError, PinchError } from '../core/errors.js';
import type { Service } from '../services/list.js';
import type { Services } from '../services/services.js';
import { callService, type ServiceAnswer, type ServiceRequest } from '../services/upstream.js';
import { type BodyDeps, readBody } from './http-body.js';
import type { Parser } from './parse.js';
import { createAllowance, type ServerTransport } from './transport.js';

interface HttpServerDeps {
  service: Service;
  services: Pick<Services, 'credential' | 'answered'>;
  clock: Clock;
  parser: Pick<Parser, 'parse'>;
}

/** Requests that are not over: a server may ask as much as it is answered. */
const MAX_OPEN = 64;
/** A server says how soon a stream that it ended is asked for again, but not at once again and again. */
const AGAIN_MS = 250;
const EMPTY = new Set([202, 204, 205, 304]);

/** Its requests reject with PinchError where the owner has to do something. Loads the protocol's library, which is large. */
export async function createHttpTransport(deps: HttpServerDeps): Promise<ServerTransport> {
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const { clock, parser } = deps;
  let why: string | undefined;
  let open = 0;
  const allowance = createAllowance(clock);
  const spend = (amount: number): void => {
    try {
      allowance(amount);
    } catch (error) {
      void transport.end(describeError(error));
      throw error;
    }
  };
  const fetch = async (_url: string | URL, init?: RequestInit): Promise<Response> => {
    if (open >= MAX_OPEN) throw new PinchError('too_many', `${open} requests to this server are open; wait for them`);
    open += 1;
    const answer = await send(deps, init).catch((error: unknown) => {
      open -= 1;
      throw error;
    });
    answer.body.once('close', () => {
      open -= 1;
    });
    // It knows this session no more: the next call begins another one.
    if (answer.status === 404 && new Headers(init?.headers).has('mcp-session-id'))
      setImmediate(() => void transport.end('it was stopped: the server ended the session'));
    return toResponse(answer, { parser, spend });
  };
  const reconnectionScheduler = (again: () => void, ms: number) => {
    const timer = clock.at(clock.now() + Math.max(ms, AGAIN_MS), again);
    return () => timer.cancel();
  };
  const http = new StreamableHTTPClientTransport(deps.service.url, { fetch, reconnectionScheduler });
  const transport = Object.assign(http, {
    whyClosed: () => why,
    async end(reason: string): Promise<void> {
      if (why !== undefined) return;
      why = reason;
      // Nobody waits for what the server thinks of it.
      void http.terminateSession().catch(() => undefined);
      await http.close();
    },
  });
  return transport;
}

async function send({ service, services, clock }: HttpServerDeps, init: RequestInit = {}): Promise<ServiceAnswer> {
  const { method = 'GET', signal } = init;
  const body = typeof init.body === 'string' ? Buffer.from(init.body) : undefined;
  const path = service.url.pathname.endsWith('/') ? '/' : '';
  const request: ServiceRequest = { method, path, query: '', headers: Object.fromEntries(new Headers(init.headers)) };
  const shown: Service = { ...service, headers: [...service.headers, 'mcp-session-id'] };
  const over = signal ?? new AbortController().signal;
  let isAnew = false;
  for (;;) {
    const credential = await services.credential(service);
    const answer = await callService({ service: shown, credential, clock }, request, { body, signal: over });
    await services.answered(service, credential, answer);
    const { status } = answer;
    if (status < 300 || (status >= 400 && status !== 401 && status !== 403)) return answer;
    answer.body.destroy();
    // It did nothing yet, so a token that can be had anew is tried, once.
    const isOld = status === 401 && !isAnew && service.auth && 'oauth2' in service.auth;
    if (!isOld) throw refusal(service, answer);
    isAnew = true;
  }
}

function refusal({ name }: Service, { status, challenge = '' }: ServiceAnswer): PinchError {
  const hint = `npm run -s pinch -- service test ${name}`;
  if (status === 401)
    return new PinchError('no_credential', `the service ${name} does not take its credential`, { hint });
  if (/\binsufficient_scope\b/.test(challenge))
    return new PinchError('insufficient_scope', `the service ${name} wants further rights for this`, {
      hint: 'the owner was told how to give them',
    });
  if (status === 403) return new PinchError('forbidden', `the service ${name} does not allow this`, { hint });
  return new PinchError('unreachable', `the service ${name} leads elsewhere, which is not followed`, { hint });
}

function toResponse({ status, headers, body }: ServiceAnswer, deps: BodyDeps): Response {
  if (EMPTY.has(status)) {
    body.resume();
    return new Response(null, { status: status === 202 ? 202 : 204, headers });
  }
  const read = readBody(deps, /^text\/event-stream\b/i.test(headers['content-type'] ?? ''));
  pipeline(body, read).catch(() => read.destroy());
  return new Response(Readable.toWeb(read), { status, headers });
}
