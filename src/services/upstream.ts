// One call to a service: a connection of its own to the one origin that the owner wrote, with the owner's credential. Follows no redirect.
import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { PassThrough, type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Clock } from '../core/clock.js';
import { buildAutomaton } from '../secrets/automaton.js';
import { createMask, type Mask, maskTexts } from '../secrets/mask.js';
import { canBeLookedFor } from '../secrets/values.js';
import { returnedHeaders } from './headers.js';
import type { Credential, Service } from './list.js';

/** What is asked of a service. `path` and `query` are canonical, headers are those that may be sent. */
export interface ServiceRequest {
  method: string;
  path: string;
  query: string;
  headers: Record<string, string>;
}

/** What of it a container chose. */
export const textsOf = ({ path, query, headers }: Omit<ServiceRequest, 'method'>): string[] => [
  path,
  query,
  ...Object.entries(headers).flat(),
];

/** What came back, without the credential where only this call knows it; all others are found by who hands it on. */
export interface ServiceAnswer {
  status: number;
  headers: Record<string, string>;
  body: Readable;
  /** A redirect that leads outside of the service; a text, with nothing to follow. */
  leadsTo?: string;
  /** What it wants to be shown (`www-authenticate`); for us alone. */
  challenge?: string;
}

const LIMITS = { connectMs: 10_000, idleMs: 120_000, retryMs: 300 };
/** A server that was just restarted. */
const TRIES = 3;
/** Shorter credentials stand in every text by chance. */
const MIN_CHARS = 6;
const MAX_HEADER_BYTES = 32_768;
const DECODERS: Record<string, () => NodeJS.ReadWriteStream & Readable> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** The whole URL for people. */
export const urlOf = ({ url }: Pick<Service, 'url'>, { path, query }: Pick<ServiceRequest, 'path' | 'query'>): string =>
  url.origin + fullPath(url, path) + (query && `?${query}`);

const fullPath = (url: URL, path: string): string => url.pathname.replace(/\/$/, '') + path;

/**
 * Resolves with the head of the answer. Rejects with an Error whose message is a few words. `body` is sent as it comes; a call without one that only
 * reads is tried again while nothing listens there.
 */
export async function callService(
  { service, credential, clock }: { service: Service; credential: Credential; clock: Clock },
  request: ServiceRequest,
  { body, signal }: { body?: Readable | Buffer | undefined; signal: AbortSignal },
): Promise<ServiceAnswer> {
  const isRepeatable = body === undefined && /^(GET|HEAD|OPTIONS)$/.test(request.method);
  for (let left = isRepeatable ? TRIES : 1; ; left -= 1) {
    try {
      const answer = await send({ service, credential, clock }, request, { body, signal });
      return clean(service, weakMask(credential), request, answer);
    } catch (error) {
      if (left <= 1 || !isRefused(error)) throw error;
      await clock.sleep(LIMITS.retryMs, signal);
    }
  }
}

const isRefused = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';

async function send(
  { service: { url }, credential, clock }: { service: Service; credential: Credential; clock: Clock },
  { method, path, query, headers }: ServiceRequest,
  { body, signal }: { body?: Readable | Buffer | undefined; signal: AbortSignal },
): Promise<IncomingMessage> {
  const client = url.protocol === 'https:' ? https : http;
  const sent = client.request({
    ...{ protocol: url.protocol, host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port, method, signal },
    path: fullPath(url, path) + (query && `?${query}`),
    headers: {
      ...headers,
      host: url.host,
      // A server that answers before it read all would else break the connection, and its answer would be lost.
      connection: 'keep-alive',
      // The credential could not be found in compressed bytes.
      'accept-encoding': 'identity',
      ...(Buffer.isBuffer(body) && { 'content-length': body.length }),
      ...(credential.header && { [credential.header[0]]: credential.header[1] }),
    },
    // Each call has a connection of its own: one that the server is about to close would leave open whether the call was seen.
    agent: false,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  limit(sent, clock);
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).on('error', reject);
    sent.once('upgrade', (_answer, socket) => {
      socket.destroy();
      reject(new Error('it wants another protocol'));
    });
  });
  if (body === undefined || Buffer.isBuffer(body)) sent.end(body);
  else {
    // Not `pipeline`: a service that answers before it read all, e.g. that this is too much, must not end the caller's connection.
    body.pipe(sent);
    // Nobody takes the rest of it, but the caller gets the answer only when it is read.
    sent.once('close', () => body.unpipe(sent).resume());
  }
  return answer;
}

