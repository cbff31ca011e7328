// Delivery: sends the outbox. Per chat strictly in order (a message that fails holds back those behind it until it is sent or
// dead), chats beside each other. "Sent" means the provider accepted it; then the text joins the message history.
import { type Channel, ChannelError } from '../channels/channel.js';
import type { Clock } from '../clock.js';
import { describeError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Store } from '../store/index.js';
import type { Chat, OutboxRow } from '../types.js';
import type { Wake } from '../wake.js';

export interface DeliveryDeps {
  store: Store;
  wake: Wake;
  clock: Clock;
  log: Logger;
  assistantName: string;
  /** The running channel of this name; undefined while it is switched off. */
  channel(name: string): Channel | undefined;
  notifyOwner(key: string, text: string): void;
}

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 60_000;
/** Tries of one part that the provider refused for a passing reason. Network failures do not count. */
const MAX_ATTEMPTS = 12;
/** A message nobody could send for so long is of no use any more. */
const MAX_AGE_MS = 3 * 86_400_000;
const CHANNEL_OFF_MS = 60_000;

export function startDelivery(deps: DeliveryDeps): { stop(): Promise<void> } {
  const { store, wake, clock } = deps;
  const sending = new Map<number, Promise<void>>();
  let timer: { cancel(): void } | undefined;
  let stopped = false;

  function pump(): void {
    timer?.cancel();
    if (stopped) return;
    const now = clock.now();
    const heads = store.outbox.heads().filter((row) => !sending.has(row.chatId));
    for (const row of heads.filter((head) => head.nextAt <= now)) {
      const work = deliver(deps, row).finally(() => {
        sending.delete(row.chatId);
        pump();
      });
      sending.set(row.chatId, work);
    }
    const later = heads.map((row) => row.nextAt).filter((at) => at > now);
    if (later.length > 0) timer = clock.at(Math.min(...later), pump);
  }

  wake.on('outbox', pump);
  pump();
  return {
    async stop() {
      stopped = true;
      timer?.cancel();
      wake.off('outbox', pump);
      await Promise.all(sending.values());
    },
  };
}

async function deliver(deps: DeliveryDeps, row: OutboxRow): Promise<void> {
  const { store, clock } = deps;
  const chat = store.groups.chat(row.chatId);
  const channel = chat && deps.channel(chat.channel);
  if (!chat || !channel)
    return store.outbox.retry(row.id, clock.now() + CHANNEL_OFF_MS, false, 'its channel is switched off');
  try {
    await sendParts(deps, { row, chat, channel });
  } catch (error) {
    recordFailure(deps, row, chat, error);
  }
}

async function sendParts(
  deps: DeliveryDeps,
  { row, chat, channel }: { row: OutboxRow; chat: Chat; channel: Channel },
): Promise<void> {
  const { store, clock } = deps;
  const parts = row.parts ?? channel.split(row.text);
  // Fixed before the first send: a retry after a crash or an update must cut the text at the same places.
  if (row.parts === null) store.outbox.setParts(row.id, parts);
  for (const [index, text] of parts.entries()) {
    if (index < row.partsSent) continue;
    const { platformId } = await channel.send({ address: chat.address, text, key: `${row.id}.${index}` });
    store.transaction(() => {
      const now = clock.now();
      store.outbox.partSent(row.id);
      store.messages.add({
        chatId: chat.id,
        direction: 'out',
        platformId,
        senderId: null,
        senderName: deps.assistantName,
        text,
        sentAt: now,
        now,
      });
      if (index < parts.length - 1) return;
      store.outbox.sent(row.id, now);
      if (row.runId !== null) store.events.add(row.runId, now, 'message_sent', { key: row.key, parts: parts.length });
    });
    deps.wake.emit('message', chat.id);
  }
  if (parts.length === 0) store.outbox.sent(row.id, clock.now());
}

function recordFailure(deps: DeliveryDeps, row: OutboxRow, chat: Chat, error: unknown): void {
  const { store, clock, log } = deps;
  const now = clock.now();
  const kind = error instanceof ChannelError ? error.kind : 'retry';
  const reason = describeError(error);
  const attempt = row.attempt + (kind === 'retry' ? 1 : 0);
  const hopeless = kind === 'permanent' || attempt >= MAX_ATTEMPTS || now - row.createdAt > MAX_AGE_MS;
  log.warn(
    { outboxId: row.id, chatId: chat.id, channel: chat.channel, attempt, kind, error: reason },
    'message not sent',
  );
  if (!hopeless) {
    const asked = error instanceof ChannelError ? (error.retryAfterMs ?? 0) : 0;
    const delay = Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempt, 10), MAX_DELAY_MS) * (0.75 + clock.random() * 0.25);
    return store.outbox.retry(row.id, now + Math.round(Math.max(delay, asked)), kind === 'retry', reason);
  }
  store.transaction(() => {
    store.outbox.dead(row.id, reason);
    if (row.runId !== null) store.events.add(row.runId, now, 'message_dead', { key: row.key, error: reason });
    // A notice that cannot be sent must not beget another.
    if (row.key.startsWith('notice:')) return;
    deps.notifyOwner(`outbox:${row.id}`, `A message to ${chat.title} could not be sent: ${reason}`);
  });
}
