// The model behind the gateway: reserves the worst case, has the call answered with the owner's credential or by the demo model, and
// records what it cost, whatever happens. Knows nothing about links or runs beyond their ids.
import type { Clock } from '../core/clock.js';
import type { Backend, Config } from '../core/config.js';
import type { Logger } from '../core/log.js';
import type { Call, Link, Route } from '../gateway/server.js';
import { RUN_HEADER } from '../wire.js';
import { answerDemo } from './demo-model.js';
import type { Fallback } from './fallback.js';
import type { Outage } from './outage.js';
import { loadPrices } from './prices.js';
import { type ModelCall, type Refusal, readCall, withSearches, worstCaseCounted } from './request.js';
import type { ModelCallRow } from './rows.js';
import { createUsageTap, type TokenUsage, tokensOf } from './sse.js';
import { connectionTrouble, SILENT_MS, silent, troubleOf } from './trouble.js';
import { countPrompt, type Exchange, forward, type Progress, refuse } from './upstream.js';

/** The books: what calls have cost and may cost, against the owner's budgets. */
export interface Ledger {
  /** Whether the call could be reserved now. Books nothing. */
  fits(worstCase: ModelCallRow): boolean;
  /** Books the worst case at once; `settle`, called exactly once, puts what the call came to in its place. */
  reserve(worstCase: ModelCallRow): { settle(actual: ModelCallRow): void } | Refusal;
}

export interface ModelDeps {
  /** Asked anew for every call. */
  backend(): Backend;
  config: Pick<Config, 'modelSearch'>;
  /** `models`: those the owner has set up; a container may call no other. */
  fallback: Pick<Fallback, 'models' | 'note' | 'covers'>;
  /** The one that the owner chose for a group. */
  groupModel(groupId: number): string | undefined;
  ledger: Ledger;
  clock: Pick<Clock, 'now' | 'at'>;
  log: Logger;
  /** The run that pays: the one that a caller names, when its container works on it, else another of those; null when it works on none. */
  runOf(link: Link, runId: number): number | null;
  /** The model that the owner chose for this run. */
  modelOf(runId: number): string | undefined;
  /** Hears of every call whether the back end answers. */
  outage: Pick<Outage, 'note' | 'setAside'>;
  /** What a search of the provider found is about to enter the container. */
  onSearch(link: Link): void;
  /** How long a reply is read on when its caller has left, so that its real cost is known. */
  readOnMs?: number;
  /** Everything was stopped: then no reply is read on, and what it cost is booked at its worst case. */
  stopped(): boolean;
}

const READ_ON_MS = 30_000;

/** Throws PinchError `prices_invalid` when the price list cannot be read. */
export function modelRoutes(deps: ModelDeps): Route[] {
  const parts = { ...deps, prices: loadPrices() };
  return ['/v1/messages', '/v1/messages/count_tokens'].flatMap((path) =>
    (['POST', 'GET'] as const).map((method) => ({ method, path, serve: (call) => serve(parts, call) })),
  );
}

type ModelParts = ModelDeps & { prices: Prices };

/** Resolves when the response is over and the call is recorded. */
async function serve(deps: ModelParts, { link, request, response, room }: Call): Promise<void> {
  const { ledger, clock, prices } = deps;
  const at = clock.now();
  const call = await readCall(request, { room, maySearch: deps.config.modelSearch });
  // The caller left while sending: nobody to answer, nothing spent.
  if (response.destroyed) return;
  if ('status' in call) return refuse(response, call);
  const backend = deps.backend();
  const caller = { groupId: link.groupId, runId: deps.runOf(link, Number(request.headers[RUN_HEADER])) };
  const own = [deps.groupModel(link.groupId), caller.runId === null ? undefined : deps.modelOf(caller.runId)];
  const models = [...deps.fallback.models, ...own.filter((name) => name !== undefined)];
  if (backend.kind === 'http' && !models.includes(call.json.model)) {
    const message = `the model ${call.json.model} is not the one that the owner has set up (PINCH_MODEL, /model): ${models.join(', ')}`;
    return refuse(response, { status: 400, type: 'invalid_request_error', message });
  }
  const costOf = costs(prices, backend, call);
  const progress: Progress = { at, status: 499, firstByteMs: null, requestId: null };
  const row = (spent: Spent): ModelCallRow => {
    const { error: _error, heardAt: _heardAt, overload: _overload, ...known } = progress;
    const { stopReason } = spent;
    return { ...caller, ...known, ...costOf(spent), stopReason, durationMs: clock.now() - at };
  };
  // Counting tokens costs nothing.
  const counts = call.path !== '/v1/messages';
  const atWorst = (usage: TokenUsage) => row({ usage: withSearches(usage), estimated: true, stopReason: null });
  if (!counts)
    call.worstCase = await boundWorstCase(deps, { call, request, backend }, (usage) => ledger.fits(atWorst(usage)));
  // The caller left meanwhile.
  if (response.destroyed) return;
  const reserved = counts ? undefined : ledger.reserve(atWorst(call.worstCase));
  if (reserved && 'status' in reserved) return refuse(response, reserved);
  const readOnMs = () => (deps.stopped() ? 0 : (deps.readOnMs ?? READ_ON_MS));
  const tap = createUsageTap(() => deps.onSearch(link));
  const exchange = { call, request, response, progress, tap, clock, readOnMs };
  const watch = counts ? undefined : watchBackend(deps, { exchange, backend, runId: caller.runId });
  let end: Buffer | undefined;
  try {
    end = await answer(deps, exchange, backend);
  } finally {
    reserved?.settle(row(spentOn(exchange)));
    watch?.ended();
    response.end(end);
  }
}

