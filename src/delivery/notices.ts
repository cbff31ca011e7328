// Notices to the owner: the chat they go to, and how many. Each group is mentioned a few times an hour, so that no container floods the owner.
import type { Button } from '../channels/channel.js';
import type { RunningChannels } from '../channels/start.js';
import type { LoopDeps } from '../core/deps.js';
import type { Chat } from '../core/types.js';
import { WEB_CHAT } from '../groups/web-chat.js';
import { howToAnswer, NOTICE } from './notice-press.js';
import type { Store } from './store.js';

interface NoticeDeps extends Pick<LoopDeps, 'clock'> {
  store: Store;
}

/** Notices about one group. More than these are found in its runs. */
const MAX_AN_HOUR = 6;

/** Where the owner is found: the direct chat of the main group used last whose channel works, else the web chat; the first of all when that is off too. */
export function createOwnerChat({ store, clock, isBlocked }: NoticeDeps & Pick<RunningChannels, 'isBlocked'>) {
  // That a notice goes there is no use of it: when another channel works again, the next one goes there.
  const webChat = () =>
    store.groups.chatByAddress(WEB_CHAT.channel, WEB_CHAT.address) ?? store.groups.seenChat({ ...WEB_CHAT, now: 0 });
  return (): Chat => {
    const now = clock.now();
    const main = store.groups.ensure('main', true, now);
    const chats = store.groups.chatsOf(main.id);
    const direct = chats.filter(({ kind }) => kind === 'direct');
    const waits = isBlocked(WEB_CHAT.channel) ? direct[0] : undefined;
    const chat = direct.find(({ channel }) => !isBlocked(channel)) ?? waits ?? webChat();
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
  return (key: string, text: string, aboutGroup?: number, buttons: Button[] = []): number | undefined => {
    const now = clock.now();
    const isNew = !store.outbox.has(`notice:${key}`);
    if (isNew && aboutGroup !== undefined && isTooMuch(aboutGroup, now)) return undefined;
    const chat = ownerChat();
    const shown = { text: `${text}${howToAnswer(buttons)}`, ...(buttons.length > 0 && { buttons }) };
    store.outbox.add({ key: `${NOTICE}${key}`, chatId: chat.id, runId: null, ...shown, now });
    return chat.id;
  };
}
