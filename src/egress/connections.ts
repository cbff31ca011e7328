// Connections to the outside: decided, resolved once, opened to exactly what was checked, bounded, told. Who asks is a policy's business, which
// decides and keeps what must be kept. Knows nothing about HTTP.
import { once } from 'node:events';
import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import { isRefusedAddress } from '../core/address.js';
import type { Clock } from '../core/clock.js';
import { describeError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { type Allowed, type Refused, refuseAddress } from './decide.js';
import type { Target } from './host.js';
import type { Lookup } from './lookup.js';
import { DAY_MS } from './rows.js';

/** Who asks for one connection: what that one may reach, what it has moved, and who is told. Made when the connection is asked for. */
export interface Asker {
  /** Says in the log who it is. */
  about: object;
  /** In sentences: `group` or `server`. */
  kind: string;
  /** The day so far; undefined when none has begun. */
  today(): { since: number; bytes: number } | undefined;
  addBytes(bytes: number): void;
  /** Where only the owner knows, he is asked by now and the reason says so. */
  decide(target: Target): Allowed | Refused;
  /** Before a byte of that host enters the container. */
  onReached(host: string): void;
  /** A connection is over, or was refused. */
  tell(detail: Told, endedAt: number): void;
}

export interface Told extends Target {
  address?: string | undefined;
  verdict: Opened['kind'];
  /** What allowed or refused it. */
  why: string;
  bytesUp: number;
  bytesDown: number;
  durationMs: number;
}

export interface Policy<Caller> {
  of(caller: Caller): Asker;
  /** Carries out what several connections tell. */
  together(work: () => void): void;
}

export interface ConnectionDeps<Caller> {
  policy: Policy<Caller>;
  clock: Clock;
  log: Logger;
  /** The one queue of this process (lookup.ts). */
  lookup: Lookup;
  limits?: Limits;
}

export type Opened =
  | { kind: 'allowed'; socket: Socket }
  /** `reason`: one line of ASCII for the program inside. */
  | { kind: 'refused' | 'failed'; status: number; reason: string };

/** `atOnce` is for each caller, `dayBytes` for each group or server, the others for each connection; they are looked at every second. */
export const LIMITS = {
  atOnce: 24,
  dayBytes: 10 * 1024 ** 3,
  bytes: 1024 ** 3,
  ageMs: 30 * 60_000,
  idleMs: 2 * 60_000,
};
export type Limits = typeof LIMITS;
const LOOK_MS = 1_000;
/** So many bytes of a connection are kept in memory alone before they are added to the day: a crash forgets no more. */
const UNBOOKED_BYTES = 16 * 1024 ** 2;
/** Node's clients wait 5 s for the answer to CONNECT. */
const ANSWER_MS = 4_000;
/** For one of several addresses, before the next is tried. */
const ATTEMPT_MS = 1_000;
/** What ended waits so long for more to be written with it: a connection that waited for the disk each time would take 5 ms more. */
const TELL_MS = 100;

/** One connection, and what there is to tell of it. */
interface Attempt extends Target {
  asker: Asker;
  startedAt: number;
  why: string;
  address?: string | undefined;
  /** What is in the day already. */
  bookedBytes: number;
}

export interface Connections<Caller> {
  /** Opens one, or says within 4 s why not. */
  open(caller: Caller, target: Target): Promise<Opened>;
  /** Writes what is to be told now, before anybody sees an end. */
  flush(): void;
  /** Ends all of them. Nothing is told afterwards. */
  close(): void;
}

type Deps = Omit<ConnectionDeps<unknown>, 'policy' | 'limits'>;

export function createConnections<Caller extends object>({
  limits = LIMITS,
  policy,
  ...deps
}: ConnectionDeps<Caller>): Connections<Caller> {
  /** How many each caller has open or is opening. */
  const counts = new WeakMap<Caller, number>();
  const ends = new Set<() => void>();
  const tellings = createTellings(deps, policy.together);

  return {
    async open(caller, target) {
      const asker = policy.of(caller);
      const startedAt = deps.clock.now();
      const count = counts.get(caller) ?? 0;
      const bound = overBound(limits, count, asker);
      counts.set(caller, count + 1);
      const attempt = { ...target, asker, startedAt, why: bound?.why ?? '', bookedBytes: 0 };
      let opened: Opened = { kind: 'refused', status: 429, reason: bound?.reason ?? '' };
      const end = (how?: string): void => {
        if (!ends.delete(end)) return;
        counts.set(caller, (counts.get(caller) ?? 1) - 1);
        if (how) attempt.why += `, ended because ${how}`;
        tellings.add(tell(deps, attempt, opened));
        if (opened.kind === 'allowed') opened.socket.destroy();
      };
      ends.add(end);
      try {
        if (!bound) opened = await reach(deps, attempt);
      } finally {
        if (opened.kind === 'allowed') watch(deps, limits, { attempt, socket: opened.socket, end });
        else end();
      }
      return opened;
    },
    flush: tellings.write,
    close() {
      for (const end of ends) end();
      tellings.write();
    },
  };
}

/** Why one more may not be opened now. */
function overBound(limits: Limits, count: number, { today: todayOf, kind }: Asker) {
  if (count >= limits.atOnce) return { why: 'too many at once', reason: `${count} connections are open; close some` };
  const today = todayOf();
  if (!today || today.bytes < limits.dayBytes) return undefined;
  const until = new Date(today.since + DAY_MS).toISOString();
  return {
    why: 'too many bytes in a day',
    reason: `this ${kind} has moved what it may in a day; more from ${until} on`,
  };
}

async function reach({ lookup }: Deps, attempt: Attempt): Promise<Opened> {
  const { asker, host, port } = attempt;
  const decision = asker.decide({ host, port });
  attempt.why = decision.why;
  if (decision.kind === 'refuse') return { kind: 'refused', status: 403, reason: decision.reason };
  const tooLate = AbortSignal.timeout(ANSWER_MS);
  try {
    const known = decision.address ?? (isIP(host) ? host : undefined);
    const addresses = known ? [known] : await lookup(host);
    // One among several is enough: whoever answers for that name plays with us.
    if (!decision.address && !decision.anyAddress && addresses.some(isRefusedAddress)) {
      const { why, reason } = refuseAddress(host);
      attempt.why = why;
      return { kind: 'refused', status: 403, reason };
    }
    asker.onReached(host);
    const socket = await connectTo(addresses, port, tooLate);
    attempt.address = socket.remoteAddress;
    return { kind: 'allowed', socket };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : describeError(error);
    return { kind: 'failed', status: 502, reason: `${host}:${port} cannot be reached: ${code}` };
  }
}

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
function watch(deps: Deps, limits: Limits, { attempt, socket, end }: Watched): void {
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
      end(`its ${attempt.asker.kind} moved too much in a day`);
    else timer = clock.at(now + LOOK_MS, look);
  };
  const isDayOver = (bytes: number): boolean => {
    let moved = 0;
    orLogged(deps.log, 'bytes of a connection are not counted yet', () => {
      book(attempt, bytes);
      moved = attempt.asker.today()?.bytes ?? 0;
    });
    return moved >= limits.dayBytes;
  };
  let timer = clock.at(startedAt + LOOK_MS, look);
  socket.once('close', () => {
    timer.cancel();
    end();
  });
}

