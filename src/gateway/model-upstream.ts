// One HTTP request to the model back end: which headers go there and come back, where the credential goes in, what must not leak.
// Knows nothing about budgets.
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { ModelCall } from './model-request.js';

/** Where model calls go. Structurally the same as in config.ts; read anew for every call. */
export type Backend =
  | { kind: 'demo' }
  | { kind: 'http'; baseUrl: string; apiKey?: string | undefined; authToken?: string | undefined };
export type HttpBackend = Extract<Backend, { kind: 'http' }>;

const ANTHROPIC_HOST = 'api.anthropic.com';

/** Whether prices of unknown models must be assumed: only Anthropic is known to charge for everything. */
export function isAnthropic({ baseUrl }: HttpBackend): boolean {
  return new URL(baseUrl).hostname === ANTHROPIC_HOST;
}

export interface Upstream {
  /** Resolves with the response's head. Rejects when the server cannot be reached or `signal` aborts. */
  send(
    backend: HttpBackend,
    call: ModelCall,
    from: { headers: IncomingHttpHeaders; signal: AbortSignal },
  ): Promise<IncomingMessage>;
}

/** Keeps connections to the back end alive between calls; idle ones do not keep the process alive. */
export function createUpstream(): Upstream {
  const agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) };
  const once = (backend: HttpBackend, call: ModelCall, from: { headers: IncomingHttpHeaders; signal: AbortSignal }) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const url = targetUrl(backend.baseUrl, call);
      const secure = url.protocol === 'https:';
      const headers = { ...forwardedHeaders(from.headers), ...credential(backend), 'content-length': call.body.length };
      const options = { method: 'POST', headers, agent: secure ? agents.https : agents.http, signal: from.signal };
      const request = (secure ? https : http).request(url, options);
      request.once('response', resolve);
      request.once('error', (error) => reject(new UpstreamError(error, request.reusedSocket)));
      request.end(call.body);
    });
  return {
    async send(backend, call, from) {
      try {
        return await once(backend, call, from);
      } catch (error) {
        // The server closed an idle connection just as we took it: nothing was read, a fresh one will do.
        const stale = error instanceof UpstreamError && error.reused && /^(ECONNRESET|EPIPE)$/.test(error.message);
        if (!stale || from.signal.aborted) throw error;
        return await once(backend, call, from);
      }
    },
  };
}

class UpstreamError extends Error {
  readonly reused: boolean;
  constructor(cause: Error, reused: boolean) {
    super('code' in cause && typeof cause.code === 'string' ? cause.code : 'connection failed', { cause });
    this.reused = reused;
  }
}

function targetUrl(baseUrl: string, { path, query }: ModelCall): URL {
  const url = new URL(baseUrl);
  // People paste base URLs with and without /v1; the SDKs mean the one without.
  url.pathname = `${url.pathname.replace(/\/(v1\/?)?$/, '')}${path}`;
  url.search = query;
  return url;
}

// Only what the API reads: cookies, both credentials, the run's name and everything hop-by-hop stay here.
const FORWARDED = /^(accept|content-type|user-agent|idempotency-key|anthropic-.+|x-stainless-.+)$/;

/** The container's headers that go to the back end. Pure. */
export function forwardedHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept = Object.entries(headers).flatMap(([name, value]) =>
    value !== undefined && FORWARDED.test(name) ? [[name, String(value)]] : [],
  );
  // Compressed bytes could not be tapped for usage.
  return { ...Object.fromEntries(kept), 'accept-encoding': 'identity' };
}

/** The owner's credential as headers; the API key wins over the token. Pure. */
export function credential(backend: HttpBackend): Record<string, string> {
  const { apiKey, authToken } = backend;
  if (apiKey && isAnthropic(backend)) return { 'x-api-key': apiKey };
  // Other servers of the Messages API read one or the other.
  if (apiKey) return { 'x-api-key': apiKey, authorization: `Bearer ${apiKey}` };
  return authToken ? { authorization: `Bearer ${authToken}` } : {};
}

const KEPT_HERE = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'set-cookie',
  'content-length',
  'location',
]);
const LONGEST_WAIT_MS = 60_000;

/**
 * The back end's headers that go to the container. A wait longer than a minute is marked `x-should-retry: false`: the SDK would sleep it
 * out inside the run, which the queue does better. Pure.
 */
export function returnedHeaders(
  response: Pick<IncomingMessage, 'headers' | 'statusCode'>,
  now: number,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined && !KEPT_HERE.has(name)) headers[name] = value;
  }
  const failed = (response.statusCode ?? 0) >= 400;
  if (failed && waitMs(response.headers, now) > LONGEST_WAIT_MS) headers['x-should-retry'] = 'false';
  return headers;
}

function waitMs(headers: IncomingHttpHeaders, now: number): number {
  const exact = Number(headers['retry-after-ms'] ?? Number.NaN);
  if (Number.isFinite(exact)) return exact;
  const after = headers['retry-after'];
  if (after === undefined) return 0;
  const seconds = Number(after);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(after) - now;
  return Number.isFinite(wait) ? wait : 0;
}

/** Takes the owner's credential out of a text that goes to the container, should the back end have repeated it. Pure. */
export function redact(text: string, { apiKey, authToken }: HttpBackend): string {
  const secrets = [apiKey, authToken].filter((secret) => secret !== undefined && secret !== '');
  return secrets.reduce<string>((clean, secret) => (secret ? clean.replaceAll(secret, '[redacted]') : clean), text);
}
