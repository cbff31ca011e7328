// The web chat over HTTP: send a message, read the history, follow it live. Knows the one chat of the page, no other.
import { randomUUID } from 'node:crypto';
import type { Hono } from 'hono';
import { type SSEMessage, type SSEStreamingApi, streamSSE } from 'hono/streaming';
import { z } from 'zod';
import { unwatched } from '../core/begun.js';
import { readBody, refuse } from '../core/http.js';
import { type Chat, type StoredMessage, sessionName } from '../core/types.js';
import { catchUp, noProgress, progressView } from '../groups/progress.js';
import { WEB_CHAT } from '../groups/web-chat.js';
import { bearerOf } from './auth.js';
import type { PageDeps } from './deps.js';
import type { Sessions } from './sessions.js';

const HISTORY = 200;
/** Open at once; a browser follows the chat once per tab. */
const MAX_PAGES = 32;
/** A comment now and then keeps the connection from being dropped as idle, and finds out that the page is gone. */
const HEARTBEAT_MS = 20_000;
/** What may change the status that pages show. */
const OF_STATUS = [
  'message',
  'run:ready',
  'run:started',
  'run:event',
  'run:ended',
  'channel',
  'daemon',
  'approval',
] as const;

const newMessage = z.object({
  text: z
    .string()
    .max(100_000, { error: 'it is longer than 100,000 characters' })
    .refine((text) => text.trim() !== '', { error: 'the message is empty' }),
  /** Chosen by the sender; the same id twice stores the message once. */
  id: z.stringFormat('at most 128 letters, digits, - and _', /^[\w-]{1,128}$/).default(() => randomUUID()),
});
const buttonPress = z.object({ messageId: z.int(), value: z.string().max(64) });
const afterParameter = z.coerce.number().int().min(0).catch(0).optional();

export function addChat(app: Hono, deps: PageDeps, sessions: Sessions): void {
  const { store, intake } = deps;
  app.post('/api/chat', async (c) => {
    const { text, id } = await readBody(c, newMessage);
    const { runId } = intake.receiveFromPage(text, id);
    const chat = pageChat(deps);
    return c.json({ messageId: (chat && store.messages.find(chat.id, id)?.id) ?? null, runId: runId ?? null });
  });
  app.post('/api/chat/press', async (c) => {
    const { messageId, value } = await readBody(c, buttonPress);
    const message = store.messages.get(messageId);
    const platformId = message?.chatId === pageChat(deps)?.id ? (message?.platformId ?? '') : '';
    // One press of each message is kept, so that the same one twice, or two at once, count once.
    const { messageId: stored } = intake.receiveFromPage('', `press-${messageId}`, { platformId, value });
    if (stored === undefined) throw refuse(409, 'not_open', 'this button was used already, or leads nowhere');
    return c.json({ messageId: stored });
  });
  app.get('/api/chat/messages', async (c) => {
    const messages = history(deps, afterParameter.parse(c.req.query('after')));
    return c.json({ messages: await Promise.all(messages.map((message) => pageMessage(deps, message))) });
  });
  app.get('/api/chat/stream', (c) => {
    if (store.signals.listenerCount('message') >= MAX_PAGES) {
      throw refuse(429, 'too_many_streams', 'too many open pages', 'close some of them');
    }
    // The header is what a browser sends when it reconnects by itself, and newer than what is in the address.
    const after = afterParameter.parse(c.req.header('last-event-id') ?? c.req.query('after'));
    const bearer = bearerOf(c.req);
    return streamSSE(c, (stream) => follow(deps, stream, { after, mayRead: () => sessions.knows(bearer) }));
  });
}

/** Undefined until the first message was sent. */
const pageChat = ({ store }: PageDeps): Chat | undefined =>
  store.groups.chatByAddress(WEB_CHAT.channel, WEB_CHAT.address);

function history(deps: PageDeps, after?: number): StoredMessage[] {
  const chat = pageChat(deps);
  return chat ? deps.store.messages.latest(chat.id, HISTORY, after) : [];
}

