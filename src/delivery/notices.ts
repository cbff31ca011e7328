// Notices to the owner: the chat they go to, and how many. Each group is mentioned a few times an hour, so that no container floods the owner.
import type { RunningChannels } from '../channels/start.js';
import type { LoopDeps } from '../core/deps.js';
import type { Chat } from '../core/types.js';
import { WEB_CHAT } from '../groups/web-chat.js';
import type { Store } from './store.js';

interface NoticeDeps extends Pick<LoopDeps, 'clock'> {
  store: Store;
}

/** Notices about one group. More than these are found in its runs. */
const MAX_AN_HOUR = 6;

/** Where the owner is found: the direct chat of the main group used last whose channel works, else the web chat. */
export function createOwnerChat({ store, clock, isBlocked }: NoticeDeps & Pick<RunningChannels, 'isBlocked'>) {
  return (): Chat => {
    const now = clock.now();
    const main = store.groups.ensure('main', true, now);
    const chats = store.groups.chatsOf(main.id);
    const chat =
      chats.find(({ kind, channel }) => kind === 'direct' && !isBlocked(channel)) ??
      store.groups.seenChat({ ...WEB_CHAT, now });
    if (chat.groupId === null) store.groups.assignChat(chat.id, main.id);
    return chat;
  };
}

export function createOwnerNotices({ store, clock, ownerChat }: NoticeDeps & { ownerChat(): Chat }) {
  const lately = new Map<number, number[]>();
  const isTooMuch = (groupId: number, now: number): boolean => {
    const times = (lately.get(groupId) ?? []).filter((at) => at > now - 3_600_000);
    lately.set(groupId, [...times, now].slice(-MAX_AN_HOUR));
    return times.length >= MAX_AN_HOUR;
  };
  return (key: string, text: string, aboutGroup?: number): number | undefined => {
    const now = clock.now();
    if (aboutGroup !== undefined && isTooMuch(aboutGroup, now)) return undefined;
    const chat = ownerChat();
    store.outbox.add({ key: `notice:${key}`, chatId: chat.id, runId: null, text, now });
    return chat.id;
  };
}
