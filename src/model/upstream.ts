// Carries one call to the model back end and its answer back: the credential goes in, bytes stream through as they are, a reply that
// nobody waits for any more is read on for a while, a dead connection becomes an error the SDK understands. Knows nothing about money.
import http, { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import type { Backend } from '../core/config.js';
import { retryAfterS } from '../core/retry-after.js';
import { sizeOf } from '../gateway/scanner.js';
import { type Overload, overloadOf } from './overload.js';
import type { ModelCall, Refusal } from './request.js';
import type { ModelCallRow } from './rows.js';
import type { UsageTap } from './sse.js';

type HttpBackend = Extract<Backend, { kind: 'http' }>;

/** After so long a reserve that was in the way may be free again. */
const BUSY_RETRY_S = 3;

/** Ends the response with an error in the API's shape. Only a 502 and a 429 invite the SDK to try again. */
export function refuse(response: ServerResponse, { status, type, message }: Refusal): void {
  // The provider answers 402 as well; this code says that it is our own budget.
  const details = status === 402 ? { error_code: 'gateway_budget_exceeded' } : undefined;
  const error = { type, message, details };
  const again: Record<number, object> = { 502: {}, 429: { 'retry-after': `${BUSY_RETRY_S}` } };
  const retry = again[status] ?? { 'x-should-retry': 'false' };
  response.writeHead(status, { 'content-type': 'application/json', ...retry });
  response.end(JSON.stringify({ type: 'error', error }));
}

/** What is known of an answer while it goes on; its `status` is the back end's, 499 until there is one, 502 when there was none. */
export type Progress = Pick<ModelCallRow, 'at' | 'status' | 'firstByteMs' | 'requestId'> & {
  /** Why there was no answer, or no whole one. */
  error?: string;
  /** When anything came last, epoch ms. */
  heardAt?: number;
  overload?: Overload | undefined;
};

/** One call on its way through. */
export interface Exchange {
  call: ModelCall;
  request: IncomingMessage;
  response: ServerResponse;
  progress: Progress;
  tap: UsageTap;
  clock: Pick<Clock, 'now' | 'at'>;
  /** How long a reply is read on when its caller has just left. */
  readOnMs(): number;
}

/**
 * Answers through the back end, filling `progress`; resolves with the end of the reply, which its caller sends once the call is recorded: whoever
 * has the whole reply finds its cost in the store. Rejects when the connection broke.
 */
export async function forward(exchange: Exchange, backend: HttpBackend): Promise<Buffer | undefined> {
  const { response, progress, tap, clock } = exchange;
  const answer = await send(exchange, backend);
  progress.status = answer.statusCode ?? 502;
  progress.heardAt = clock.now();
  progress.firstByteMs = progress.heardAt - progress.at;
  progress.requestId = String(answer.headers['request-id'] ?? '') || null;
  const returned = Object.entries(answer.headers).filter(([name]) => RETURNED.test(name));
  const headers = Object.fromEntries(returned.map(([name, value]) => [name, String(value)]));
  if (progress.status === 200 && headers['content-type']?.startsWith('text/event-stream')) {
    if (!response.destroyed) response.writeHead(200, headers).flushHeaders();
    for await (const chunk of answer.iterator({ destroyOnReturn: false })) {
      progress.heardAt = clock.now();
      tap.feed(chunk);
      if (tap.isWhole()) {
        // Nothing follows it, and nobody waits until the server has ended its answer; the connection is used again after that.
        answer.on('error', () => undefined).resume();
        return chunk;
      }
      if (!response.destroyed && !response.write(chunk)) await writable(response);
    }
    return undefined;
  }
  const whole = await text(answer);
  const waitS = retryAfterS(headers['retry-after'], headers['retry-after-ms'], clock.now());
  if (progress.status !== 200) progress.overload = overloadOf(progress.status, waitS, whole);
  tap.feedWhole(whole);
  // An error goes to the container without the owner's credential, should the back end have repeated it.
  const secret = backend.apiKey || backend.authToken;
  const body = secret && progress.status !== 200 ? whole.replaceAll(secret, '[redacted]') : whole;
  if (!response.destroyed) response.writeHead(progress.status, headers);
  return Buffer.from(body);
}

/** Resolves when the caller has read, or left. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

const COUNT_LIMIT_MS = 10_000;
const countAnswer = z.object({ input_tokens: z.int().nonnegative() });

/** How many tokens the back end counts in the prompt, which is free; undefined when it cannot or does not say in time. Never rejects. */
export async function countPrompt(
  { call, request, clock }: Pick<Exchange, 'call' | 'request' | 'clock'>,
  backend: HttpBackend,
): Promise<number | undefined> {
  const body = call.countBody();
  const counting = { path: '/v1/messages/count_tokens', query: call.query, bodyBytes: sizeOf(body) };
  const sent = open(counting, request.headers, backend);
  const late = clock.at(clock.now() + COUNT_LIMIT_MS, () => sent.destroy());
  try {
    const [answer] = await Promise.all([answerTo(sent), pipeline(Readable.from(body), sent)]);
    return countAnswer.safeParse(JSON.parse(await text(answer))).data?.input_tokens;
  } catch {
    // Not every back end counts. Without a count the bytes are what is known.
    return undefined;
  } finally {
    late.cancel();
  }
}

/** Resolves with the head of the answer. Rejects when the server cannot be reached, or does not answer a caller that has left. */
async function send(
  { call, request, response, clock, readOnMs }: Exchange,
  backend: HttpBackend,
): Promise<IncomingMessage> {
  const sent = open(call, request.headers, backend);
  // A reply says only at its end what it cost, so it is read on for a while after its caller left.
  response.once('close', () => {
    const ending = clock.at(clock.now() + readOnMs(), () => sent.destroy());
    sent.once('close', ending.cancel);
  });
  return new Promise((resolve, reject) => {
    answerTo(sent).then(resolve, reject);
    // At once, with its head: all of it is in memory, and every piece would be a packet of its own.
    sent.cork();
    for (const piece of call.body) sent.write(piece);
    sent.end();
  });
}

const answerTo = (sent: http.ClientRequest) =>
  new Promise<IncomingMessage>((resolve, reject) => void sent.once('response', resolve).on('error', reject));

/** Opens the request that is to carry a call, with the owner's credential. */
function open(
  { path, query, bodyBytes }: Pick<ModelCall, 'path' | 'query' | 'bodyBytes'>,
  callerHeaders: IncomingHttpHeaders,
  { baseUrl, apiKey, authToken }: HttpBackend,
): http.ClientRequest {
  const url = new URL(baseUrl);
  // People paste base URLs with and without /v1; the SDKs mean the one without.
  url.pathname = `${url.pathname.replace(/\/(v1\/?)?$/, '')}${path}`;
  url.search = query;
  const headers = {
    ...sentHeaders(callerHeaders),
    ...(apiKey ? { 'x-api-key': apiKey } : authToken && { authorization: `Bearer ${authToken}` }),
    'content-type': 'application/json',
    'content-length': bodyBytes,
    'user-agent': 'pinch',
    // The usage cannot be read from compressed bytes.
    'accept-encoding': 'identity',
  };
  const client = url.protocol === 'https:' ? https : http;
  // When the server closes a connection just as it is used again, the caller gets a 502 and the SDK tries again.
  return client.request(url, { method: 'POST', headers, agent: url.protocol === 'https:' ? secure : plain });
}

/** Connections are kept between the messages of a conversation: a new one takes as long as several round trips. */
const KEPT = { keepAlive: true, timeout: 60_000, maxFreeSockets: 16 };
const [plain, secure] = [new http.Agent(KEPT), new https.Agent(KEPT)];

/** Beta features that are passed on. Others would switch on what Pinch does not offer, or what costs more. */
const BETAS = ['token-counting-2024-11-01'];

/** Only what the API reads: cookies, the caller's credentials, the run's name and all other headers stay here. */
function sentHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const version = String(headers['anthropic-version'] ?? '');
  const betas = String(headers['anthropic-beta'] ?? '').split(/\s*,\s*/);
  const allowed = betas.filter((beta) => BETAS.includes(beta)).join();
  return {
    ...(/^\d{4}-\d\d-\d\d$/.test(version) && { 'anthropic-version': version }),
    ...(allowed && { 'anthropic-beta': allowed }),
  };
}

const RETURNED = /^(content-type|request-id|retry-after(-ms)?|x-should-retry)$/;
