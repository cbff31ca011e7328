// The web chat over HTTP: send a message, read the history, follow it live. Knows the one chat of the page, no other.
import { randomUUID } from 'node:crypto';
import type { Hono } from 'hono';
import type { SSEMessage } from 'hono/streaming';
import { z } from 'zod';
import { unwatched } from '../core/begun.js';
import { readBody, refuse } from '../core/http.js';
import { type Chat, type StoredMessage, sessionName } from '../core/types.js';
import { catchUp, noProgress, progressView } from '../groups/progress.js';
import { WEB_CHAT } from '../groups/web-chat.js';
import type { PageDeps } from './deps.js';
import { attachment, filesOf, limits, mediaOf } from './files.js';
import { type Events, streamEvents } from './live.js';
import type { Sessions } from './sessions.js';

const HISTORY = 200;
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

const newMessage = z
  .object({
    text: z.string().max(100_000, { error: 'it is longer than 100,000 characters' }),
    /** Chosen by the sender; the same id twice stores the message once. */
    id: z.stringFormat('at most 128 letters, digits, - and _', /^[\w-]{1,128}$/).default(() => randomUUID()),
    files: z.array(attachment).max(limits.files).default([]),
  })
  .refine(({ text, files }) => text.trim() !== '' || files.length > 0, { error: 'the message is empty' });
const buttonPress = z.object({ messageId: z.int(), value: z.string().max(64) });
const afterParameter = z.coerce.number().int().min(0).catch(0).optional();
const OLDER = 50;

export function addChat(app: Hono, deps: PageDeps, sessions: Sessions): void {
  const { store, intake } = deps;
  app.post('/api/chat', async (c) => {
    const { text, id, files } = await readBody(c, newMessage);
    const { runId } = intake.receiveFromPage(text, id, { media: mediaOf(files) });
    const chat = pageChat(deps);
    return c.json({ messageId: (chat && store.messages.find(chat.id, id)?.id) ?? null, runId: runId ?? null });
  });
  app.post('/api/chat/press', async (c) => {
    const { messageId, value } = await readBody(c, buttonPress);
    const message = store.messages.get(messageId);
    const platformId = message?.chatId === pageChat(deps)?.id ? (message?.platformId ?? '') : '';
    // One press of each message is kept, so that the same one twice, or two at once, count once.
    const { messageId: stored } = intake.receiveFromPage('', `press-${messageId}`, {
      press: { platformId, value },
    });
    if (stored === undefined) throw refuse(409, 'not_open', 'this button was used already, or leads nowhere');
    return c.json({ messageId: stored });
  });
  app.get('/api/chat/messages', async (c) => {
    const chat = pageChat(deps);
    const before = afterParameter.parse(c.req.query('before'));
    const older = chat && before !== undefined ? store.messages.before(chat.id, before, OLDER).reverse() : undefined;
    const messages = older ?? history(deps, afterParameter.parse(c.req.query('after')));
    return c.json({ messages: await Promise.all(messages.map((message) => pageMessage(deps, message))) });
  });
  app.get('/api/chat/stream', (c) => {
    // The header is what a browser sends when it reconnects by itself, and newer than what is in the address.
    const after = afterParameter.parse(c.req.header('last-event-id') ?? c.req.query('after'));
    return streamEvents(deps, sessions, c, createEvents(deps, after));
  });
}

/** Undefined until the first message was sent. */
const pageChat = ({ store }: PageDeps): Chat | undefined =>
  store.groups.chatByAddress(WEB_CHAT.channel, WEB_CHAT.address);

function history(deps: PageDeps, after?: number): StoredMessage[] {
  const chat = pageChat(deps);
  return chat ? deps.store.messages.latest(chat.id, HISTORY, after) : [];
}

/**
 * Gives the next event a page has not seen, undefined when it has seen all: each `message` (id = message id) behind `after`, or
 * of the latest history, then `status` whenever it changed: what /api/status says, how many runs the chat has and its first message, and which approvals
 * there are.
 */
function createEvents(deps: PageDeps, after: number | undefined): Events {
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
    const first = (chat && store.pageLists.firstMessage(chat.id)) ?? null;
    const runs = { ...store.runs.activeOfSession(session), ...progress(session) };
    const data = JSON.stringify({ ...status, chat: runs, approvals: store.approvals.marks(), first });
    if (data === seenStatus) return undefined;
    seenStatus = data;
    return { event: 'status', data };
  };
  return {
    next,
    on: OF_STATUS,
    changed: () => {
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
  const files = filesOf(deps, message);
  // A file is named where it lies for the agent; people see the file itself.
  const said = direction === 'out' && files.length > 0 ? text.replace(/^\[file: [^\n]*?\] ?/, '') : text;
  const html = direction === 'out' ? await rendered(deps, id, said) : null;
  // The sender's own id of an inbound message: the page finds its unsent copy by it.
  const clientId = direction === 'out' ? null : platformId;
  // Below a message of ours, until one was used; an answer has the same `outboxId` as what it answers.
  const buttons = direction === 'out' ? deps.store.outbox.openButtons(message.chatId, platformId) : [];
  return { id, direction, sender: senderName, text: said, html, at: sentAt, clientId, buttons, outboxId, files };
}
