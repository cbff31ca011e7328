// Why nothing is started for a chat, in words for whoever writes there: everything is stopped, it is paused, or its chat waits for the owner.
import type { Button } from '../channels/channel.js';
import type { Clock } from '../core/clock.js';
import { timeText } from '../core/times.js';
import { type Chat, sessionName } from '../core/types.js';
import { EVERY_GROUP } from './pauses.js';
import type { StopSwitch } from './stop-switch.js';
import type { Store } from './store.js';

export interface HeldBackDeps {
  store: Store;
  clock: Clock;
  config: { timeZone: string };
  stopSwitch: Pick<StopSwitch, 'since'>;
}

interface Held {
  /** The same as long as the same holds the chat back. */
  name: string;
  since: number;
  /** What holds, and what ends it. */
  text: string;
  goOn: string;
}

export type HeldBack = ReturnType<typeof createHeldBack>;
type Where = Pick<Chat, 'id' | 'groupId'>;

export function createHeldBack({ store, config, stopSwitch }: HeldBackDeps) {
  const shown = (at: number) => `since ${timeText(at, config.timeZone)}`;
  function heldBack({ id, groupId }: Where): Held | undefined {
    const stoppedAt = stopSwitch.since();
    if (stoppedAt !== undefined)
      return {
        name: `stop:${stoppedAt}`,
        since: stoppedAt,
        text: `Everything is stopped ${shown(stoppedAt)}`,
        goOn: '`/resume`',
      };
    const pause = store.pauses.of(groupId ?? EVERY_GROUP);
    if (pause) {
      const { pausedAt } = pause;
      const name = `pause:${pause.groupId}:${pausedAt}`;
      if (pause.groupId === EVERY_GROUP)
        return { name, since: pausedAt, text: `I am paused ${shown(pausedAt)}`, goOn: '`/resume`' };
      return { name, since: pausedAt, text: `I am paused here ${shown(pausedAt)}`, goOn: '`/resume`' };
    }
    const hold = store.budgets.heldChats().find(({ chatId }) => chatId === id);
    if (!hold) return undefined;
    return {
      name: `hold:${id}:${hold.heldAt}`,
      since: hold.heldAt,
      text: `I paused myself here ${shown(hold.heldAt)}`,
      goOn: '`/continue`',
    };
  }
  const buttons = (chat: Where): Button[] => {
    const held = heldBack(chat);
    return held ? [{ label: 'Resume', value: `resume:${held.name}` }] : [];
  };
  return {
    of: heldBack,
    /** Ends what holds the chat back now, and only that. */
    buttons,
    /** For an answer to the owner; '' when nothing holds the chat back. */
    note(chat: Where): string {
      const held = heldBack(chat);
      return held ? ` ${held.text}: it waits until ${held.goOn}.` : '';
    },
    /** One line for a message that waits, once in a conversation: the key is the same for the next one. */
    notice(chat: Chat, byOwner: boolean): { key: string; text: string; buttons: Button[] } | undefined {
      const held = heldBack(chat);
      if (!held) return undefined;
      const next = byOwner ? `${held.goOn} and I go on` : 'my owner lets me go on';
      const text = `${held.text}. What is written waits; ${next}.`;
      return { key: `held:${sessionName(chat)}:${held.name}`, text, buttons: byOwner ? buttons(chat) : [] };
    },
  };
}
