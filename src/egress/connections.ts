// Connections to the outside: decided, resolved once, opened to exactly what was checked, bounded, told in the timeline. Knows nothing about HTTP.
import { once } from 'node:events';
import { isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net';
import type { Clock } from '../core/clock.js';
import type { Logger } from '../core/log.js';
import type { Link } from '../gateway/server.js';
import { isRefusedAddress } from './address.js';
import { decideEgress, refuseAddress } from './decide.js';
import type { Target } from './host.js';
import { createLookupQueue, type Lookup } from './lookup.js';
import { hostsTyped, isOwnWord } from './own-words.js';
import type { Store } from './store.js';

export interface ConnectionDeps {
  store: Store;
  clock: Clock;
  log: Logger;
  lookup: Lookup;
  limits?: typeof LIMITS;
}

export type Opened =
  | { kind: 'allowed'; socket: Socket }
  /** `reason`: one line of ASCII for the program inside. */
  | { kind: 'refused' | 'failed'; status: number; reason: string };

/** For each link and connection; looked at every second. */
const LIMITS = { atOnce: 24, bytes: 1024 ** 3, ageMs: 30 * 60_000, idleMs: 2 * 60_000 };
const LOOK_MS = 1_000;
/** Node's clients wait 5 s for the answer to CONNECT. */
const ANSWER_MS = 4_000;
const LOOKUP_MS = 3_000;
/** For one of several addresses, before the next is tried. */
const ATTEMPT_MS = 1_000;
/** Lines of a run's timeline beyond which connections add no more: what its runner reports must fit as well. */
const MAX_EVENTS = 2_000;

/** One connection on its way into the timeline. */
interface Attempt extends Target {
  groupId: number;
  /** Those that work in the container when it begins. */
  runIds: number[];
  startedAt: number;
  why: string;
  address?: string | undefined;
}

export type Connections = ReturnType<typeof createConnections>;

export function createConnections({ limits = LIMITS, ...rest }: ConnectionDeps) {
  const { store, clock } = rest;
  const deps = { ...rest, lookup: createLookupQueue(rest.lookup) };
  /** How many each link has open or is opening. */
  const counts = new WeakMap<Link, number>();
  const add = (link: Link, n: number) => counts.set(link, (counts.get(link) ?? 0) + n);
  const ends = new Set<() => void>();

  return {
    /** Opens one, or says within 4 s why not. */
    async open(link: Link, target: Target): Promise<Opened> {
      const { groupId } = link;
      const runIds = store.runs.leasedOf(groupId);
      const attempt: Attempt = { ...target, groupId, runIds, startedAt: clock.now(), why: 'too many at once' };
      if ((counts.get(link) ?? 0) >= limits.atOnce) {
        const reason = `this container has ${limits.atOnce} connections to the outside open; close some`;
        return tell(deps, attempt, { kind: 'refused', status: 429, reason });
      }
      add(link, 1);
      const opened = await reach(deps, attempt).catch((error: unknown) => {
        add(link, -1);
        throw error;
      });
      const end = (how?: string): void => {
        if (!ends.delete(end)) return;
        add(link, -1);
        if (how) attempt.why += `, ended because ${how}`;
        tell(deps, attempt, opened);
        if (opened.kind === 'allowed') opened.socket.destroy();
      };
      ends.add(end);
      if (opened.kind !== 'allowed') end();
      else watch(opened.socket, clock, limits, end);
      return opened;
    },
    /** Ends all of them. No one writes to the store afterwards. */
    close(): void {
      for (const end of ends) end();
    },
  };
}

async function reach({ store, clock, lookup }: ConnectionDeps, attempt: Attempt): Promise<Opened> {
  const { groupId, host, port, runIds } = attempt;
  const rules = store.egress.of(groupId);
  const ownWords = ownWordsOf(store, runIds);
  const decision = decideEgress({ target: { host, port }, mode: store.egress.mode(groupId), rules, ownWords });
  attempt.why = decision.why;
  if (decision.kind === 'refuse') return { kind: 'refused', status: 403, reason: decision.reason };
  const abort = new AbortController();
  const deadline = clock.at(clock.now() + ANSWER_MS, () => abort.abort());
  try {
    const known = decision.address ?? (isIP(host) ? host : undefined);
    const addresses = known ? [known] : await inTime(clock, lookup(host));
    if (!addresses) throw new Error('its name could not be looked up in time');
    // One among several is enough: whoever answers for that name plays with us.
    if (!decision.address && addresses.some(isRefusedAddress)) {
      const { why, reason } = refuseAddress(host);
      attempt.why = why;
      return { kind: 'refused', status: 403, reason };
    }
    const socket = await connectTo(addresses, port, abort.signal);
    attempt.address = socket.remoteAddress;
    return { kind: 'allowed', socket };
  } catch (error) {
    const why = abort.signal.aborted ? 'no answer in time' : codeOf(error);
    return { kind: 'failed', status: 502, reason: `${host}:${port} cannot be reached: ${why}` };
  } finally {
    deadline.cancel();
  }
}

/** Hosts that people typed for these runs. A run that was stopped has no say any more, nor has a text that its sender changed since. */
function ownWordsOf({ runs, messages }: Store, runIds: number[]) {
  return runIds
    .filter((id) => runs.get(id)?.cancelRequested === 0)
    .flatMap((id) => messages.ofRun(id))
    .filter((message) => isOwnWord(message) && messages.isNewest(message))
    .flatMap(({ text }) => hostsTyped(text));
}

/** Undefined when it takes too long. */
async function inTime<T>(clock: Clock, work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController();
  try {
    return await Promise.race([work, clock.sleep(LOOKUP_MS, over.signal).then(() => undefined)]);
  } finally {
    over.abort();
  }
}

/** Rejects when none of the addresses answers, or `signal` aborts. */
async function connectTo(addresses: string[], port: number, signal: AbortSignal): Promise<Socket> {
  // No name is resolved again here: what was checked is what is connected to.
  const lookup: LookupFunction = (_host, _options, done) =>
    done(
      null,
      addresses.map((address) => ({ address, family: isIP(address) })),
    );
  const tries = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: ATTEMPT_MS };
  const socket = netConnect({ host: 'checked.invalid', port, lookup, ...tries, noDelay: true, signal });
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error ? String(error.code) : error.message;
};

