// The web chat over HTTP: send a message, read the history, follow it live. Knows the one chat of the page, no other.
import type { Hono } from 'hono';
import { z } from 'zod';
import type { Chat, StoredMessage } from '../types.js';
import { startFollowing } from './chat-stream.js';
import type { DashboardDeps } from './deps.js';
import { readBody, readQuery, refuse } from './http.js';

const HISTORY = 200;
/** Open streams at once; a browser opens one per tab. */
const MAX_STREAMS = 32;

const newMessage = z.object({
  text: z
    .string()
    .max(100_000)
    .refine((text) => text.trim() !== '', { error: 'the message is empty' }),
  /** Chosen by the sender; the same id twice stores the message once. */
  id: z
    .string()
    .regex(/^[\w-]{1,128}$/, { error: 'use at most 128 letters, digits, - and _' })
    .optional(),
});
const messageId = z.coerce.number().int().min(0).catch(0);

/** A message as the page shows it. */
export interface PageMessage {
  id: number;
  direction: 'in' | 'out';
  sender: string;
  text: string;
  /** What the assistant wrote, rendered and safe; null for what the owner typed, which is shown as it is. */
  html: string | null;
  at: number;
  /** The sender's own id of an inbound message: the page finds its unsent copy by it. */
  clientId: string | null;
}

/** Adds the routes; `close` ends every open stream. */
export function addChatApi(app: Hono, deps: DashboardDeps): { close(): void } {
  const { store } = deps;
  const streams = new Set<{ close(): void }>();
  const toPage = (message: StoredMessage): PageMessage => pageMessage(deps, message);

  app.post('/api/chat', async (c) => {
    const { text, id } = await readBody(c, newMessage);
    const { messageId, runId } = deps.intake.receiveFromPage(text, id);
    return c.json({ messageId: messageId ?? storedBefore(deps, id) ?? null, runId: runId ?? null });
  });
  app.get('/api/chat/messages', (c) => {
    const { after } = readQuery(c, z.object({ after: messageId.optional() }));
    const chat = webChat(deps);
    return c.json({ messages: chat ? store.messages.latest(chat.id, HISTORY, after).map(toPage) : [] });
  });
  app.get('/api/chat/stream', (c) => {
    if (streams.size >= MAX_STREAMS) throw refuse('too_many_streams', 'too many open pages', 'close some of them');
    const { after } = readQuery(c, z.object({ after: messageId.optional() }));
    // The header is what a browser sends when it reconnects by itself, and newer than what is in the address.
    const resume = c.req.header('last-event-id');
    const following = startFollowing(deps, {
      chat: () => webChat(deps),
      afterId: resume === undefined ? after : messageId.parse(resume),
      toPage,
      onEnd: () => streams.delete(following),
    });
    streams.add(following);
    return c.body(following.body, 200, { 'content-type': 'text/event-stream; charset=utf-8' });
  });
  return {
    close: () => {
      for (const stream of streams) stream.close();
    },
  };
}

/** Undefined until the first message was sent. */
function webChat({ store }: DashboardDeps): Chat | undefined {
  return store.groups.chatByAddress('web', 'owner');
}

/** Intake is silent about a repetition; the page still wants to know which row its message is. */
function storedBefore(deps: DashboardDeps, id: string | undefined): number | undefined {
  const chat = webChat(deps);
  return id === undefined || !chat ? undefined : deps.store.messages.find(chat.id, id)?.id;
}

function pageMessage(deps: DashboardDeps, message: StoredMessage): PageMessage {
  const { id, direction, senderName, text, sentAt, platformId } = message;
  const out = direction === 'out';
  return {
    id,
    direction,
    sender: senderName,
    text,
    html: out ? deps.markdownToSafeHtml(text) : null,
    at: sentAt,
    clientId: out ? null : platformId,
  };
}
