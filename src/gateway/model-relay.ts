// Carries one call to the back end and its answer back: streams byte for byte with back-pressure, stops the generation when the caller
// leaves, turns a dead connection into an error the SDK understands. Knows nothing about money.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describeError } from '../errors.js';
import type { Logger } from '../log.js';
import type { ModelCall, Refusal } from './model-request.js';
import { type HttpBackend, redact, returnedHeaders, type Upstream } from './model-upstream.js';
import { createUsageTap, type Tapped, tapJson } from './sse.js';

/** What is known of a call while it goes on. */
export interface Progress {
  /** HTTP status the back end gave; 499 until it gave one, 502 when it could not be reached. */
  status: number;
  /** Epoch ms of the first byte of the reply's body. */
  firstByteAt: number | null;
  requestId: string | null;
  tapped: Tapped | null;
}

export const newProgress = (): Progress => ({ status: 499, firstByteAt: null, requestId: null, tapped: null });

/** Ends the response with an error in the API's shape. Only a 502 invites the SDK to try again. */
export function refuse(response: ServerResponse, { status, type, message, code }: Refusal): void {
  const details = code === undefined ? {} : { details: { error_code: code } };
  const headers = {
    'content-type': 'application/json',
    ...(status !== 502 && { 'x-should-retry': 'false' }),
    // The rest of an endless body is not worth reading.
    ...(status === 413 && { connection: 'close' }),
  };
  response.writeHead(status, headers).end(JSON.stringify({ type: 'error', error: { type, message, ...details } }));
}

export interface Relay {
  upstream: Upstream;
  backend: HttpBackend;
  call: ModelCall;
  request: IncomingMessage;
  response: ServerResponse;
  progress: Progress;
  now(): number;
  log: Logger;
}

/** Answers through the back end, filling `progress`; leaves the response open at the end of a reply, for its caller to end. Never rejects. */
export async function relay(options: Relay): Promise<void> {
  const { backend, call, request, response, progress } = options;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  let answer: IncomingMessage;
  try {
    answer = await options.upstream.send(backend, call, { headers: request.headers, signal: gone.signal });
  } catch (error) {
    return gone.signal.aborted ? undefined : unreachable(options, describeError(error));
  }
  // The caller left: no more tokens shall be made for nobody.
  gone.signal.addEventListener('abort', () => answer.destroy());
  if (gone.signal.aborted) answer.destroy();
  progress.status = answer.statusCode ?? 502;
  progress.requestId = String(answer.headers['request-id'] ?? '') || null;
  if (progress.status >= 300 && progress.status < 400) {
    answer.destroy();
    return unreachable(options, 'it redirects; set ANTHROPIC_BASE_URL to its final address');
  }
  const streams = progress.status === 200 && /^text\/event-stream\b/.test(answer.headers['content-type'] ?? '');
  return streams ? relayStream(options, answer) : relayWhole(options, answer);
}

function unreachable({ backend, response, progress, log }: Relay, why: string): void {
  progress.status = 502;
  // Only the host: a base URL may carry a password.
  const { host } = new URL(backend.baseUrl);
  log.warn({ host, why }, 'model server could not be reached');
  if (response.headersSent) return void response.destroy();
  refuse(response, {
    status: 502,
    type: 'api_error',
    message: `the model server ${host} could not be reached: ${why}`,
  });
}

async function relayStream({ response, progress, now }: Relay, answer: IncomingMessage): Promise<void> {
  const tap = createUsageTap();
  response.writeHead(200, returnedHeaders(answer, now()));
  response.flushHeaders();
  try {
    for await (const chunk of answer) {
      progress.firstByteAt ??= now();
      tap.feed(chunk);
      if (response.destroyed) break;
      if (!response.write(chunk)) await drained(response);
    }
  } catch {
    // Cut off: the caller must see a cut too, not a clean end.
    response.destroy();
  } finally {
    progress.tapped = tap.result();
  }
}

async function relayWhole(options: Relay, answer: IncomingMessage): Promise<void> {
  const { response, progress, backend, now } = options;
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of answer) {
      progress.firstByteAt ??= now();
      chunks.push(chunk);
    }
  } catch (error) {
    return response.destroyed ? undefined : unreachable(options, describeError(error));
  }
  const raw = Buffer.concat(chunks);
  const failed = progress.status >= 400;
  const body = failed ? Buffer.from(redact(raw.toString('utf8'), backend)) : raw;
  if (!failed) progress.tapped = tapJson(raw);
  const headers = {
    ...returnedHeaders({ headers: answer.headers, statusCode: progress.status }, now()),
    'content-length': body.length,
  };
  response.writeHead(progress.status, headers).write(body);
}

/** Resolves when there is room again, or nobody to write to. */
function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}
