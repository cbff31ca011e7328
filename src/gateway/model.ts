// The model behind the gateway: reserves the worst case, has the call answered with the owner's credential or by the demo model, and
// records what it cost, whatever happens. Knows nothing about links or runs beyond their ids.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.js';
import type { Backend } from '../config.js';
import type { Logger } from '../log.js';
import type { ModelCallRow } from '../types.js';
import type { Room } from './bounds.js';
import { demoReply, demoTokens } from './demo-model.js';
import { type ModelCall, readCall } from './model-request.js';
import { type Exchange, forward, type Progress, refuse } from './model-upstream.js';
import { loadPrices } from './prices.js';
import { createUsageTap, encodeMessage, type TokenUsage, tokensOf } from './sse.js';

/** Who may spend how much. `reserve` holds the worst case until `settle`, which is called exactly once with what it came to. */
export interface ModelLedger {
  reserve(groupId: number, microUsd: number): { settle(actual: ModelCallRow): void } | { refusal: string };
}

/** The run is null when the caller named none of its own. */
export type Caller = Pick<ModelCallRow, 'groupId' | 'runId'> & { room: Room };

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
  const { ledger, clock } = deps;
  const prices = loadPrices();
  return {
    /** Answers one `POST /v1/messages` or `/v1/messages/count_tokens`. Resolves when the response is over and the call is recorded. */
    async handle(request: IncomingMessage, response: ServerResponse, { room, ...caller }: Caller): Promise<void> {
      const at = clock.now();
      const call = await readCall(request, room);
      // The caller left while sending: nobody to answer, nothing spent.
      if (response.destroyed) return;
      if ('status' in call) return refuse(response, call);
      const backend = deps.backend();
      const model = backend.kind === 'demo' ? 'demo' : call.json.model;
      // Only Anthropic is known to charge for models whose price we do not know.
      const freeUnknown = backend.kind === 'demo' || new URL(backend.baseUrl).hostname !== 'api.anthropic.com';
      const costOf = (usage: TokenUsage) => prices.cost(model, usage, { freeUnknown });
      // Counting tokens costs nothing.
      const counts = call.path !== '/v1/messages';
      const reserved = counts ? undefined : ledger.reserve(caller.groupId, costOf(mostTokens(call)).microUsd);
      if (reserved && 'refusal' in reserved)
        return refuse(response, { status: 402, type: 'billing_error', message: reserved.refusal });
      const progress: Progress = { at, status: 499, firstByteMs: null, requestId: null };
      const exchange = { call, request, response, progress, tap: createUsageTap() };
      try {
        await answer(deps, exchange, backend);
      } finally {
        const { usage, estimated, stopReason } = spentOn(exchange);
        const cost = costOf(usage);
        reserved?.settle({
          ...caller,
          ...progress,
          model,
          ...usage,
          costMicroUsd: cost.microUsd,
          estimated: estimated || (cost.estimated && cost.microUsd > 0),
          stopReason,
          durationMs: clock.now() - at,
        });
        // Only now: a caller that has the whole reply finds it in the books.
        response.end();
      }
    },
  };
}

async function answer({ clock, log }: ModelProxyDeps, exchange: Exchange, backend: Backend): Promise<void> {
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

function answerDemo({ call, response, progress, tap }: Exchange): void {
  progress.status = 200;
  const message = demoReply(call.json);
  const whole = JSON.stringify(call.path === '/v1/messages' ? message : { input_tokens: demoTokens(call.json) });
  tap.feedWhole(whole);
  response.writeHead(200, { 'content-type': call.json.stream ? 'text/event-stream' : 'application/json' });
  response.write(call.json.stream ? encodeMessage(message) : whole);
}

const BYTES_PER_TOKEN = 3;

/** The most a call can come to: all of its prompt written to the cache for an hour, which is the dearest, and all of `max_tokens`. */
function mostTokens({ billableBytes, json }: ModelCall): TokenUsage {
  const cacheWrite1hTokens = Math.ceil(billableBytes / BYTES_PER_TOKEN);
  return { ...tokensOf({}), cacheWrite1hTokens, outputTokens: json.max_tokens ?? 0 };
}

/** The back end's figures as far as they came, ours for the rest; errors cost nothing. */
function spentOn({ call, progress, tap }: Exchange) {
  const { usage, started, complete, outputEstimate, stopReason } = tap.result();
  if (progress.status !== 200 && progress.status !== 499) return { usage: tokensOf({}), estimated: false, stopReason };
  if (complete) return { usage, estimated: false, stopReason };
  const most = mostTokens(call);
  // A reply that was not streamed is made to its end, whoever still listens.
  const outputTokens = call.json.stream ? Math.max(usage.outputTokens, outputEstimate) : most.outputTokens;
  return { usage: { ...(started ? usage : most), outputTokens }, estimated: true, stopReason };
}
