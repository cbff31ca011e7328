// The model behind the gateway: reserves the worst case, has the call answered with the owner's credential or by the demo model, and
// records what it cost, whatever happens. Knows nothing about links or runs beyond their ids.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.js';
import type { Backend } from '../config.js';
import type { Logger } from '../log.js';
import type { ModelCallRow } from '../types.js';
import { demoReply, demoTokens } from './demo-model.js';
import { type ModelCall, readCall } from './model-request.js';
import { type Exchange, forward, refuse } from './model-upstream.js';
import { loadPrices, type Prices } from './prices.js';
import { createUsageTap, encodeMessage, type TokenUsage, tokensOf } from './sse.js';

/** Who may spend how much. `reserve` holds the worst case until `settle`, which is called exactly once with what it came to. */
export interface ModelLedger {
  reserve(
    groupId: number,
    microUsd: number,
  ): { ok: true; settle(actual: ModelCallRow): void } | { ok: false; message: string };
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
}

export type ModelProxy = ReturnType<typeof createModelProxy>;

/** Builds the proxy. Throws PinchError `prices_invalid` when the price list cannot be read. */
export function createModelProxy(deps: ModelProxyDeps) {
  const context = { ...deps, prices: loadPrices() };
  return {
    /** Answers one `POST /v1/messages` or `/v1/messages/count_tokens`. Resolves when the response is over and the call is recorded. */
    handle: (request: IncomingMessage, response: ServerResponse, caller: Caller) =>
      handle(context, request, response, caller),
  };
}

type Context = ModelProxyDeps & { prices: Prices };

interface Booking extends Exchange {
  caller: Caller;
  backend: Backend;
  startedAt: number;
  model: string;
}

async function handle(context: Context, request: IncomingMessage, response: ServerResponse, caller: Caller) {
  const startedAt = context.clock.now();
  const call = await readCall(request);
  // The caller left while sending: nobody to answer, nothing spent.
  if (!call || response.destroyed) return void response.destroy();
  if ('status' in call) return refuse(response, call);
  const progress = { status: 499, firstByteAt: null, requestId: null, tap: createUsageTap() };
  const backend = context.backend();
  const model = backend.kind === 'demo' ? 'demo' : call.json.model;
  const booking = { request, response, caller, call, backend, startedAt, model, progress };
  if (call.path === '/v1/messages/count_tokens') {
    await answer(context, booking);
    return void response.end();
  }
  const reserved = context.ledger.reserve(caller.groupId, costOf(context, booking, mostTokens(call)).microUsd);
  if (!reserved.ok) {
    const { message } = reserved;
    return refuse(response, { status: 402, type: 'billing_error', message, code: 'gateway_budget_exceeded' });
  }
  try {
    await answer(context, booking);
  } finally {
    reserved.settle(rowOf(context, booking));
    // Only now: a caller that has the whole reply finds it in the books.
    response.end();
  }
}

async function answer({ clock, log }: Context, { backend, ...exchange }: Booking): Promise<void> {
  const { response, progress } = exchange;
  if (backend.kind === 'demo') return answerDemo(exchange);
  try {
    await forward(exchange, backend, clock.now);
  } catch (error) {
    // Cut off in the middle: the caller must see a cut too, not a clean end.
    if (response.headersSent || response.destroyed) return void response.destroy();
    // A reply that was cut half-way is billed all the same.
    if (progress.status === 499) progress.status = 502;
    // Only the host and the error's code: a base URL may carry a password.
    const { host } = new URL(backend.baseUrl);
    const why = error instanceof Error && 'code' in error ? error.code : 'the connection failed';
    const message = `the model server ${host} could not be reached: ${why}`;
    log.warn(message);
    refuse(response, { status: 502, type: 'api_error', message });
  }
}

function answerDemo({ call, response, progress }: Exchange): void {
  progress.status = 200;
  const message = demoReply(call.json);
  const whole = JSON.stringify(call.path === '/v1/messages' ? message : { input_tokens: demoTokens(call.json) });
  progress.tap.feedWhole(whole);
  response.writeHead(200, { 'content-type': call.json.stream ? 'text/event-stream' : 'application/json' });
  response.write(call.json.stream ? encodeMessage(message) : whole);
}

const BYTES_PER_TOKEN = 3;
const NO_TOKENS = tokensOf({});

/** The most a call can come to: all of its prompt written to the cache for an hour, which is the dearest, and all of `max_tokens`. */
function mostTokens({ billableBytes, json }: ModelCall): TokenUsage {
  const cacheWrite1hTokens = Math.ceil(billableBytes / BYTES_PER_TOKEN);
  return { ...NO_TOKENS, cacheWrite1hTokens, outputTokens: json.max_tokens ?? 0 };
}

/** Only Anthropic is known to charge for models whose price we do not know. */
function costOf({ prices }: Context, { backend, model }: Booking, usage: TokenUsage) {
  const charges = backend.kind === 'http' && new URL(backend.baseUrl).hostname === 'api.anthropic.com';
  return prices.cost(model, usage, { freeUnknown: !charges });
}

/** The back end's figures as far as they came, ours for the rest; errors cost nothing. */
function usageOf({ call, progress }: Exchange): { usage: TokenUsage; estimated: boolean } {
  const { usage, started, complete, outputEstimate } = progress.tap.result();
  if (progress.status !== 200 && progress.status !== 499) return { usage: NO_TOKENS, estimated: false };
  if (complete) return { usage, estimated: false };
  const most = mostTokens(call);
  // A reply that was not streamed is made to its end, whoever still listens.
  const outputTokens = call.json.stream ? Math.max(usage.outputTokens, outputEstimate) : most.outputTokens;
  return { usage: { ...(started ? usage : most), outputTokens }, estimated: true };
}

function rowOf(context: Context, booking: Booking): ModelCallRow {
  const { caller, model, startedAt } = booking;
  const { status, firstByteAt, requestId, tap } = booking.progress;
  const { usage, estimated } = usageOf(booking);
  const cost = costOf(context, booking, usage);
  return {
    runId: caller.runId,
    groupId: caller.groupId,
    at: startedAt,
    model,
    ...usage,
    costMicroUsd: cost.microUsd,
    estimated: estimated || (cost.estimated && cost.microUsd > 0),
    status,
    stopReason: tap.result().stopReason,
    durationMs: context.clock.now() - startedAt,
    firstByteMs: firstByteAt && firstByteAt - startedAt,
    requestId,
  };
}
