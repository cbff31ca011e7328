// Delivery: sends the outbox. Per chat in order (a message that fails holds back those behind it until it is sent or dead; what the host
// itself says goes before what runs send), chats beside each other. "Sent" means the provider accepted it; then the text joins the message history.
import { type Channel, ChannelError, type ChannelState, type OutboundPart } from '../channels/channel.js';
import { type Begun, unwatched } from '../core/begun.js';
import { backoffMs } from '../core/clock.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';
import { oneLine, shownLine } from '../core/one-line.js';
import type { Chat } from '../core/types.js';
import type { TimelineEvent } from '../groups/timeline.js';
import { cutText, escapeMarkdown } from '../markdown/split.js';
import type { OutboxFiles } from './files.js';
import { messageButtons } from './notice-press.js';
import type { OutboxRow } from './rows.js';
import type { Store } from './store.js';

export interface DeliveryDeps extends LoopDeps {
  store: Store;
  config: { assistantName: string };
  outboxFiles: OutboxFiles;
  /** Knows at the next start what was being sent when Pinch ended. */
  begun?: Begun;
  /** The running channel of this name; undefined while it is switched off. */
  channel(name: string): Channel | undefined;
  states(): ({ name: string } & Pick<ChannelState, 'state'>)[];
  /** What is shown while a run works, where the answer may take its place. */
  passing?: Passing;
  /** Whether a channel is switched off or waits for a person. */
  isBlocked(name: string): boolean;
  /** Where a notice goes now. */
  ownerChat(): Chat;
}

export interface Passing {
  /** Our message on the platform that this text, whole and the run's last, is to become. Nothing else changes that message from now on. */
  placeFor(row: OutboxRow): Promise<string | undefined>;
  /** It became the text. Joins the caller's transaction. */
  taken(runId: number): void;
}

/** The first pause and the longest. */
const DELAY_MS = [1_000, 60_000] as const;
/** Tries of one part that the provider refused for a passing reason. Network failures do not count. */
const MAX_ATTEMPTS = 12;
/** A message nobody could send for so long is of no use any more. */
const MAX_AGE_MS = 3 * 86_400_000;
const CHANNEL_OFF_MS = 60_000;

export function startDelivery(deps: DeliveryDeps): { stop(): Promise<void> } {
  const { store, clock, begun = unwatched } = deps;
  /** One piece of work for each chat, and one for each message whose buttons are to go. */
  const working = new Map<string, Promise<void>>();
  let timer: { cancel(): void } | undefined;
  let stopped = false;

  /** One that is put off was not sent: should it end Pinch, that comes when its channel is back. */
  async function send(row: OutboxRow): Promise<void> {
    await begun.attempt(
      nameOf(row),
      () => deliver(deps, row),
      () => !store.outbox.isHead(row),
    );
  }

  function pump(): void {
    timer?.cancel();
    if (stopped) return;
    const now = clock.now();
    const heads = store.outbox.heads().map((row) => ({ ...row, name: `chat ${row.chatId}`, work: () => send(row) }));
    const drops = store.outbox
      .buttonsToDrop()
      .map((row) => ({ ...row, name: `buttons ${row.id}`, work: () => dropButtons(deps, row) }));
    const todo = [...heads, ...drops].filter(({ name }) => !working.has(name));
    for (const { name, work } of todo.filter(({ nextAt }) => nextAt <= now)) {
      const done = work().finally(() => {
        working.delete(name);
        pump();
      });
      working.set(name, done);
    }
    const later = todo.map(({ nextAt }) => nextAt).filter((at) => at > now);
    if (later.length > 0) timer = clock.at(Math.min(...later), pump);
  }

  // Not within the work that signals: should the rest of it fail and end the process, the message would go out twice.
  store.signals.on('outbox', () => setImmediate(pump));
  store.signals.on('channel', (changed) => {
    const isOpen = deps.states().some(({ name, state }) => name === changed && state === 'open');
    if (isOpen && store.outbox.retryNow(changed, clock.now())) setImmediate(pump);
  });
  pump();
  return {
    async stop() {
      stopped = true;
      timer?.cancel();
      await Promise.all(working.values());
    },
  };
}

const nameOf = ({ id }: OutboxRow): string => `outbox ${id}`;
const ENDED_US = new ChannelError('permanent', 'Pinch ended twice while it was being sent');

