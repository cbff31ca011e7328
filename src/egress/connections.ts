// Connections to the outside: decided, resolved once, opened to exactly what was checked, bounded, told in the timeline. Knows nothing about HTTP.
import { once } from 'node:events';
import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import { isRefusedAddress } from '../core/address.js';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { describeError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Link } from '../gateway/server.js';
import { isMarked, markWorking, taintOf } from '../taint/taint.js';
import type { EgressAsker } from './ask.js';
import { decideEgress, refuseAddress } from './decide.js';
import type { Target } from './host.js';
import { createLookupQueue, type Lookup } from './lookup.js';
import { hostsTyped, isOwnWord } from './own-words.js';
import { DAY_MS } from './rows.js';
import type { Store } from './store.js';

export interface ConnectionDeps {
  store: Store;
  config: Pick<Config, 'egressMode'>;
  clock: Clock;
  log: Logger;
  lookup: Lookup;
  /** Asks the owner about a host; the reason of the refusal, one line of ASCII. */
  askOwner: EgressAsker;
  limits?: Limits;
}

export type Opened =
  | { kind: 'allowed'; socket: Socket }
  /** `reason`: one line of ASCII for the program inside. */
  | { kind: 'refused' | 'failed'; status: number; reason: string };

/** `atOnce` is for each link, `dayBytes` for each group, the others for each connection; they are looked at every second. */
const LIMITS = { atOnce: 24, dayBytes: 10 * 1024 ** 3, bytes: 1024 ** 3, ageMs: 30 * 60_000, idleMs: 2 * 60_000 };
type Limits = typeof LIMITS;
const LOOK_MS = 1_000;
/** So many bytes of a connection are kept in memory alone before they are added to its group's day: a crash forgets no more. */
const UNBOOKED_BYTES = 16 * 1024 ** 2;
/** Node's clients wait 5 s for the answer to CONNECT. */
const ANSWER_MS = 4_000;
/** For one of several addresses, before the next is tried. */
const ATTEMPT_MS = 1_000;
/** What ended waits so long for more to be written with it: a connection that waited for the disk each time would take 5 ms more. */
const TELL_MS = 100;
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
  /** What is in its group's day already. */
  bookedBytes: number;
}

export type Connections = ReturnType<typeof createConnections>;

export function createConnections({ limits = LIMITS, ...rest }: ConnectionDeps) {
  const deps = { ...rest, lookup: createLookupQueue(rest.lookup) };
  /** How many each link has open or is opening. */
  const counts = new WeakMap<Link, number>();
  const ends = new Set<() => void>();
  const tellings = createTellings(deps);

  return {
    /** Opens one, or says within 4 s why not. */
    async open(link: Link, target: Target): Promise<Opened> {
      const { groupId } = link;
      const runIds = deps.store.runs.leasedOf(groupId);
      const startedAt = deps.clock.now();
      const count = counts.get(link) ?? 0;
      const bound = overBound(limits, count, deps.store.egress.today({ groupId, now: startedAt }));
      counts.set(link, count + 1);
      const attempt = { ...target, groupId, runIds, startedAt, why: bound?.why ?? '', bookedBytes: 0 };
      let opened: Opened = { kind: 'refused', status: 429, reason: bound?.reason ?? '' };
      const end = (how?: string): void => {
        if (!ends.delete(end)) return;
        counts.set(link, (counts.get(link) ?? 1) - 1);
        if (how) attempt.why += `, ended because ${how}`;
        tellings.add(tell(deps, attempt, opened));
        if (opened.kind === 'allowed') opened.socket.destroy();
      };
      ends.add(end);
      try {
        if (!bound) opened = await reach(deps, link, attempt);
      } finally {
        if (opened.kind === 'allowed') watch(deps, limits, { attempt, socket: opened.socket, end });
        else end();
      }
      return opened;
    },
    /** Ends all of them. Nothing is written to the store afterwards. */
    close(): void {
      for (const end of ends) end();
      tellings.write();
    },
  };
}

/** Why the group may not open one more now. */
function overBound(limits: Limits, count: number, today: { since: number; bytes: number } | undefined) {
  if (count >= limits.atOnce) return { why: 'too many at once', reason: `${count} connections are open; close some` };
  if (!today || today.bytes < limits.dayBytes) return undefined;
  const until = new Date(today.since + DAY_MS).toISOString();
  return { why: 'too many bytes in a day', reason: `this group has moved what it may in a day; more from ${until} on` };
}

async function reach(deps: ConnectionDeps, link: Link, attempt: Attempt): Promise<Opened> {
  const { store, config, clock, lookup, askOwner } = deps;
  const { groupId, host, port, runIds } = attempt;
  const [target, taint, rules] = [{ host, port }, taintOf(store, link), store.egress.of(groupId, clock.now())];
  const ownWords = ownWordsOf(store, runIds);
  const mode = store.egress.mode(groupId, config);
  const decision = decideEgress({ target, mode, rules, ownWords, tainted: taint !== undefined });
  attempt.why = decision.why;
  if (decision.kind === 'ask')
    return { kind: 'refused', status: 403, reason: askOwner(link, target, runIds, decision.why, taint) };
  if (decision.kind === 'refuse') return { kind: 'refused', status: 403, reason: decision.reason };
  const tooLate = AbortSignal.timeout(ANSWER_MS);
  try {
    const known = decision.address ?? (isIP(host) ? host : undefined);
    const addresses = known ? [known] : await lookup(host);
    // One among several is enough: whoever answers for that name plays with us.
    if (!decision.address && addresses.some(isRefusedAddress)) {
      const { why, reason } = refuseAddress(host);
      attempt.why = why;
      return { kind: 'refused', status: 403, reason };
    }
    // Before a byte of it enters the container.
    if (!isMarked(store, link)) store.transaction(() => markWorking(store, groupId, `the site ${host}`, clock.now()));
    const socket = await connectTo(addresses, port, tooLate);
    attempt.address = socket.remoteAddress;
    return { kind: 'allowed', socket };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : describeError(error);
    return { kind: 'failed', status: 502, reason: `${host}:${port} cannot be reached: ${code}` };
  }
}

