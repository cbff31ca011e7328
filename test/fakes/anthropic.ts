// The Anthropic Messages API on 127.0.0.1, as strict as the real one and scripted: every request is checked before its step is served.
// Knows nothing about Pinch. The rules are in anthropic-rules.ts, the shapes in anthropic-shape.ts, the ways to answer in anthropic-serve.ts.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { HANG_MS } from '../limits.js';
import { createPromptCache, findPrefixChanges, type PrefixChange, type PromptCache } from './anthropic-cache.js';
import { checkRequest } from './anthropic-check.js';
import type { ReplyUsage } from './anthropic-events.js';
import { estimateTokens } from './anthropic-history.js';
import { echo, replyMessage } from './anthropic-reply.js';
import { type FaultStep, type RawStep, type ReplyStep, type Step, sendFault, sendReply } from './anthropic-serve.js';
import { knownModels, type MessagesBody, type ModelProfile } from './anthropic-shape.js';

export type { FaultStep, RawStep, ReplyStep, ScriptBlock, Step } from './anthropic-serve.js';

export interface RecordedRequest {
  /** Position in `requests`. */
  index: number;
  path: string;
  headers: IncomingHttpHeaders;
  /** Undefined when the request was refused before it could be read. */
  body: MessagesBody | undefined;
  /** Bytes of the body as they came. */
  raw: Buffer;
  /** Epoch ms when the whole request was here. */
  at: number;
  /** When its last byte was there, `performance.now()`. */
  arrivedAt: number;
  /** Why the fake refused it, as sent to the client. */
  rejected: { status: number; type: string; message: string } | undefined;
  /** The usage the fake billed. */
  usage: ReplyUsage | undefined;
  /** How the response ended; `open` while it is being served. */
  outcome: 'open' | 'sent' | 'aborted';
  /** Resolves when the response is over. */
  ended: Promise<'sent' | 'aborted'>;
}

export interface FakeOptions {
  script?: Step[];
  /** Answers when the script is used up; without one the fake echoes the last message. */
  responder?: (request: RecordedRequest) => Step | Promise<Step>;
  /** `test-key` unless told. */
  key?: string;
  port?: number;
  /** Added to the known models. */
  models?: Record<string, ModelProfile>;
}

export interface FakeAnthropic {
  url: string;
  /** Every request, refused ones too, in order of arrival. */
  requests: RecordedRequest[];
  /** Appends steps to the script. */
  push(...steps: Step[]): void;
  /** Steps not served yet. */
  remaining(): number;
  setKey(key: string): void;
  /** Resolves with the requests once there are `count` (refused ones count); rejects after `timeoutMs`. */
  waitForRequests(count: number, timeoutMs?: number): Promise<RecordedRequest[]>;
  /** Resolves with the first request, past or future, that fits; rejects after `timeoutMs`. */
  waitForRequest(fits: (request: RecordedRequest) => boolean, timeoutMs?: number): Promise<RecordedRequest>;
  /** The requests refused so far: a test of Pinch expects none it did not provoke. */
  rejections(): RecordedRequest[];
  /** Requests that broke the cached prefix of their session. */
  prefixChanges(): PrefixChange[];
  close(): Promise<void>;
}

interface State {
  key: string;
  script: Step[];
  requests: RecordedRequest[];
  watchers: Set<() => void>;
  cache: PromptCache;
  models: Record<string, ModelProfile>;
  responder: NonNullable<FakeOptions['responder']>;
}

const SECRET = 'the fake signs thinking with this';