async function deliver(deps: DeliveryDeps, row: OutboxRow): Promise<void> {
  const { store, clock, config, outboxFiles } = deps;
  const chat = store.groups.chat(row.chatId);
  if (!chat || isNotForHere(deps, row, chat)) return;
  try {
    if (deps.begun?.isSetAside(nameOf(row))) throw ENDED_US;
    const channel = deps.channel(chat.channel);
    if (!channel) throw new ChannelError('network', 'its channel is switched off', { retryAfterMs: CHANNEL_OFF_MS });
    const { file } = row;
    const parts = row.parts ?? (file ? [row.text] : await splitOrCut(deps, channel, row));
    // Fixed before the first send: a retry after a crash or an update must cut the text at the same places.
    if (row.parts === null && parts.length > 1) store.outbox.setParts(row.id, parts);
    const to = { address: chat.address, ...(file && { file: { ...file, path: outboxFiles.pathOf(row.key) } }) };
    for (const [index, text] of parts.entries()) {
      if (index < row.partsSent) continue;
      // Between two parts somebody may have stopped it, or the host has something to say: the rest follows after that, if at all.
      if (!store.outbox.isHead(row)) return;
      const buttons = index === parts.length - 1 && row.buttons && !row.buttonsOver ? { buttons: row.buttons } : {};
      const part = { ...to, ...buttons, ...(index === 0 && quoteOf(deps, row, chat)), text, key: `${row.id}.${index}` };
      const place = parts.length === 1 && !file ? await takePlace(deps, channel, { row, part }) : undefined;
      const { platformId } = place ?? (await channel.send(part));
      const now = clock.now();
      const stored = file ? `[file: ${file.path}] ${text}`.trim() : text;
      const message = { chatId: chat.id, direction: 'out' as const, platformId, text: stored, sentAt: now, now };
      store.transaction(() => {
        store.outbox.partSent(row.id);
        if (place && row.runId !== null) deps.passing?.taken(row.runId);
        const by = { senderId: null, senderName: config.assistantName };
        store.messages.add({ ...message, ...by, runId: row.runId, outboxId: row.id });
        if (index === parts.length - 1 && !file) recordSent(deps, row, parts.length);
      });
      store.signal('message', chat.id);
    }
    if (file) await outboxFiles.drop(row.key);
    // Also when its last part went out before a crash.
    store.transaction(() => recordSent(deps, row, parts.length));
  } catch (error) {
    recordFailure(deps, row, chat, error);
    // A file that cannot be removed now is removed at the next start.
    if (row.file && !store.outbox.waits(row.key)) await outboxFiles.drop(row.key).catch(() => undefined);
  }
}

function recordSent({ store, clock, ...deps }: DeliveryDeps, row: OutboxRow, parts: number): void {
  if (store.outbox.sent(row.id, clock.now()))
    addEvent({ store, clock, ...deps }, row, 'message_sent', { key: row.key, parts });
  if (row.runId !== null) store.signal('outbox:over', row.runId);
}

/** In a group the first part of an answer quotes what it answers: others may have written since. */
function quoteOf({ store }: DeliveryDeps, { runId, key }: OutboxRow, chat: Chat) {
  const isAnswer = runId !== null && key.startsWith(`${runId}:end:`);
  const replyTo = isAnswer && chat.kind === 'group' ? store.messages.askedBy(runId) : undefined;
  return replyTo && { replyTo };
}

/** Turns what was shown meanwhile into the text; undefined when it has to be sent. Done twice, it is the same message. */
async function takePlace(
  { passing }: DeliveryDeps,
  channel: Channel,
  { row, part }: { row: OutboxRow; part: OutboundPart },
): Promise<{ platformId: string } | undefined> {
  const platformId = channel.edit && (await passing?.placeFor(row));
  if (platformId === undefined) return undefined;
  try {
    await channel.edit?.({ ...part, platformId });
    return { platformId };
  } catch (error) {
    // Refused: sent by itself it may be taken.
    if (error instanceof ChannelError && error.kind !== 'network') return undefined;
    throw error;
  }
}

const isNotice = ({ key }: OutboxRow): boolean => key.startsWith('notice:');