function limit(sent: ClientRequest, clock: Clock): void {
  const late = clock.at(clock.now() + LIMITS.connectMs, () => sent.destroy(new Error('it cannot be reached in time')));
  sent.once('socket', (socket) => socket.once('encrypted' in socket ? 'secureConnect' : 'connect', late.cancel));
  sent.once('close', late.cancel);
  sent.setTimeout(LIMITS.idleMs, () => sent.destroy(new Error('nothing came for two minutes')));
}

/** A short password or a word is not looked for elsewhere; in what comes back from where it was sent it is. */
function weakMask({ secrets }: Credential): (() => Mask) | undefined {
  const weak = secrets.filter((value) => value.length >= MIN_CHARS && !canBeLookedFor(value));
  if (weak.length === 0) return undefined;
  // Of so few characters none is shown while the rest of them is awaited.
  const automaton = buildAutomaton(
    weak.map((value) => ({ name: '', value })),
    1,
  );
  return () => createMask(automaton, () => undefined);
}

const through = (mask: Mask): Transform =>
  new Transform({
    transform: (chunk, _encoding, done) => done(null, mask.feed(chunk)),
    flush: (done) => done(null, mask.end()),
  });

/** Throws when the answer is in a coding that cannot be looked into. */
function clean(
  service: Service,
  newMask: (() => Mask) | undefined,
  { method, path }: ServiceRequest,
  answer: IncomingMessage,
): ServiceAnswer {
  const status = answer.statusCode ?? 502;
  const coding = answer.headers['content-encoding']?.toLowerCase() ?? 'identity';
  const isEmpty = method === 'HEAD' || status === 204 || status === 304;
  const decoder = isEmpty ? undefined : DECODERS[coding]?.();
  if (!decoder && !isEmpty && coding !== 'identity') {
    answer.destroy();
    throw new Error(`its answer is coded as ${coding.slice(0, 40)}, which nobody here reads`);
  }
  const headers = returnedHeaders(answer.headers, service.headers);
  const own = new URL(service.url.origin + fullPath(service.url, '/'));
  if (headers.link) headers.link = headers.link.replaceAll(`<${own.href}`, `</service/${service.name}/`);
  const length = answer.headers['content-length'];
  if (length && !decoder) headers['content-length'] = length;
  const leadsTo = redirectOf(service, answer, {
    own,
    headers,
    asked: service.url.origin + fullPath(service.url, path),
  });
  const masked = (text: string): string => (newMask && maskTexts(newMask(), [text])[0]) ?? text;
  for (const [name, value] of Object.entries(headers)) headers[name] = masked(value);
  const body = newMask ? through(newMask()) : new PassThrough();
  const steps = decoder ? [answer, decoder, body] : [answer, body];
  pipeline(steps).catch(() => body.destroy());
  const challenge = answer.headers['www-authenticate'];
  return { status, headers, body, ...(leadsTo && { leadsTo: masked(leadsTo) }), ...(challenge && { challenge }) };
}

/** Sets `location` where it leads to the service itself; else returns where it leads. */
function redirectOf(
  service: Service,
  { statusCode = 0, headers: { location } }: IncomingMessage,
  { own, headers, asked }: { own: URL; headers: Record<string, string>; asked: string },
): string | undefined {
  if (location === undefined) return undefined;
  const target = URL.canParse(location, asked) ? new URL(location, asked) : undefined;
  if (target?.origin === own.origin && target.pathname.startsWith(own.pathname) && !target.username)
    headers.location = `/service/${service.name}/${target.pathname.slice(own.pathname.length)}${target.search}`;
  else if (statusCode >= 300 && statusCode < 400) return target?.href ?? 'an address that is none';
  return undefined;
}
