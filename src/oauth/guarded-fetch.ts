// Requests to addresses that others named: a service's own metadata may lead anywhere. Reaches public servers over https, and of the own network
// only what the owner wrote, or all of it where the service itself is there. Follows no redirect, reads no more than it has to.
import { lookup as resolve } from 'node:dns/promises';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isAllowedFixed, isOwnNetwork, isRefusedAddress } from '../core/address.js';
import { timeLimit } from '../core/clock.js';
import { PinchError } from '../core/errors.js';

/** As `fetch`; what it may not reach is a PinchError `unsafe`. */
export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;
export type Lookup = (host: string) => Promise<string[]>;

const MAX_BYTES = 256 * 1024;
const MAX_HEADER_BYTES = 32_768;
const ANSWER_MS = 20_000;
const EMPTY = new Set([204, 205, 304]);

const ofSystem: Lookup = async (host) => (await resolve(host, { all: true })).map(({ address }) => address);

interface Places {
  /** Of the service. */
  url: URL;
  /** Others that stand in services.json. */
  written: string[];
}

export function createGuardedFetch({ url: service, written }: Places, lookup: Lookup = ofSystem): Fetch {
  const own = new Set([service.href, ...written].map((one) => new URL(one).origin));
  /** Throws PinchError `unsafe`. */
  const check = (url: URL, addresses: string[]): void => {
    const isFine = isOwnNetwork(service) ? isAllowedFixed : (address: string) => !isRefusedAddress(address);
    if (!own.has(url.origin) && !addresses.every(isFine)) throw unsafe(url, 'leads to an address that is not public');
  };
  return async (input, init) => {
    const url = new URL(input);
    const isPlain = own.has(url.origin) || (isOwnNetwork(service) && isOwnNetwork(url));
    if (url.protocol !== 'https:' && !(isPlain && url.protocol === 'http:')) throw unsafe(url, 'is not https');
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const signal = AbortSignal.any([timeLimit(ANSWER_MS), ...(init?.signal ? [init.signal] : [])]);
    const addresses = isIP(host) ? [host] : await unlessAborted(lookup(host), signal);
    check(url, addresses);
    const sent = new Request(url, init);
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      ...{ method: sent.method, agent: false, signal, maxHeaderSize: MAX_HEADER_BYTES },
      headers: { ...Object.fromEntries(sent.headers), 'accept-encoding': 'identity' },
      // What was looked at is what is connected to.
      lookup: pinned(addresses),
    });
    // The time limit may come when the answer has begun: then whoever reads it is told.
    request.on('error', () => undefined);
    request.end(Buffer.from(await sent.arrayBuffer()));
    const [answer]: IncomingMessage[] = await once(request, 'response');
    if (!answer) throw new Error('no answer came');
    return toResponse(url, answer, sent.method);
  };
}

/** A look-up cannot be ended, but nobody has to wait for it. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

const unsafe = (url: URL, why: string) => new PinchError('unsafe', `${url.origin} ${why}, so it was not asked`);

const pinned =
  ([first = '', ...more]: string[]): LookupFunction =>
  (_host, { all }, done) => {
    const family = isIP(first);
    if (all)
      done(
        null,
        [first, ...more].map((address) => ({ address, family: isIP(address) })),
      );
    else done(null, first, family);
  };

async function toResponse(url: URL, answer: IncomingMessage, method: string): Promise<Response> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) {
      answer.destroy();
      throw new Error(`the answer of ${url.host} is longer than ${MAX_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  const status = answer.statusCode ?? 502;
  const headers = new Headers();
  for (const [name, value = ''] of Object.entries(answer.headers)) headers.set(name, [value].flat().join(', '));
  return new Response(method === 'HEAD' || EMPTY.has(status) ? null : Buffer.concat(chunks), { status, headers });
}
