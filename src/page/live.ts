// What a browser follows: server-sent events, made one at a time when it has taken the one before. Here is the loop of every stream, and
// the stream of the control room, which says what changed and never what it is now: a page asks for that itself.
import type { Context, Hono, MiddlewareHandler } from 'hono';
import { type SSEMessage, type SSEStreamingApi, streamSSE } from 'hono/streaming';
import { refuse } from '../core/http.js';
import type { SignalEvents } from '../core/signals.js';
import { bearerOf } from './auth.js';
import type { PageDeps } from './deps.js';
import type { Sessions } from './sessions.js';

/** Open at once; a browser follows one stream per tab. */
const MAX_PAGES = 32;
/** A comment now and then keeps the connection from being dropped as idle, and finds out that the page is gone. */
const HEARTBEAT_MS = 20_000;

export interface Events {
  /** The next event that the page has not seen; undefined when it has seen all. */
  next(): Promise<SSEMessage | undefined>;
  /** What may bring another one. */
  on: readonly (keyof SignalEvents)[];
  changed(name: keyof SignalEvents): void;
}

type LiveDeps = Pick<PageDeps, 'clock' | 'store'>;

/**
 * Sends events until the page is gone or signed out. Nothing is queued per page: its place in the store is its queue, so a page that does not
 * read costs nothing.
 */
export function streamEvents(deps: LiveDeps, sessions: Sessions, c: Context, events: Events): Response {
  if (deps.store.signals.listenerCount('session') >= MAX_PAGES) {
    throw refuse(429, 'too_many_streams', 'too many open pages', 'close some of them');
  }
  const bearer = bearerOf(c.req);
  // Asked again before every event: a log-out ends a stream that is open.
  return streamSSE(c, (stream) => follow(deps, stream, { events, mayRead: () => sessions.knows(bearer) }));
}

interface Follower {
  events: Events;
  mayRead(): boolean;
}

async function follow(
  { clock, store }: LiveDeps,
  stream: SSEStreamingApi,
  { events, mayRead }: Follower,
): Promise<void> {
  const { signals } = store;
  let woken = new AbortController();
  const wakeUp = () => woken.abort();
  const listeners = events.on.map((name) => {
    const listen = () => {
      events.changed(name);
      wakeUp();
    };
    signals.on(name, listen);
    return () => void signals.off(name, listen);
  });
  signals.on('session', wakeUp);
  stream.onAbort(wakeUp);
  try {
    while (!stream.aborted && mayRead()) {
      // Fresh before looking, so that a signal between the look and the sleep still ends the sleep.
      woken = new AbortController();
      const event = await events.next();
      if (event) await stream.writeSSE(event);
      else await clock.sleep(HEARTBEAT_MS, woken.signal);
      if (!event && !woken.signal.aborted) await stream.write(': still here\n\n');
    }
  } finally {
    for (const stop of listeners) stop();
    signals.off('session', wakeUp);
  }
}

/** What a page may be about, and what changes it. */
const TOPICS = {
  runs: ['run:ready', 'run:started', 'run:ended', 'run:steered', 'run:event', 'outbox', 'message', 'api'],
  approvals: ['approval', 'api'],
  tasks: ['task', 'run:started', 'run:ended', 'api'],
  costs: ['run:event', 'run:ended', 'api'],
  memory: ['memory', 'run:ended', 'api'],
  health: ['channel', 'daemon', 'run:started', 'run:ended', 'api'],
} as const satisfies Record<string, (keyof SignalEvents)[]>;
export type Topic = keyof typeof TOPICS;

/** A run at work changes something many times a second; people read slower. */
const PAUSE_MS = 500;

/** Whoever changes something over the API changes what pages show, whatever it is. */
export const tellChanges =
  ({ store }: Pick<PageDeps, 'store'>): MiddlewareHandler =>
  async (c, next) => {
    await next();
    if (c.req.method !== 'GET' && c.res.ok) store.signal('api');
  };

export function addLive(app: Hono, deps: PageDeps, sessions: Sessions): void {
  app.get('/api/stream', (c) => {
    const names = new Set<keyof SignalEvents>();
    let seenState = '';
    let toldAt = 0;
    return streamEvents(deps, sessions, c, {
      on: [...new Set(Object.values(TOPICS).flat())],
      changed: (name) => void names.add(name),
      async next() {
        const state = JSON.stringify(stateOf(deps));
        if (state !== seenState) {
          seenState = state;
          return { event: 'state', data: state };
        }
        if (names.size === 0) return undefined;
        await deps.clock.sleep(Math.max(0, toldAt + PAUSE_MS - deps.clock.now()));
        toldAt = deps.clock.now();
        const topics = Object.entries(TOPICS).flatMap(([topic, of]) => (of.some((one) => names.has(one)) ? topic : []));
        names.clear();
        return { event: 'changed', data: JSON.stringify(topics) };
      },
    });
  });
}

/** What every page shows beside its own: in the navigation, and above it. */
function stateOf({ store, status }: PageDeps) {
  const { startedAt, stopped, assistantName } = status();
  return { startedAt, stopped, assistantName, approvals: store.approvals.marks()?.open ?? 0 };
}
