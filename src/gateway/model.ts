// The model behind the gateway: reserves the worst case, sends the call with the owner's credential, streams the answer through, and
// records what it cost, whatever happens. Knows nothing about links or runs beyond their ids.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.js';
import { worstCaseMicroUsd } from '../decide/budget.js';
import type { Logger } from '../log.js';
import { demoReply, demoRequest, demoTokens } from './demo-model.js';
import { newProgress, type Progress, refuse, relay } from './model-relay.js';
import { billableBytes, dearestInput, type ModelCall, readCall } from './model-request.js';
import { type Backend, createUpstream, type HttpBackend, isAnthropic, type Upstream } from './model-upstream.js';
import { loadPrices, type Prices } from './prices.js';
import { encodeMessage, type ReplyMessage, type TokenUsage, tapJson } from './sse.js';

export type { Backend } from './model-upstream.js';

/** One finished model call, as the ledger keeps it. */
export interface CallRecord {
  runId: number | null;
  groupId: number;
  /** Epoch ms when the call came. */
  at: number;
  /** As the caller named it; `demo` for the demo model. */
  model: string;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWrite5mTokens: number;
  cacheWrite1hTokens: number;
  costMicroUsd: number;
  /** The figures are ours: the price is unknown, or the reply was cut before its usage came. */
  estimated: boolean;
  /** HTTP status the back end gave; 499 when the caller left before it did, 502 when it could not be reached. */
  status: number;
  stopReason: string | null;
  durationMs: number;
  /** From the call to the first byte of the reply; null when there was none. */
  firstByteMs: number | null;
  requestId: string | null;
}

/** Who may spend how much. `reserve` holds the worst case until `settle`, which is called exactly once with what it came to. */
export interface ModelLedger {
  reserve(
    groupId: number,
    microUsd: number,
  ): { ok: true; settle(actual: CallRecord): void } | { ok: false; message: string };
}

export interface Caller {
  groupId: number;
  folder: string;
  /** Null when the caller named no run of its own. */
  runId: number | null;
}

export interface ModelProxyDeps {
  /** Asked anew for every call. */
  backend(): Backend;
  ledger: ModelLedger;
  clock: Pick<Clock, 'now'>;
  log: Logger;
  /** When given, other models are refused. */
  allowedModels?: ReadonlySet<string>;
  /** The price list; read from prices.json unless given. */
  prices?: Prices;
}

export interface ModelProxy {
  /** Answers one `POST /v1/messages` or `/v1/messages/count_tokens`. Resolves when the response is over and the call is recorded. */
  handle(request: IncomingMessage, response: ServerResponse, caller: Caller): Promise<void>;
}

/** Builds the proxy. Throws PinchError `prices_invalid` when the price list cannot be read. */
export function createModelProxy(deps: ModelProxyDeps): ModelProxy {
  const context = { ...deps, prices: deps.prices ?? loadPrices(), upstream: createUpstream() };
  return { handle: (request, response, caller) => handle(context, { request, response, caller }) };
}

type Context = ModelProxyDeps & { prices: Prices; upstream: Upstream };

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  caller: Caller;
}

async function handle(context: Context, exchange: Exchange): Promise<void> {
  const { request, response, caller } = exchange;
  const startedAt = context.clock.now();
  const call = await readCall(request, context.allowedModels);
  // The caller left while sending: nobody to answer, nothing spent.
  if (!call || response.destroyed) return void response.destroy();
  if ('status' in call) return refuse(response, call);
  const backend = context.backend();
  const progress = newProgress();
  if (call.path === '/v1/messages/count_tokens') {
    await answer(context, { ...exchange, call, backend, progress });
    return end(response);
  }
  const worstCase = backend.kind === 'demo' ? 0 : worstCaseOf(context, call, backend);
  const reserved = context.ledger.reserve(caller.groupId, worstCase);
  if (!reserved.ok) {
    const code = 'gateway_budget_exceeded';
    return refuse(response, { status: 402, type: 'billing_error', message: reserved.message, code });
  }
  try {
    await answer(context, { ...exchange, call, backend, progress });
  } finally {
    reserved.settle(recordOf(context, { caller, call, backend, progress, startedAt }));
    // Only now: a caller that has the whole reply finds it in the books.
    end(response);
  }
}