interface Follower {
  after: number | undefined;
  /** Asked again before every event: a log-out ends a stream that is open. */
  mayRead(): boolean;
}

/**
 * Sends events until the page is gone or signed out. Nothing is queued per page: its place in the store is its queue, and the next event is
 * made when the page has taken the one before, so a page that does not read costs nothing.
 */
async function follow(deps: PageDeps, stream: SSEStreamingApi, { after, mayRead }: Follower): Promise<void> {
  const { clock, store } = deps;
  const { signals } = store;
  const events = createEvents(deps, after);
  let woken = new AbortController();
  const wakeUp = () => woken.abort();
  const onChange = () => {
    events.statusChanged();
    wakeUp();
  };
  for (const name of OF_STATUS) signals.on(name, onChange);
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
    for (const name of OF_STATUS) signals.off(name, onChange);
    signals.off('session', wakeUp);
  }
}

/**
 * Gives the next event a page has not seen, undefined when it has seen all: each `message` (id = message id) behind `after`, or
 * of the latest history, then `status` whenever it changed: what /api/status says, how many runs the chat has, and which approvals
 * there are.
 */
function createEvents(deps: PageDeps, after: number | undefined) {
  const { store } = deps;
  let seenId = after ?? (history(deps)[0]?.id ?? 1) - 1;
  let seenStatus = '';
  let isStale = true;
  const progress = createFollower(store);
  const next = async (): Promise<SSEMessage | undefined> => {
    const chat = pageChat(deps);
    const message = chat && store.messages.after(chat.id, seenId, 1)[0];
    if (message) {
      seenId = message.id;
      return { event: 'message', id: String(message.id), data: JSON.stringify(await pageMessage(deps, message)) };
    }
    if (!isStale) return undefined;
    isStale = false;
    // The text counts the minutes: it would be news every minute.
    const { text: _text, ...status } = deps.status();
    const session = chat ? sessionName(chat) : '';
    const runs = { ...store.runs.activeOfSession(session), ...progress(session) };
    const data = JSON.stringify({ ...status, chat: runs, approvals: store.approvals.marks() });
    if (data === seenStatus) return undefined;
    seenStatus = data;
    return { event: 'status', data };
  };
  return {
    next,
    /** The next event is made from a fresh look. */
    statusChanged: () => {
      isStale = true;
    },
  };
}

/** What the run that works in the session does now, what it has planned, and since when; nothing when none works. Reads only what is new. */
function createFollower({ runs, events }: PageDeps['store']) {
  let following = { runId: 0, attempt: 0, progress: noProgress() };
  return (session: string) => {
    const run = runs.openMessageRun(session);
    if (run?.state !== 'leased') return {};
    const { id: runId, attempt, startedAt: since } = run;
    if (following.runId !== runId || following.attempt !== attempt)
      following = { runId, attempt, progress: noProgress() };
    catchUp(events, runId, following.progress);
    return { progress: { run: runId, since, ...progressView(following.progress) } };
  };
}

/** A text that ended Pinch twice is shown as it was written. */
async function rendered({ begun = unwatched, markdownToSafeHtml }: PageDeps, id: number, text: string) {
  const name = `shown-message ${id}`;
  return begun.isSetAside(name) ? null : begun.attempt(name, async () => markdownToSafeHtml(text));
}

/** A message as the page shows it. */
async function pageMessage(deps: PageDeps, message: StoredMessage) {
  const { id, direction, senderName, text, sentAt, platformId, outboxId } = message;
  // What the assistant wrote, rendered and safe; null for what the owner typed, which is shown as it is.
  const html = direction === 'out' ? await rendered(deps, id, text) : null;
  // The sender's own id of an inbound message: the page finds its unsent copy by it.
  const clientId = direction === 'out' ? null : platformId;
  // Below a message of ours, until one was used; an answer has the same `outboxId` as what it answers.
  const buttons = direction === 'out' ? deps.store.outbox.openButtons(message.chatId, platformId) : [];
  return { id, direction, sender: senderName, text, html, at: sentAt, clientId, buttons, outboxId };
}
