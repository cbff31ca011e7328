// The way of a container's call to a service: `/service/<name>/…` on the gateway. Checked, decided, sent by the host, cleaned, told in the timeline.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../core/clock.js';
import { describeError, PinchError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Call, Link, Route } from '../gateway/server.js';
import { holdBack, NOTED } from '../runs/dry.js';
import type { Guards } from '../secrets/guards.js';
import { markWorking, taintOf } from '../taint/taint.js';
import { REFUSED_HEADER } from '../wire.js';
import { MAX_KEPT_BYTES, type ServiceAsker } from './ask.js';
import { decideCall, isReading, type Verdict } from './decide.js';
import { sentHeaders } from './headers.js';
import type { Credential, Service } from './list.js';
import { readTarget, type Target } from './path.js';
import type { Services } from './services.js';
import type { Store } from './store.js';
import { callService, type ServiceAnswer, textsOf } from './upstream.js';

export interface DoorDeps {
  store: Store;
  clock: Clock;
  log: Logger;
  services: Services;
  askOwner: ServiceAsker;
  guards: Pick<Guards, 'leaks' | 'leaksIn' | 'body'>;
}

/** Calls of one container that are not over. */
const AT_ONCE = 8;
const METHOD = /^(?!CONNECT$|TRACE$)[A-Z-]{1,20}$/;

/** What came of a call. */
interface Outcome {
  verdict: 'allowed' | 'asked' | 'refused' | 'failed' | 'held';
  why: string;
  status: number;
  bytesDown: number;
}
/** An answer of ours; `reason` is for the program inside. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly verdict: 'asked' | 'refused' | 'failed',
    reason: string,
    readonly why = reason,
  ) {
    super(reason);
  }
}
const refuse = (status: number, reason: string, why?: string) => new Refusal(status, 'refused', reason, why);

export function createDoor(deps: DoorDeps): Route {
  const open = new WeakMap<Link, number>();
  return {
    method: 'any',
    path: '/service/*',
    async serve({ link, request, response, room }) {
      const { store, clock } = deps;
      const [, name = '', rest = ''] = /^\/service\/([^/?]*)(.*)$/s.exec(request.url ?? '') ?? [];
      const count = open.get(link) ?? 0;
      const runIds = store.runs.leasedOf(link.groupId, link.dryRun);
      const startedAt = clock.now();
      open.set(link, count + 1);
      let outcome: Outcome = { verdict: 'failed', why: 'the caller left', status: 0, bytesDown: 0 };
      const call = { deps, link, request, response, room, name, rest, runIds };
      try {
        if (count >= AT_ONCE) throw refuse(429, `${count} calls to services are open; wait for their answers`);
        outcome = await serve(call);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        outcome = { verdict: error.verdict, why: error.why, status: error.status, bytesDown: 0 };
        say(request, response, error);
      } finally {
        open.set(link, (open.get(link) ?? 1) - 1);
        tell(call, outcome, clock.now() - startedAt);
      }
    },
  };
}

interface ServiceCall extends Pick<Call, 'link' | 'request' | 'response' | 'room'> {
  deps: DoorDeps;
  name: string;
  /** Path and query behind the name. */
  rest: string;
  /** Those that work in the container when it begins. */
  runIds: number[];
}