function end(response: ServerResponse): void {
  if (!response.writableEnded) response.end();
}

interface Answering extends Exchange {
  call: ModelCall;
  backend: Backend;
  progress: Progress;
}

async function answer(context: Context, { backend, ...exchange }: Answering): Promise<void> {
  if (backend.kind === 'demo') return answerDemo(exchange);
  const { upstream, log, clock } = context;
  await relay({ ...exchange, backend, upstream, log, now: clock.now });
}

const BYTES_PER_TOKEN = 3;

function worstCaseOf({ prices }: Context, call: ModelCall, backend: HttpBackend): number {
  const freeUnknown = !isAnthropic(backend);
  // A compaction on the provider's side reads and writes once more, outside max_tokens.
  const passes = 'compaction' in call.json || 'context_management' in call.json ? 2 : 1;
  const once = worstCaseMicroUsd({
    bodyBytes: billableBytes(call, BYTES_PER_TOKEN),
    maxTokens: call.json.max_tokens ?? 0,
    price: ({ inputTokens, outputTokens }) =>
      prices.cost(call.json.model, { ...dearestInput(call, inputTokens), outputTokens }, { freeUnknown }).microUsd,
  });
  return passes * once;
}

function answerDemo({ call, response, progress }: Omit<Answering, 'backend'>): void {
  const parsed = demoRequest.safeParse(call.json);
  if (!parsed.success) {
    progress.status = 400;
    const message = 'messages: not as the Messages API wants them';
    refuse(response, { status: 400, type: 'invalid_request_error', message });
    return;
  }
  progress.status = 200;
  if (call.path === '/v1/messages/count_tokens') {
    sendJson(response, { input_tokens: demoTokens(parsed.data) });
    return;
  }
  const message = demoReply(parsed.data);
  progress.tapped = tapJson(Buffer.from(JSON.stringify(message)));
  if (call.json.stream) sendEvents(response, message);
  else sendJson(response, message);
}

function sendEvents(response: ServerResponse, message: ReplyMessage): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  for (const bytes of encodeMessage(message)) response.write(bytes);
}

function sendJson(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).write(JSON.stringify(body));
}

interface Finished {
  caller: Caller;
  call: ModelCall;
  backend: Backend;
  progress: Progress;
  startedAt: number;
}

function recordOf({ prices, clock }: Context, { caller, call, backend, progress, startedAt }: Finished): CallRecord {
  const { usage, estimated } = usageOf(call, progress);
  const cost =
    backend.kind === 'demo'
      ? { microUsd: 0, estimated: false }
      : prices.cost(call.json.model, usage, { freeUnknown: !isAnthropic(backend) });
  return {
    runId: caller.runId,
    groupId: caller.groupId,
    at: startedAt,
    model: backend.kind === 'demo' ? 'demo' : call.json.model,
    ...usage,
    costMicroUsd: cost.microUsd,
    estimated: estimated || (cost.estimated && cost.microUsd > 0),
    status: progress.status,
    stopReason: progress.tapped?.stopReason ?? null,
    durationMs: clock.now() - startedAt,
    firstByteMs: progress.firstByteAt === null ? null : progress.firstByteAt - startedAt,
    requestId: progress.requestId,
  };
}

const NOTHING: TokenUsage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWrite5mTokens: 0,
  cacheWrite1hTokens: 0,
};

/** The back end's figures as far as they came, ours for the rest; errors cost nothing. */
function usageOf(call: ModelCall, { status, tapped }: Progress): { usage: TokenUsage; estimated: boolean } {
  if (status >= 400 && status !== 499) return { usage: NOTHING, estimated: false };
  if (tapped?.complete) return { usage: tapped.usage, estimated: false };
  const input = tapped?.started
    ? tapped.usage
    : dearestInput(call, Math.ceil(billableBytes(call, BYTES_PER_TOKEN) / BYTES_PER_TOKEN));
  // A reply that was not streamed is made to its end, whoever still listens.
  const unseen = call.json.stream ? 0 : (call.json.max_tokens ?? 0);
  const outputTokens = tapped ? Math.max(tapped.usage.outputTokens, tapped.outputEstimate) : unseen;
  return { usage: { ...input, outputTokens }, estimated: true };
}