/** Adds to the day what is not in it yet; `bytes` are all of the connection so far. */
function book(attempt: Attempt, bytes: number): void {
  const { asker, bookedBytes } = attempt;
  if (bytes > bookedBytes) asker.addBytes(bytes - bookedBytes);
  attempt.bookedBytes = bytes;
}

/** Written together within 100 ms. A crash in between forgets lines, as it does of what is open. */
function createTellings({ clock, log }: Deps, together: (work: () => void) => void) {
  const waiting: (() => void)[] = [];
  let timer: { cancel(): void } | undefined;
  function write(): void {
    timer?.cancel();
    timer = undefined;
    if (waiting.length === 0) return;
    orLogged(log, 'connections are missing in the timeline', () =>
      together(() => {
        for (const line of waiting.splice(0)) line();
      }),
    );
  }
  return {
    write,
    add(line: () => void): void {
      waiting.push(line);
      timer ??= clock.at(clock.now() + TELL_MS, write);
    },
  };
}

/** One line in the log, and what tells it. */
function tell({ clock, log }: Deps, attempt: Attempt, opened: Opened): () => void {
  const { asker, host, port, address, why, startedAt } = attempt;
  const { bytesWritten: bytesUp, bytesRead: bytesDown } =
    opened.kind === 'allowed' ? opened.socket : { bytesWritten: 0, bytesRead: 0 };
  const endedAt = clock.now();
  const measured = { bytesUp, bytesDown, durationMs: endedAt - startedAt };
  const detail = { host, port, why, ...(address && { address }), verdict: opened.kind, ...measured };
  log.debug({ ...asker.about, ...detail }, 'egress');
  return () => {
    book(attempt, bytesUp + bytesDown);
    asker.tell(detail, endedAt);
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