/** Starts the fake. Nothing happens at import time; `close` ends all connections and is harmless twice. */
export async function startFakeAnthropic(options: FakeOptions = {}): Promise<FakeAnthropic> {
  const state: State = {
    key: options.key ?? 'test-key',
    script: [...(options.script ?? [])],
    requests: [],
    watchers: new Set(),
    cache: createPromptCache(),
    models: { ...knownModels, ...options.models },
    responder: options.responder ?? ((request) => echo(request.body)),
  };
  const server = createServer((request, response) => void serve(state, request, response));
  // A connection that ends just when a client takes it again fails its call: what is tried here is another failure.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the fake has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests: state.requests,
    push: (...steps) => void state.script.push(...steps),
    remaining: () => state.script.length,
    setKey: (key) => {
      state.key = key;
    },
    waitForRequests: (count, timeoutMs) =>
      waitUntil(state, () => (state.requests.length >= count ? state.requests : undefined), {
        what: `${count} requests`,
        timeoutMs,
      }),
    waitForRequest: (fits, timeoutMs) =>
      waitUntil(state, () => state.requests.find(fits), { what: 'a fitting request', timeoutMs }),
    rejections: () => state.requests.filter((request) => request.rejected),
    prefixChanges: () => findPrefixChanges(state.requests.flatMap(callOf)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function callOf({ body, rejected, headers, index }: RecordedRequest) {
  const run = headers['x-pinch-run'];
  return body && !rejected ? [{ body, index, run: typeof run === 'string' ? run : undefined }] : [];
}

function waitUntil<T>(
  state: State,
  look: () => T | undefined,
  { what, timeoutMs = HANG_MS }: { what: string; timeoutMs: number | undefined },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      state.watchers.delete(check);
    };
    const check = () => {
      const found = look();
      if (found === undefined) return;
      done();
      resolve(found);
    };
    const timer = setTimeout(() => {
      done();
      const seen = state.requests.map((request) => request.rejected?.message ?? 'ok').join('; ');
      reject(new Error(`waited ${timeoutMs} ms for ${what}; ${state.requests.length} came: ${seen}`));
    }, timeoutMs);
    state.watchers.add(check);
    check();
  });
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    // The client left while sending: there is nobody to answer.
    return;
  }
  const record = recordOf(state, { request, response, raw: Buffer.concat(chunks) });
  const requestId = `req_fake${record.index}`;
  const checked = checkRequest({ ...state, secret: SECRET }, { ...record, method: request.method ?? '' });
  if ('fault' in checked) {
    record.rejected = { status: checked.fault, type: checked.type, message: checked.message ?? '' };
    notify(state, record);
    return sendFault(response, checked, requestId);
  }
  record.body = checked.body;
  notify(state, record);
  if (checked.count) {
    const body = JSON.stringify({ input_tokens: estimateTokens(checked.body) });
    response.writeHead(200, { 'content-type': 'application/json', 'request-id': requestId }).end(body);
    return;
  }
  try {
    const step = await resolveStep(state, record);
    if ('fault' in step) return sendFault(response, step, requestId);
    if ('raw' in step) return step.raw(response);
    const binds = state.models[checked.body.model]?.bindsThinking ?? false;
    const { cache } = state;
    const message = replyMessage({ index: record.index, body: checked.body, binds, secret: SECRET, cache }, step);
    record.usage = message.usage;
    await sendReply(response, { step, message, stream: checked.body.stream === true, requestId });
  } catch (error) {
    sendFault(
      response,
      { fault: 500, type: 'api_error', message: `the script of the fake failed: ${error}` },
      requestId,
    );
  }
}

function recordOf(
  state: State,
  from: { request: IncomingMessage; response: ServerResponse; raw: Buffer },
): RecordedRequest {
  const { request, response, raw } = from;
  const record: RecordedRequest = {
    index: state.requests.length,
    path: request.url ?? '',
    headers: request.headers,
    body: undefined,
    raw,
    at: Date.now(),
    arrivedAt: performance.now(),
    rejected: undefined,
    usage: undefined,
    outcome: 'open',
    ended: new Promise((resolve) =>
      response.once('close', () => {
        record.outcome = response.writableFinished ? 'sent' : 'aborted';
        resolve(record.outcome);
      }),
    ),
  };
  return record;
}

// Only now the request is visible: a test that waits for it finds its body and its verdict.
function notify(state: State, record: RecordedRequest): void {
  record.index = state.requests.length;
  state.requests.push(record);
  for (const watcher of [...state.watchers]) watcher();
}

async function resolveStep(state: State, record: RecordedRequest): Promise<ReplyStep | FaultStep | RawStep> {
  let step: Step = state.script.shift() ?? state.responder;
  while (typeof step === 'function') step = await step(record);
  return step;
}