/** Notices that the back end is silent, and how the call ended; the demo model always answers. */
function watchBackend(
  { outage, fallback, clock }: ModelParts,
  { exchange, backend, runId }: { exchange: Exchange; backend: Backend; runId: number | null },
): { ended(): void } | undefined {
  if (backend.kind === 'demo') return undefined;
  const { call, progress, tap, response } = exchange;
  const { host: server } = new URL(backend.baseUrl);
  let since = progress.at;
  const wait = (dueAt: number): { cancel(): void } =>
    clock.at(dueAt, () => {
      const now = clock.now();
      since = Math.max(since, progress.heardAt ?? 0);
      // The machine slept: whoever was silent meanwhile may be there again.
      if (now - dueAt > SILENT_MS) since = now;
      const isSilent = now - since >= SILENT_MS;
      if (isSilent) outage.note({ runId, server, why: silent(now - since), since });
      timer = wait((isSilent ? now : since) + SILENT_MS);
    });
  let timer = wait(since + SILENT_MS);
  // Before we end it ourselves, a response is destroyed only when its caller has left.
  return {
    ended() {
      timer.cancel();
      const { status, error, at: startedAt } = progress;
      const { isOverloaded, complete } = tap.result();
      const overload = progress.overload ?? (isOverloaded ? { waitMs: 0 } : undefined);
      const isKnown = overload !== undefined || (status === 200 && complete);
      if (isKnown) fallback.note({ runId, model: call.json.model, startedAt, overload });
      const isOver = overload !== undefined;
      if (isOver && fallback.models.includes(call.json.model) && fallback.covers()) return outage.setAside();
      const trouble = troubleOf({ status, error, isOver, complete, callerLeft: response.destroyed });
      if (trouble) outage.note({ runId, server, ...trouble });
    },
  };
}

/**
 * What the call can cost at most: by the bytes of its prompt, which is several times too much; where that does not fit the budgets and less
 * might, by what the back end counts.
 */
async function boundWorstCase(
  { clock }: ModelDeps,
  { call, request, backend }: { call: ModelCall; request: Call['request']; backend: Backend },
  fits: (usage: TokenUsage) => boolean,
): Promise<TokenUsage> {
  const { worstCase } = call;
  if (backend.kind === 'demo' || fits(worstCase) || !fits(worstCaseCounted(worstCase, 0))) return worstCase;
  const tokens = await countPrompt({ call, request, clock }, backend);
  return tokens === undefined ? worstCase : worstCaseCounted(worstCase, tokens);
}

type Prices = ReturnType<typeof loadPrices>;
type Spent = Pick<ModelCallRow, 'estimated' | 'stopReason'> & {
  usage: TokenUsage;
  /** What the back end itself says that it costs. */
  reportedMicroUsd?: number | undefined;
};

function costs(prices: Prices, backend: Backend, { json }: ModelCall) {
  const model = backend.kind === 'demo' ? 'demo' : json.model;
  const known = backend.kind === 'demo' ? { freeUnknown: true } : { freeUnknown: backend.free, price: backend.price };
  return ({ usage, estimated, reportedMicroUsd: microUsd }: Spent) => {
    const cost = microUsd === undefined ? prices.cost(model, usage, known) : { microUsd, estimated: false };
    const isGuess = estimated || (cost.estimated && cost.microUsd > 0);
    return { model, ...usage, costMicroUsd: cost.microUsd, estimated: isGuess };
  };
}

async function answer({ log }: ModelDeps, exchange: Exchange, backend: Backend): Promise<Buffer | undefined> {
  const { response, progress } = exchange;
  if (backend.kind === 'demo') return void answerDemo(exchange);
  try {
    return await forward(exchange, backend);
  } catch (error) {
    // Our own end of a call that its caller has left says nothing about the back end.
    if (response.destroyed) return undefined;
    // Only the host and the error's code: a base URL may carry a password.
    const { host } = new URL(backend.baseUrl);
    const why = connectionTrouble(error instanceof Error && 'code' in error ? `${error.code}` : undefined);
    progress.error = why;
    // Cut off in the middle: the caller must see a cut too, not a clean end.
    if (response.headersSent) {
      response.destroy();
      return undefined;
    }
    // A reply that was cut half-way is billed all the same.
    if (progress.status === 499) progress.status = 502;
    const message = `the model server ${host} could not be reached: ${why}`;
    log.warn(message);
    refuse(response, { status: 502, type: 'api_error', message });
    return undefined;
  }
}

/** The back end's figures; the worst case for those that never came. Errors cost nothing. */
function spentOn({ call: { worstCase }, progress, tap }: Exchange): Spent {
  const { usage, started, complete, stopReason, reportedMicroUsd } = tap.result();
  if (progress.status !== 200 && progress.status !== 499) return { usage: tokensOf({}), estimated: false, stopReason };
  if (complete) return { usage, estimated: false, stopReason, reportedMicroUsd };
  // Every search has the prompt read once more, and what came does not say how many there were.
  const input = started && worstCase.webSearches === 0 ? usage : withSearches(worstCase);
  // Tokens of thinking are billed and not streamed: nobody can tell from what came how many there were.
  return { usage: { ...input, outputTokens: worstCase.outputTokens }, estimated: true, stopReason };
}
