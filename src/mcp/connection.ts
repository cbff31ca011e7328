// One MCP server: started when it is needed, ended when it rests, started again after a while when it failed.
import { backoffMs } from '../core/clock.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError, PinchError } from '../core/errors.js';
import { quoted } from '../core/one-line.js';
import { type CallResult, callTool, listTools, openSession, type Session, type ToolCall } from './session.js';
import type { Offer } from './tools.js';
import type { ServerTransport } from './transport.js';

const RETRY_MS = [1_000, 60_000] as const;
/** So many failures in a row are told to the owner. */
const TOLD_FAILURES = 3;
/** Between two lists that the server itself asks us to get. */
const REFRESH_MS = 2_000;

export interface ConnectionDeps extends LoopDeps {
  name: string;
  /** Starts the server; `over` aborts when nobody wants it any more while it starts. */
  open(over: AbortSignal): Promise<ServerTransport>;
  /** It is ended after so long without a call. */
  idleMs: number;
  /** The emergency stop. */
  stopped(): boolean;
  /** What it offers: at each start, and when it says that this changed. */
  onOffer(offer: Offer): void;
}
export type Connection = ReturnType<typeof createConnection>;

export function createConnection(deps: ConnectionDeps) {
  const { clock, idleMs } = deps;
  const failures = createFailures(deps);
  const life = createLife(deps, failures);
  let calls = 0;
  let usedAt = clock.now();
  let idle: { cancel(): void } | undefined;

  /** While it is used it does not rest. */
  async function using<T>(work: (used: Session) => Promise<T>): Promise<T> {
    calls += 1;
    idle?.cancel();
    try {
      return await work(await life.session());
    } finally {
      calls -= 1;
      usedAt = clock.now();
      if (calls === 0 && life.state() === 'running') idle = clock.at(usedAt + idleMs, () => void life.stop());
    }
  }
  return {
    /** Starts it if need be. Throws PinchError `not_ready`. */
    ready: (): Promise<void> => using(async () => undefined),
    /** The same, and asks again which tools it has. */
    refresh: (): Promise<void> => using(async (used) => deps.onOffer(await listTools(used))),
    /** Throws PinchError: `not_ready`, and nothing was sent, or `mcp_failed`. */
    call: (call: ToolCall): Promise<CallResult> =>
      using(async (used) => {
        const answer = await callTool(used, call);
        failures.clear();
        return answer;
      }),
    /** It is started again when it is needed. */
    stop: life.stop,
    /** For good. */
    async end(): Promise<void> {
      idle?.cancel();
      await life.end();
    },
    /** Somebody wants it to be tried at once. */
    forgive: failures.clear,
    isBusy: (): boolean => calls > 0,
    usedAt: (): number => usedAt,
    state: () => ({ state: life.state(), lastError: failures.last() ?? null }),
  };
}

/** Starts the server when it is needed, and again after it ended. */
function createLife(deps: ConnectionDeps, failures: Failures) {
  const { name, clock, log } = deps;
  let session: Session | undefined;
  let starting: Promise<Session> | undefined;
  /** Of the start that goes on: what it has opened so far. */
  let opened: ServerTransport | undefined;
  let over = new AbortController();
  let isOver = false;

  async function start(): Promise<Session> {
    if (isOver || deps.stopped()) throw notReady(name, 'it is stopped');
    failures.check();
    const begun = clock.now();
    over = new AbortController();
    opened = undefined;
    try {
      opened = await deps.open(over.signal);
      // An install takes minutes. From here on the end finds what was opened.
      if (isOver || deps.stopped()) throw new Error(STOPPED);
      const ready = await openSession(name, opened);
      const offer = await listTools(ready);
      if (ready.transport.whyClosed() !== undefined) throw new Error(ready.transport.whyClosed());
      deps.onOffer(offer);
      ready.client.onclose = () => ended(ready);
      watchList(deps, ready);
      session = ready;
      log.info({ service: name, startMs: clock.now() - begun }, 'MCP server started');
      return ready;
    } catch (error) {
      await opened?.end(describeError(error));
      if (!isOver) failures.add(describeError(error));
      throw notReady(name, OWNER_KNOWS);
    }
  }
  function ended({ transport }: Session): void {
    session = undefined;
    const why = transport.whyClosed() ?? 'it ended';
    log.info({ service: name, why }, 'MCP server ended');
    if (!why.startsWith(STOPPED)) failures.add(why);
  }
  const stop = async (): Promise<void> => session?.transport.end(STOPPED);
  return {
    /** The running one. Throws PinchError `not_ready`. */
    async session(): Promise<Session> {
      if (session) return session;
      starting ??= start().finally(() => {
        starting = undefined;
      });
      return starting;
    },
    state: () => (session ? ('running' as const) : starting ? ('starting' as const) : ('resting' as const)),
    stop,
    async end(): Promise<void> {
      isOver = true;
      if (starting) {
        over.abort();
        void opened?.end(STOPPED);
      }
      await Promise.all([stop(), starting?.catch(() => undefined)]);
    },
  };
}

/** Gets the list anew when the server says that it changed, now and then. */
function watchList({ clock, onOffer }: ConnectionDeps, session: Session): void {
  let [changed, looks] = [false, false];
  session.client.setNotificationHandler('notifications/tools/list_changed', async () => {
    changed = true;
    if (looks) return;
    // One list at a time: a server may take an hour for one.
    for (looks = true; changed; ) {
      await clock.sleep(REFRESH_MS);
      changed = false;
      // One that cannot be had now is had at the next start.
      const offer = await listTools(session).catch(() => undefined);
      if (session.transport.whyClosed() !== undefined) return;
      if (offer) onOffer(offer);
    }
    looks = false;
  });
}

const STOPPED = 'it was stopped';
/** What it wrote, and which of its variables is missing, may be nothing for agents. */
const OWNER_KNOWS = 'it does not run; `pinch service list` shows the owner why';
const notReady = (name: string, why: string) =>
  new PinchError('not_ready', `the MCP server ${name} is not ready: ${why}`);

type Failures = ReturnType<typeof createFailures>;
/** How often it failed in a row, and when it may be tried again. */
function createFailures({ name, clock, log, notifyOwner }: ConnectionDeps) {
  let [count, firstAt, retryAt] = [0, 0, 0];
  let last: string | undefined;
  return {
    last: () => last,
    clear(): void {
      [count, retryAt, last] = [0, 0, undefined];
    },
    /** Throws while it has to wait. */
    check(): void {
      const waitMs = retryAt - clock.now();
      // A clock that was set back must not keep it away for long.
      if (waitMs > 0 && waitMs <= RETRY_MS[1])
        throw notReady(name, `${OWNER_KNOWS}; it is tried again in ${Math.ceil(waitMs / 1_000)} s`);
    },
    add(why: string): void {
      const now = clock.now();
      if (count === 0) firstAt = now;
      [count, last] = [count + 1, why];
      retryAt = now + backoffMs(count, clock.random(), RETRY_MS);
      log.warn({ service: name, failures: count, why }, 'MCP server failed');
      if (count === TOLD_FAILURES)
        notifyOwner(
          `mcp:${name}:${firstAt}`,
          `The MCP server \`${name}\` fails again and again. ${quoted(why)}\n\n\`npm run -s pinch -- service test ${name}\` tries it; it is tried again whenever an agent needs it.`,
        );
    },
  };
}