async function serve(call: ServiceCall): Promise<Outcome> {
  const { deps, link, request, name, rest } = call;
  const { store, clock, services } = deps;
  const method = request.method ?? '';
  const service = services.find(link.groupId, name);
  if (!service) throw refuse(404, 'there is no such service for this group; `pinch service` lists those there are');
  if (!METHOD.test(method)) throw refuse(400, 'this method is not passed on');
  const target = readTarget(rest);
  if ('refused' in target) throw refuse(400, target.refused);
  const headers = sentHeaders(request.headers, service.headers);
  refuseSecrets(call, textsOf({ ...target, headers }));
  const taint = taintOf(store, link);
  const verdict = decideCall(service, method, target, taint !== undefined);
  if (verdict.do === 'refuse') throw refuse(400, verdict.why);
  if (verdict.do === 'deny') throw refuse(403, `the owner's rules do not allow ${method} here`, verdict.why);
  if (link.dryRun !== undefined && !(verdict.do === 'allow' && isReading(service, method, target.path)))
    return holdCall(call, link.dryRun, { target, verdict });
  if (verdict.do === 'ask') throw new Refusal(403, 'asked', await ask(call, service, target, taint), verdict.why);
  const credential = await credentialOf(services, service);
  // Before a byte of it enters the container.
  if (!service.trusted)
    store.transaction(() => markWorking(store, link.groupId, `the service ${name}`, clock.now(), link.dryRun));
  const answer = await send(call, service, { ...target, credential });
  await services.answered(service, credential, answer);
  const bytesDown = await passOn(call, answer);
  return { verdict: 'allowed', why: verdict.why, status: answer.status, bytesDown };
}

const HELD_STATUS = 202;

/** The answer to a call of a dry run that does more than read, or that the owner would be asked about. */
async function holdCall(
  call: ServiceCall,
  dryRun: number,
  { target: { path, query }, verdict }: { target: Target; verdict: Verdict },
): Promise<Outcome> {
  const { deps, request, response, name } = call;
  const body = (await readBody(call)).toString();
  // The same words as those of a call that was made, so that both stand side by side.
  const about = `${request.method} ${name} ${path}${verdict.do === 'ask' ? ' (after your yes)' : ''}`;
  const said = [query && `?${query}`, body].filter(Boolean).join('\n');
  holdBack(deps, dryRun, { what: 'service', about, ...(said !== '' && { text: said }) });
  const text = JSON.stringify({ dryRun: true, message: NOTED });
  response.writeHead(HELD_STATUS, { 'content-type': 'application/json' }).end(text);
  return { verdict: 'held', why: verdict.why, status: HELD_STATUS, bytesDown: text.length };
}

/** No service is told a secret of this host but its own credential, which the host puts in. */
function refuseSecrets({ deps, link, name }: ServiceCall, texts: (string | Buffer)[]): void {
  const leak = deps.guards.leaks(link, `the service ${name}`, texts);
  if (leak) throw refuse(leak.status, leak.reason);
}

async function credentialOf(services: Services, service: Service): Promise<Credential> {
  return services.credential(service).catch((error: unknown) => {
    // Not the variable's name: somebody may have written the secret itself in its place.
    if (error instanceof PinchError)
      throw refuse(503, 'this service has no credential now; only the owner can change that', error.message);
    throw error;
  });
}

async function send(
  { deps, link, request, response }: ServiceCall,
  service: Service,
  { path, query, credential }: Target & { credential: Credential },
): Promise<ServiceAnswer> {
  const over = new AbortController();
  response.once('close', () => over.abort());
  const { method = '' } = request;
  const headers = { ...sentHeaders(request.headers, service.headers), ...framing(request) };
  const guard = deps.guards.body(link, `the service ${service.name}`, (reason) => over.abort(refuse(403, reason)));
  const body = hasBody(request) ? request.pipe(guard) : undefined;
  try {
    return await callService(
      { service, credential, clock: deps.clock },
      { method, path, query, headers },
      { body, signal: over.signal },
    );
  } catch (error) {
    if (over.signal.reason instanceof Refusal) throw over.signal.reason;
    const code = error instanceof Error && 'code' in error ? String(error.code) : describeError(error);
    deps.log.debug({ service: service.name, err: error }, 'service call failed');
    throw new Refusal(502, 'failed', `the service ${service.name} cannot be reached: ${code}`);
  }
}

const hasBody = ({ method, headers }: IncomingMessage): boolean =>
  !/^(GET|HEAD)$/.test(method ?? '') &&
  (headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > 0);