/** True when nothing is to be sent now: it is a notice that goes to a chat whose channel works, or is too old to be news. */
function isNotForHere({ store, clock, ...deps }: DeliveryDeps, row: OutboxRow, chat: Chat): boolean {
  const now = clock.now();
  const isUntold = isNotice(row) && row.partsSent === 0;
  if (isUntold && now - row.createdAt > MAX_AGE_MS)
    return store.outbox.dead(row.id, row.error ?? 'nobody could be told for days');
  if (!deps.isBlocked(chat.channel)) return false;
  const { id } = deps.ownerChat();
  // Also those behind a message that has to wait.
  return id !== chat.id && store.outbox.moveNotices(chat.id, id, now) && isUntold;
}

type ButtonsToDrop = ReturnType<Store['outbox']['buttonsToDrop']>[number];

async function dropButtons(deps: DeliveryDeps, { id, chatId, platformId, sentAt }: ButtonsToDrop): Promise<void> {
  const { store, clock } = deps;
  const chat = store.groups.chat(chatId);
  const channel = chat && deps.channel(chat.channel);
  try {
    // A channel that stays off is not asked for ever.
    const kind = clock.now() - sentAt > MAX_AGE_MS ? 'permanent' : 'network';
    if (!channel) throw new ChannelError(kind, 'its channel is switched off');
    await channel.dropButtons?.(chat.address, platformId);
  } catch (error) {
    // What the provider refuses for good is done too: that message is gone, or has no buttons.
    if (error instanceof ChannelError && error.kind !== 'permanent')
      return void store.outbox.retry(id, clock.now() + CHANNEL_OFF_MS, false, null);
  }
  store.outbox.buttonsGone(id);
}

/** No channel takes less in one message, even if every character gets a backslash. */
const PLAIN_CHARS = 900;

/** A text that breaks a channel's own rules for cutting would break them at every try: it goes out as it is written. */
async function splitOrCut({ log }: DeliveryDeps, channel: Channel, { id, text }: OutboxRow): Promise<string[]> {
  try {
    return await channel.split(text);
  } catch (error) {
    if (error instanceof ChannelError) throw error;
    log.error({ outboxId: id, error: describeError(error) }, 'text not split by the rules, cut anywhere');
    return cutText(text, PLAIN_CHARS)
      .map(escapeMarkdown)
      .filter((piece) => piece.trim() !== '');
  }
}

function addEvent({ store, clock }: DeliveryDeps, { runId }: OutboxRow, ...event: TimelineEvent): void {
  if (runId !== null) store.events.add(runId, clock.now(), ...event);
}

function recordFailure(deps: DeliveryDeps, row: OutboxRow, chat: Chat, thrown: unknown): void {
  const { store, clock, log, notifyOwner } = deps;
  const now = clock.now();
  const { kind, retryAfterMs = 0 } = thrown instanceof ChannelError ? thrown : { kind: 'retry' as const };
  const error = describeError(thrown);
  const attempt = row.attempt + (kind === 'retry' ? 1 : 0);
  // One that is switched off is nothing new every minute.
  const level = deps.channel(chat.channel) ? 'warn' : 'debug';
  log[level]({ outboxId: row.id, chatId: chat.id, channel: chat.channel, attempt, kind, error }, 'message not sent');
  if (kind !== 'permanent' && attempt < MAX_ATTEMPTS && now - row.createdAt <= MAX_AGE_MS) {
    const delay = backoffMs(attempt + 1, clock.random(), DELAY_MS);
    return void store.outbox.retry(row.id, now + Math.round(Math.max(delay, retryAfterMs)), kind === 'retry', error);
  }
  store.transaction(() => {
    if (!store.outbox.dead(row.id, error)) return;
    addEvent(deps, row, 'message_dead', { key: row.key, error });
    if (row.runId !== null) store.signal('outbox:over', row.runId);
    // A notice that cannot be sent must not lead to another notice.
    if (isNotice(row)) return;
    const why = `A message to ${shownLine(chat.title, 80)} could not be sent: ${oneLine(error, 500)}`;
    // A file that could not be sent is removed.
    const what = row.file
      ? `${why}. The file is gone: ask me for it once more.`
      : `${why}. \`/retry message ${row.id}\` sends it again.`;
    notifyOwner(`outbox:${row.id}`, what, undefined, row.file ? [] : messageButtons(row.id));
  });
}
