// A connection to an MCP server over HTTP: the protocol's own transport, whose requests go out as those of any other service do, with the owner's
// credential and within bounds. What comes back is cleaned by who hands it on to a container.
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import type { Service } from '../services/list.js';
import type { Services } from '../services/services.js';
import { callService, type ServiceAnswer, type ServiceRequest } from '../services/upstream.js';
import type { ServerTransport } from './transport.js';

interface HttpServerDeps {
  service: Service;
  services: Pick<Services, 'credential' | 'answered'>;
  clock: Clock;
}

const MB = 1024 * 1024;
/** Of one message, which is read in one go, and of all that comes as the answer to one request. */
const LIMITS = { messageBytes: 2 * MB, answerBytes: 64 * MB };
const EMPTY = new Set([202, 204, 205, 304]);

/** Its requests reject with PinchError where the owner has to do something. Loads the protocol's library, which is large. */
export async function createHttpTransport(deps: HttpServerDeps): Promise<ServerTransport> {
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  let why: string | undefined;
  const fetch = async (_url: string | URL, init?: RequestInit): Promise<Response> => {
    const answer = await send(deps, init);
    // It knows this session no more: the next call begins another one.
    if (answer.status === 404 && new Headers(init?.headers).has('mcp-session-id'))
      setImmediate(() => void transport.end('it was stopped: the server ended the session'));
    return answer;
  };
  const http = new StreamableHTTPClientTransport(deps.service.url, { fetch });
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

async function send({ service, services, clock }: HttpServerDeps, init: RequestInit = {}): Promise<Response> {
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
    if (status < 300 || (status >= 400 && status !== 401 && status !== 403)) return toResponse(answer);
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

function toResponse({ status, headers, body }: ServiceAnswer): Response {
  if (EMPTY.has(status)) {
    body.resume();
    return new Response(null, { status: status === 202 ? 202 : 204, headers });
  }
  const read = bounded();
  pipeline(body, read).catch(() => read.destroy());
  return new Response(Readable.toWeb(read), { status, headers });
}

/** Breaks off what is too long: a message, which ends with an empty line where several come, or all of it. */
function bounded(): Transform {
  let [all, message, end] = [0, 0, ''];
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const text = end + chunk.toString('latin1');
      const at = Math.max(text.lastIndexOf('\n\n'), text.lastIndexOf('\n\r\n'));
      all += chunk.length;
      message = at < 0 ? message + chunk.length : text.length - at;
      end = text.slice(-2);
      const isFine = all <= LIMITS.answerBytes && message <= LIMITS.messageBytes;
      done(isFine ? null : new Error('the answer is too long'), chunk);
    },
  });
}