function framing(request: IncomingMessage): Record<string, string> {
  const { 'content-length': length } = request.headers;
  if (/^(GET|HEAD)$/.test(request.method ?? '')) return {};
  if (!hasBody(request)) return { 'content-length': '0' };
  return length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': length };
}

async function ask(
  call: ServiceCall,
  service: Service,
  { path, query }: Target,
  taint: ReturnType<typeof taintOf>,
): Promise<string> {
  const { deps, request, runIds } = call;
  const run = runIds.map((id) => deps.store.runs.get(id)).findLast((one) => one?.cancelRequested === 0);
  if (!run) throw refuse(403, 'no run asks for it');
  const body = await readBody(call);
  const leak = await deps.guards.leaksIn(call.link, `the service ${service.name}`, body);
  if (leak) throw refuse(leak.status, leak.reason);
  const { method = '' } = request;
  const kept = { method, path, query, headers: sentHeaders(request.headers, service.headers) };
  try {
    return `this needs the owner's yes. ${deps.askOwner(run, kept, { service: service.name, body, taint })}`;
  } catch (error) {
    if (error instanceof PinchError) throw refuse(403, `this needs the owner's yes, but ${error.message}`);
    throw error;
  }
}

async function readBody({ request, room }: ServiceCall): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let hasRoom = true;
  if (hasBody(request))
    for await (const chunk of request) {
      bytes += chunk.length;
      hasRoom &&= bytes > MAX_KEPT_BYTES || room.take(chunk.length);
      if (hasRoom && bytes <= MAX_KEPT_BYTES) chunks.push(chunk);
    }
  if (bytes > MAX_KEPT_BYTES)
    throw refuse(
      413,
      `this needs the owner's yes, and nobody is asked about more than ${MAX_KEPT_BYTES} bytes; send less`,
    );
  if (!hasRoom) throw refuse(429, 'this container has too many large calls open at once; wait for their answers');
  return Buffer.concat(chunks);
}

/** Streams the answer to the container; resolves with its bytes. */
async function passOn(
  { request, response }: ServiceCall,
  { status, headers, body, leadsTo }: ServiceAnswer,
): Promise<number> {
  request.resume();
  if (leadsTo !== undefined) {
    body.destroy();
    const text = `the service leads to ${leadsTo}, which was not followed\n`;
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
    return text.length;
  }
  let bytes = 0;
  try {
    response.writeHead(status, headers);
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await pipeline(body, response);
  } catch {
    // The caller left, the service broke off, or it said what our own server refuses to say: the container sees that its answer is not whole.
    response.destroy();
  }
  return bytes;
}

/** Programs show the reason phrase, or the body: both say all of it. */
function say(request: IncomingMessage, response: ServerResponse, { status, message }: Refusal): void {
  // Reads the rest of the body: otherwise the caller would not get the answer.
  request.resume();
  const reason = message
    .replace(/\s+/g, ' ')
    .replace(/[^ -~]/g, '?')
    .slice(0, 1_000);
  const head = { 'content-type': 'text/plain; charset=utf-8', [REFUSED_HEADER]: '1' };
  response.writeHead(status, reason, head).end(`${message}\n`);
}

/** One line in the timeline of each run. Nothing of a query: secrets stand there. */
function tell({ deps, runIds, request, name, rest }: ServiceCall, outcome: Outcome, durationMs: number): void {
  const { store, clock, log } = deps;
  const path = (rest.split('?')[0] ?? '').slice(0, 300);
  const bytesUp = Number(request.headers['content-length'] ?? 0) || 0;
  const detail = { service: name.slice(0, 40), method: request.method ?? '', path, ...outcome, bytesUp, durationMs };
  log.debug(detail, 'service');
  store.transaction(() => {
    for (const runId of runIds.filter(store.events.hasRoom)) store.events.add(runId, clock.now(), 'service', detail);
  });
}