/** Hosts that people typed for these runs. A run that was stopped has no say any more, nor has a text that its sender changed since. */
const ownWordsOf = ({ runs, messages }: Store, runIds: number[]) =>
  runIds
    .filter((id) => runs.get(id)?.cancelRequested === 0)
    .flatMap((id) => messages.ofRun(id))
    .filter((message) => isOwnWord(message) && messages.isNewest(message))
    .flatMap(({ text }) => hostsTyped(text));

/** Rejects when none of the addresses answers, or `tooLate` aborts. */
async function connectTo(addresses: string[], port: number, tooLate: AbortSignal): Promise<Socket> {
  const checked = addresses.map((address) => ({ address, family: isIP(address) }));
  // No name is resolved again here: what was checked is what is connected to.
  const lookup: LookupFunction = (_host, _options, done) => done(null, checked);
  const tries = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: ATTEMPT_MS };
  const socket = connect({ host: 'checked.invalid', port, lookup, ...tries, noDelay: true });
  try {
    await once(
      socket.on('error', () => socket.destroy()),
      'connect',
      { signal: tooLate },
    );
    return socket;
  } catch (error) {
    socket.destroy();
    throw tooLate.aborted ? new Error('no answer in time') : error;
  }
}

interface Watched {
  attempt: Attempt;
  socket: Socket;
  end(how?: string): void;
}

/** Ends the connection at its bounds; `end` is called once it is over in any case. */
function watch(deps: ConnectionDeps, limits: Limits, { attempt, socket, end }: Watched): void {
  const { clock } = deps;
  const startedAt = clock.now();
  let [seen, activeAt] = [0, startedAt];
  const look = (): void => {
    const now = clock.now();
    const bytes = socket.bytesRead + socket.bytesWritten;
    if (bytes !== seen) [seen, activeAt] = [bytes, now];
    if (bytes > limits.bytes) end('it carried too many bytes');
    else if (now - startedAt > limits.ageMs) end('it lasted too long');
    else if (now - activeAt > limits.idleMs) end('nothing went through it');
    else if (bytes - attempt.bookedBytes >= UNBOOKED_BYTES && isDayOver(bytes))
      end('its group moved too much in a day');
    else timer = clock.at(now + LOOK_MS, look);
  };
  const isDayOver = (bytes: number): boolean => {
    let moved = 0;
    orLogged(deps.log, 'bytes of a connection are not counted yet', () => {
      book(deps, attempt, bytes);
      moved = deps.store.egress.today({ groupId: attempt.groupId, now: clock.now() })?.bytes ?? 0;
    });
    return moved >= limits.dayBytes;
  };
  let timer = clock.at(startedAt + LOOK_MS, look);
  socket.once('close', () => {
    timer.cancel();
    end();
  });
}

/** Adds to the group's day what is not in it yet; `bytes` are all of the connection so far. */
function book({ store, clock }: ConnectionDeps, attempt: Attempt, bytes: number): void {
  const { groupId, bookedBytes } = attempt;
  if (bytes > bookedBytes) store.egress.addBytes({ groupId, bytes: bytes - bookedBytes, now: clock.now() });
  attempt.bookedBytes = bytes;
}

/** Written together within 100 ms, and before anybody sees that a run is over. A crash in between forgets lines, as it does of what is open. */
function createTellings({ store, clock, log }: ConnectionDeps) {
  const waiting: (() => void)[] = [];
  let timer: { cancel(): void } | undefined;
  function write(): void {
    timer?.cancel();
    timer = undefined;
    if (waiting.length === 0) return;
    orLogged(log, 'connections are missing in the timeline', () =>
      store.transaction(() => {
        for (const line of waiting.splice(0)) line();
      }),
    );
  }
  store.signals.on('run:ended', write);
  return {
    write,
    add(line: () => void): void {
      waiting.push(line);
      timer ??= clock.at(clock.now() + TELL_MS, write);
    },
  };
}

/** One line in the log, and what writes it in the timeline of each run. */
function tell(deps: ConnectionDeps, attempt: Attempt, opened: Opened): () => void {
  const { store, clock, log } = deps;
  const { runIds, groupId, startedAt, bookedBytes: _booked, ...about } = attempt;
  const { bytesWritten: bytesUp, bytesRead: bytesDown } =
    opened.kind === 'allowed' ? opened.socket : { bytesWritten: 0, bytesRead: 0 };
  const detail = { ...about, verdict: opened.kind, bytesUp, bytesDown, durationMs: clock.now() - startedAt };
  log.debug({ groupId, ...detail }, 'egress');
  const hasRoom = (runId: number) => (store.events.sizeOf(runId)?.rows ?? 0) < MAX_EVENTS;
  const endedAt = clock.now();
  return () => {
    book(deps, attempt, bytesUp + bytesDown);
    for (const runId of runIds.filter(hasRoom)) store.events.add(runId, endedAt, 'egress', detail);
  };
}

/** For writes at which nobody waits: an error in there, e.g. of a full disk, would end the process. */
function orLogged(log: Logger, problem: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    log.error({ err: error }, problem);
  }
}
