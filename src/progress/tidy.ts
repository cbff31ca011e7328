// Takes away what stands in chats for runs that work no more: after their answer, at the next start, when their channel is back. Never a word
// twice about it: what the platform refuses for good is forgotten.
import { type Channel, ChannelError } from '../channels/channel.js';
import { describeError } from '../core/errors.js';
import type { Chat } from '../core/types.js';
import type { ProgressRow } from './rows.js';
import type { Shows } from './shown.js';

const AGAIN_MS = 10_000;
/** What is left of a message that can no longer be taken away. */
const OVER = 'This is over.';

/** Of our message, also when we were killed before we heard of it; undefined when there is none. */
export async function idOf(
  { store }: Shows,
  { row, chat, channel }: { row: ProgressRow; chat: Chat; channel: Channel },
): Promise<string | undefined> {
  const { runId, kind, chatId, platformId, afterId } = row;
  if (platformId) return platformId;
  const others = store.progress.all().filter((one) => one.chatId === chatId && one.kind === kind);
  const known = [...others.map((one) => one.platformId), ...store.progress.knownBefore(chatId, afterId)];
  const found = await channel.findLost?.(chat.address, known);
  if (found) store.progress.sent(runId, found);
  return found;
}

async function takeAway(shows: Shows, row: ProgressRow): Promise<void> {
  const { store, channels } = shows;
  const { runId, kind, chatId, sender } = row;
  const chat = store.groups.chat(chatId);
  const channel = chat && channels.get(chat.channel);
  if (!chat) return void store.progress.drop(runId, kind);
  // It comes back, or is switched off for good: then nobody sees it.
  if (!channel || channels.isBlocked(chat.channel)) return;
  let { platformId = '' }: { platformId?: string | undefined } = row;
  try {
    platformId = (await idOf(shows, { row, chat, channel })) ?? '';
    if (kind === 'reaction') await channel.react?.(chat.address, { platformId, sender }, '');
    else if (platformId) await channel.remove?.(chat.address, platformId);
  } catch (error) {
    if (!(error instanceof ChannelError) || error.kind !== 'permanent') throw error;
    const asEdit = { address: chat.address, platformId, text: OVER, passing: true };
    if (kind === 'message' && platformId) await channel.edit?.(asEdit).catch(() => undefined);
  }
  // Another attempt may have put a new one there meanwhile.
  if (store.progress.get(runId, kind)?.platformId === platformId) store.progress.drop(runId, kind);
}

export function createTidy(shows: Shows) {
  const { store, channels, clock, log, ending } = shows;
  /** Rows that are being worked on. */
  const busy = new Set<string>();
  let timer: { cancel(): void } | undefined;
  let isStopped = false;

  /** Not while it works, and not before its answer went out. */
  const isDue = ({ runId }: ProgressRow): boolean =>
    store.runs.get(runId)?.state !== 'leased' && !store.progress.answerWaits(runId);

  async function look(row: ProgressRow): Promise<void> {
    const name = `${row.runId} ${row.kind}`;
    if (busy.has(name)) return;
    busy.add(name);
    await ending.get(row.runId);
    // What was on its way when the run ended is there only now.
    const current = store.progress.get(row.runId, row.kind);
    try {
      if (current && !isStopped && isDue(current)) await takeAway(shows, current);
    } catch (error) {
      log.debug({ runId: row.runId, error: describeError(error) }, 'progress not taken away yet');
      const wait = error instanceof ChannelError ? (error.retryAfterMs ?? 0) : 0;
      timer?.cancel();
      if (!isStopped) timer = clock.at(clock.now() + Math.max(wait, AGAIN_MS), () => void all());
    } finally {
      busy.delete(name);
    }
  }

  async function all(): Promise<void> {
    await Promise.all(store.progress.all().map(look));
  }

  return {
    all,
    async run(runId: number): Promise<void> {
      await ending.get(runId);
      if (isStopped) return;
      await Promise.all(
        (['message', 'reaction'] as const)
          .map((kind) => store.progress.get(runId, kind))
          .map((row) => row && look(row)),
      );
    },
    /** It can be reached again. */
    async channel(name: string): Promise<void> {
      if (channels.states().some((one) => one.name === name && one.state === 'open')) await all();
    },
    stop(): void {
      isStopped = true;
      timer?.cancel();
    },
  };
}
