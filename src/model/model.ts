// The model behind the gateway: reserves the worst case, has the call answered with the owner's credential or by the demo model, and
// records what it cost, whatever happens. Knows nothing about links or runs beyond their ids.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.js';
import type { Backend } from '../core/config.js';
import type { Logger } from '../core/log.js';
import { parseJson } from '../gateway/body.js';
import type { Room } from '../gateway/bounds.js';
import type { Call, Link, Route } from '../gateway/server.js';
import { RUN_HEADER } from '../wire.js';
import { demoReply, demoTokens } from './demo-model.js';
import { loadPrices } from './prices.js';
import { type ModelCall, readCall } from './request.js';
import type { ModelCallRow } from './rows.js';
import { createUsageTap, encodeMessage, type TokenUsage, tokensOf } from './sse.js';
import { type Exchange, forward, type Progress, refuse } from './upstream.js';

/** Who may spend how much. `reserve` books the worst case at once; `settle`, called exactly once, puts what it came to in its place. */
export interface ModelLedger {
  reserve(worstCase: ModelCallRow): { settle(actual: ModelCallRow): void } | { refusal: string };
}

/** The run is null when the caller named none of its own. */
export type Caller = Pick<ModelCallRow, 'groupId' | 'runId'> & { room: Room };

export interface ModelProxyDeps {
  /** Asked anew for every call. */
  backend(): Backend;
  /** The models the owner has set up; a container may call no other. */
  models(): string[];
  ledger: ModelLedger;
  clock: Pick<Clock, 'now' | 'at'>;
  log: Logger;
  /** How long a reply is read on when its caller has left, so that its real cost is known. */
  readOnMs?: number;
}

const READ_ON_MS = 30_000;

type ModelProxy = ReturnType<typeof createModelProxy>;

/** The run that a caller may name, of those its container works on. */
export type RunOf = (link: Pick<Link, 'groupId'>, runId: number) => number | null;

export function modelRoutes({ handle }: ModelProxy, runOf: RunOf): Route[] {
  return ['/v1/messages', '/v1/messages/count_tokens'].flatMap((path) =>
    (['POST', 'GET'] as const).map((method) => ({
      ...{ method, path },
      serve: ({ link, request, response, room }: Call) => {
        const runId = runOf(link, Number(request.headers[RUN_HEADER]));
        return handle(request, response, { groupId: link.groupId, runId, room });
      },
    })),
  );
}

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
      if (backend.kind === 'http' && !deps.models().includes(call.json.model))
        return refuse(response, { status: 400, type: 'invalid_request_error', message: unknownModel(deps, call) });
      const costOf = costs(prices, backend, call);
      const progress: Progress = { at, status: 499, firstByteMs: null, requestId: null };
      const row = (spent: Spent): ModelCallRow => ({
        ...caller,
        ...progress,
        ...costOf(spent),
        stopReason: spent.stopReason,
        durationMs: clock.now() - at,
      });
      // Counting tokens costs nothing.
      const counts = call.path !== '/v1/messages';
      const worstCase = { usage: call.worstCase, estimated: true, stopReason: null };
      const reserved = counts ? undefined : ledger.reserve(row(worstCase));
      if (reserved && 'refusal' in reserved)
        return refuse(response, { status: 402, type: 'billing_error', message: reserved.refusal });
      const readOnMs = deps.readOnMs ?? READ_ON_MS;
      const exchange = { call, request, response, progress, tap: createUsageTap(), clock, readOnMs };
      try {
        await answer(deps, exchange, backend);
      } finally {
        reserved?.settle(row(spentOn(exchange)));
        // Ends after the call is recorded: whoever has the whole reply finds its cost in the store.
        response.end();
      }
    },
  };
}

const unknownModel = ({ models }: ModelProxyDeps, { json }: ModelCall) =>
  `the model ${json.model} is not one that the owner has set up (PINCH_MODEL, or a group's own): ${models().join(', ')}`;

type Spent = Pick<ModelCallRow, 'estimated' | 'stopReason'> & { usage: TokenUsage };

function costs(prices: ReturnType<typeof loadPrices>, backend: Backend, { json }: ModelCall) {
  const model = backend.kind === 'demo' ? 'demo' : json.model;
  const freeUnknown = backend.kind === 'demo' || backend.free;
  return ({ usage, estimated }: Spent) => {
    const cost = prices.cost(model, usage, { freeUnknown });
    const isGuess = estimated || (cost.estimated && cost.microUsd > 0);
    return { model, ...usage, costMicroUsd: cost.microUsd, estimated: isGuess };
  };
}

async function answer({ log }: ModelProxyDeps, exchange: Exchange, backend: Backend): Promise<void> {
  const { response, progress } = exchange;
  if (backend.kind === 'demo') return answerDemo(exchange);
  try {
    await forward(exchange, backend);
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

/** Larger calls have pictures in them, which the demo model does not look at: it gets those calls without their long texts. */
const MAX_DEMO_BYTES = 256 * 1024;

function answerDemo({ call, response, progress, tap }: Exchange): void {
  progress.status = 200;
  const { body, bodyBytes, json, path } = call;
  const whole = Object(bodyBytes <= MAX_DEMO_BYTES ? parseJson(Buffer.concat(body).toString()) : json);
  const message = demoReply(whole);
  const reply = JSON.stringify(path === '/v1/messages' ? message : { input_tokens: demoTokens(whole) });
  tap.feedWhole(reply);
  response.writeHead(200, { 'content-type': json.stream ? 'text/event-stream' : 'application/json' });
  response.write(json.stream ? encodeMessage(message) : reply);
}

/** The back end's figures; the worst case for those that never came. Errors cost nothing. */
function spentOn({ call: { worstCase }, progress, tap }: Exchange): Spent {
  const { usage, started, complete, stopReason } = tap.result();
  if (progress.status !== 200 && progress.status !== 499) return { usage: tokensOf({}), estimated: false, stopReason };
  if (complete) return { usage, estimated: false, stopReason };
  // Tokens of thinking are billed and not streamed: nobody can tell from what came how many there were.
  return {
    usage: { ...(started ? usage : worstCase), outputTokens: worstCase.outputTokens },
    estimated: true,
    stopReason,
  };
}
