// One page following the chat by server-sent events. Nothing is queued per page: its place in the store is its queue, and
// the next event is made when the page has taken the one before, so a page that does not read costs nothing.
import { type Chat, type StoredMessage, sessionName } from '../types.js';
import type { PageMessage } from './chat-api.js';
import type { DashboardDeps } from './deps.js';

/** A comment now and then keeps the connection from being dropped as idle, and finds out that the page is gone. */
const HEARTBEAT_MS = 20_000;

export interface FollowOptions {
  /** The chat to follow; it may come to exist later. */
  chat(): Chat | undefined;
  /** Messages behind this id are sent first; undefined = only new ones. */
  afterId: number | undefined;
  toPage(message: StoredMessage): PageMessage;
  /** Called once, when the page is gone or `close` was called. */
  onEnd(): void;
}

/** Starts to follow: `message` events (id = message id) and `runs` events `{working, waiting}` of the chat's session. */
export function startFollowing(deps: DashboardDeps, options: FollowOptions) {
  const { wake, clock } = deps;
  const ended = new AbortController();
  let rung = new AbortController();
  const ring = () => rung.abort();
  const nextFrame = createFrames(deps, options);

  async function pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (!ended.signal.aborted) {
      // Fresh before looking, so that a ring between the look and the sleep still ends the sleep.
      rung = new AbortController();
      const frame = nextFrame();
      if (frame !== undefined) return controller.enqueue(encode(frame));
      await clock.sleep(HEARTBEAT_MS, AbortSignal.any([rung.signal, ended.signal]));
      if (!rung.signal.aborted && !ended.signal.aborted) return controller.enqueue(encode(': still here\n\n'));
    }
    controller.close();
  }

  function close(): void {
    if (ended.signal.aborted) return;
    ended.abort();
    wake.off('message', ring);
    wake.off('changed', ring);
    options.onEnd();
  }

  wake.on('message', ring);
  wake.on('changed', ring);
  const body = new ReadableStream<Uint8Array>({ pull, cancel: close }, { highWaterMark: 0 });
  return { body, close };
}

/** The next event this page has not seen, or undefined when it has seen all. */
function createFrames({ store }: DashboardDeps, { chat: find, afterId, toPage }: FollowOptions) {
  const start = find();
  let seenId = afterId ?? (start && store.messages.latest(start.id, 1)[0]?.id) ?? 0;
  let seenRuns = '';
  return (): string | undefined => {
    const chat = find();
    const message = chat && store.messages.after(chat.id, seenId, 1)[0];
    if (message) {
      seenId = message.id;
      return `id: ${message.id}\nevent: message\ndata: ${JSON.stringify(toPage(message))}\n\n`;
    }
    const runs = JSON.stringify(chat ? store.runs.activeOfSession(sessionName(chat)) : { working: 0, waiting: 0 });
    if (runs === seenRuns) return undefined;
    seenRuns = runs;
    return `event: runs\ndata: ${runs}\n\n`;
  };
}

const encode = (text: string) => new TextEncoder().encode(text);
