// One answer from the outside, by way of the host's proxy: redirects followed here, each hop a new question to the proxy; time and bytes bounded.
// Knows nothing about what is in it.
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP, type Socket } from 'node:net';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { brotliDecompress, unzip } from 'node:zlib';
import { systemClock } from '../../../../src/core/clock.js';
import { describeError } from '../../../../src/core/errors.js';

/** `port`: the host's proxy on 127.0.0.1; `limitMs`: for all hops together. */
export type Door = { port: number; limitMs?: number };

/** `url`: after all redirects; `type`: the Content-Type header, or nothing. */
export type Answer = { url: string; status: number; type: string; bytes: Buffer };

/** The host did not let a connection out, in its words. */
export class Refusal extends Error {}

const LIMIT_MS = 30_000;
export const MAX_BYTES = 5 * 1024 * 1024;
const MAX_REDIRECTS = 5;
const HEADERS = {
  'user-agent': 'Mozilla/5.0 (compatible; Pinch)',
  accept: 'text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, */*;q=0.8',
  'accept-encoding': 'gzip, br',
};
const DECODERS = new Map([
  ...['gzip', 'x-gzip', 'deflate'].map((coding) => [coding, promisify(unzip)] as const),
  ['br', promisify(brotliDecompress)] as const,
]);

/** An address that may be asked for, without its fragment. Throws what is wrong with it. */
export function readUrl(text: string, base?: string): URL {
  if (!URL.canParse(text, base)) throw new Error(`this is no URL: ${text}`);
  const url = new URL(text, base);
  if (!/^https?:$/.test(url.protocol)) throw new Error(`only http and https URLs can be fetched, not ${url.protocol}`);
  if (url.username || url.password) throw new Error('a URL with a user name or password is not fetched');
  url.hash = '';
  return url;
}

/** What to do about an answer that cannot be shown. */
export const download = (url: string): string =>
  `download it with \`curl -sSLO '${url.replaceAll("'", '%27')}'\` and use a program on it`;

/** Throws `Refusal`, or an Error in words for the model. */
export async function request(url: URL, { port, limitMs = LIMIT_MS }: Door, signal: AbortSignal): Promise<Answer> {
  const ended = new AbortController();
  const end = () => ended.abort();
  const timer = systemClock.at(systemClock.now() + limitMs, end);
  signal.addEventListener('abort', end);
  try {
    signal.throwIfAborted();
    return await follow(url, port, ended.signal);
  } catch (error) {
    if (ended.signal.aborted) throw new Error(`${url.host} sent no whole answer within ${limitMs / 1_000} s`);
    throw error;
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', end);
  }
}

async function follow(first: URL, port: number, signal: AbortSignal): Promise<Answer> {
  let url = first;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await get(url, port, signal);
    try {
      const { statusCode: status = 0, headers } = response;
      const isRedirect = [301, 302, 303, 307, 308].includes(status) && headers.location !== undefined;
      if (!isRedirect) {
        const bytes = await readBody(response, url.href);
        return { url: url.href, status, type: headers['content-type'] ?? '', bytes };
      }
      url = readUrl(headers.location ?? '', url.href);
    } finally {
      response.destroy();
    }
  }
  throw new Error(`${first.host} redirects more than ${MAX_REDIRECTS} times, at last to ${url.href}`);
}

/** The head of the site's answer; its body is still to come. */
async function get(url: URL, port: number, signal: AbortSignal): Promise<IncomingMessage> {
  const isTls = url.protocol === 'https:';
  const socket = await openTunnel(`${url.hostname}:${url.port || (isTls ? 443 : 80)}`, port, signal);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const servername = isIP(host) ? '' : host;
  const createConnection = () =>
    isTls ? tls.connect({ socket, host, servername, ALPNProtocols: ['http/1.1'] }) : socket;
  const sent = (isTls ? https : http).request(url, { headers: HEADERS, createConnection, signal });
  try {
    const [response] = await once(sent.end(), 'response');
    return response;
  } catch (error) {
    socket.destroy();
    throw new Error(`${url.host} ${inWords(error)}`);
  }
}

/** CONNECT for http too: so only the proxy itself can speak about approvals, and no site in its name. */
function openTunnel(path: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const asked = http.request({ host: '127.0.0.1', port, method: 'CONNECT', path, agent: false, signal });
    asked.on('connect', ({ statusCode, statusMessage }, socket) => {
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      const why = statusMessage || `the proxy answered ${statusCode}`;
      const plain = why.replace(/(ENOTFOUND|EAI_AGAIN)$/, 'there is no such host');
      reject(new Refusal(plain.replace(/ECONNREFUSED$/, 'nothing listens there')));
    });
    asked.on('error', reject).end();
  });
}

function inWords(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const why = describeError(error).replace(/^.*:error:\w+:|\n[\s\S]*$/g, '');
  if (/CERT|ISSUER|SIGNATURE/.test(code)) return `has no valid certificate: ${why}`;
  if (/SSL|TLS|EPROTO/.test(code)) return `does not speak TLS properly: ${why}`;
  if (/ECONNRESET|EPIPE/.test(code)) return 'closed the connection without an answer';
  return `gave no proper answer: ${why}`;
}

/** The body as it was before it was compressed: neither form may be larger than 5 MB. */
async function readBody(response: IncomingMessage, url: string): Promise<Buffer> {
  const { 'content-type': type = 'of unknown type', 'content-encoding': coding = 'identity' } = response.headers;
  const tooLarge = new Error(`${url} is larger than 5 MB (${type}): ${download(url)}`);
  const chunks: Buffer[] = [];
  let left = MAX_BYTES;
  for await (const chunk of response) {
    left -= chunk.length;
    if (left < 0) throw tooLarge;
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (coding === 'identity' || bytes.length === 0) return bytes;
  const decode = DECODERS.get(coding.trim().toLowerCase());
  if (!decode) throw new Error(`${url} came coded as ${coding}, which was not asked for`);
  return decode(bytes, { maxOutputLength: MAX_BYTES }).catch((error) => {
    throw error.code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge : new Error(`${url} sent damaged data: ${error.message}`);
  });
}