/** Ends the connection at its bounds; `end` is called once it is over in any case. */
function watch(socket: Socket, clock: Clock, limits: typeof LIMITS, end: (how?: string) => void): void {
  const startedAt = clock.now();
  let [seen, activeAt] = [0, startedAt];
  const look = (): void => {
    const now = clock.now();
    const bytes = socket.bytesRead + socket.bytesWritten;
    if (bytes !== seen) [seen, activeAt] = [bytes, now];
    if (bytes > limits.bytes) end('it carried too many bytes');
    else if (now - startedAt > limits.ageMs) end('it lasted too long');
    else if (now - activeAt > limits.idleMs) end('nothing went through it');
    else timer = clock.at(now + LOOK_MS, look);
  };
  let timer = clock.at(startedAt + LOOK_MS, look);
  socket.once('close', () => {
    timer.cancel();
    end();
  });
}

/** One line in the timeline of each run, and in the log. */
function tell({ store, clock, log }: ConnectionDeps, attempt: Attempt, opened: Opened): Opened {
  const { host, port, address, runIds, groupId, startedAt, why } = attempt;
  const [bytesUp, bytesDown] =
    opened.kind === 'allowed' ? [opened.socket.bytesWritten, opened.socket.bytesRead] : [0, 0];
  const detail = {
    host,
    port,
    address,
    verdict: opened.kind,
    why,
    bytesUp,
    bytesDown,
    durationMs: clock.now() - startedAt,
  };
  log.debug({ groupId, ...detail }, 'egress');
  store.transaction(() => {
    for (const runId of runIds)
      if ((store.events.sizeOf(runId)?.rows ?? 0) < MAX_EVENTS) store.events.add(runId, clock.now(), 'egress', detail);
  });
  return opened;
}
