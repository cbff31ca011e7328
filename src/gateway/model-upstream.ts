// Carries one call to the model back end and its answer back: the credential goes in, bytes stream through as they are, the generation
// stops when the caller leaves, a dead connection becomes an error the SDK understands. Knows nothing about money.
import http, { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { Backend } from '../config.js';
import type { ModelCallRow } from '../types.js';
import type { ModelCall, Refusal } from './model-request.js';
import type { UsageTap } from './sse.js';

export type HttpBackend = Extract<Backend, { kind: 'http' }>;

/** Ends the response with an error in the API's shape. Only a 502 invites the SDK to try again. */
export function refuse(response: ServerResponse, { status, type, message }: Refusal): void {
  // Tells an empty purse of ours from one at the provider, which answers 402 as well.
  const details = status === 402 ? { error_code: 'gateway_budget_exceeded' } : undefined;
  const error = { type, message, details };
  const retry = status === 502 ? {} : { 'x-should-retry': 'false' };
  response.writeHead(status, { 'content-type': 'application/json', ...retry });
  response.end(JSON.stringify({ type: 'error', error }));
}

/** What is known of an answer while it goes on; its `status` is the back end's, 499 until there is one, 502 when there was none. */
export type Progress = Pick<ModelCallRow, 'at' | 'status' | 'firstByteMs' | 'requestId'>;

/** One call on its way through. */
export interface Exchange {
  call: ModelCall;
  request: IncomingMessage;
  response: ServerResponse;
  progress: Progress;
  tap: UsageTap;
}

/** Answers through the back end, filling `progress`; leaves the end of a reply to its caller. Rejects when the connection broke. */
export async function forward(exchange: Exchange, backend: HttpBackend, now: () => number): Promise<void> {
  const { response, progress, tap } = exchange;
  const answer = await send(exchange, backend);
  progress.status = answer.statusCode ?? 502;
  progress.firstByteMs = now() - progress.at;
  progress.requestId = String(answer.headers['request-id'] ?? '') || null;
  const headers = pick(answer.headers, RETURNED);
  if (progress.status === 200 && headers['content-type']?.startsWith('text/event-stream')) {
    response.writeHead(200, headers).flushHeaders();
    answer.on('data', tap.feed);
    return pipeline(answer, response, { end: false });
  }
  const whole = await text(answer);
  tap.feedWhole(whole);
  // An error goes to the container without the owner's credential, should the back end have repeated it.
  const secret = backend.apiKey || backend.authToken;
  const body = secret && progress.status !== 200 ? whole.replaceAll(secret, '[redacted]') : whole;
  response.writeHead(progress.status, headers).write(body);
}

/** Resolves with the head of the answer. Rejects when the server cannot be reached or the caller left. */
function send({ call, request, response }: Exchange, backend: HttpBackend): Promise<IncomingMessage> {
  const { apiKey, authToken } = backend;
  const url = new URL(backend.baseUrl);
  // People paste base URLs with and without /v1; the SDKs mean the one without.
  url.pathname = `${url.pathname.replace(/\/(v1\/?)?$/, '')}${call.path}`;
  url.search = call.query;
  const headers = {
    ...pick(request.headers, SENT),
    ...(apiKey ? { 'x-api-key': apiKey } : authToken && { authorization: `Bearer ${authToken}` }),
    'content-length': call.body.length,
    // Compressed bytes could not be tapped for usage.
    'accept-encoding': 'identity',
  };
  const client = url.protocol === 'https:' ? https : http;
  // Kept alive between calls. One that the server closed just as we took it becomes a 502, and the SDK asks again.
  const sent = client.request(url, { method: 'POST', headers });
  // No more tokens shall be made for nobody.
  response.once('close', () => sent.destroy());
  return new Promise((resolve, reject) => {
    sent.once('response', resolve).on('error', reject).end(call.body);
  });
}

// Only what the API reads: cookies, the caller's credentials, the run's name and everything hop-by-hop stay here.
const SENT = /^(accept|content-type|user-agent|anthropic-.+)$/;
const RETURNED = /^(content-type|request-id|retry-after(-ms)?|x-should-retry|anthropic-.+)$/;

function pick(headers: IncomingHttpHeaders, names: RegExp): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => names.test(name));
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}
