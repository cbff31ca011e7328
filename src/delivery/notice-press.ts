// Buttons below notices to the owner: "Try again", "Show", "Raise to $10 today". A button's value names what it is about (`run:retry:12`), so it
// means the same after a restart. What it does it does once, in the transaction that stores the press; a later press hears what came of it.
import type { Button } from '../channels/channel.js';
import type { Clock } from '../core/clock.js';
import type { OnPress, Press } from '../groups/press.js';
import type { Store } from './store.js';

export interface NoticePress extends Pick<Press, 'chat'> {
  /** The button's value without its first word. */
  words: string[];
  /** It was pressed before: nothing may be done any more but to say so. */
  isUsed: boolean;
}

/** By the first word of a button's value. `again`: the buttons stay. Changes rows; says what holds now. */
export type NoticeActions = Record<string, (press: NoticePress) => { text: string; again: boolean } | undefined>;

export const NOTICE = 'notice:';
const YES = ['👍', 'yes', 'ok', 'allow'];
const NO = ['👎', 'no', 'deny'];

/** What stands below a notice, for those who see no buttons. */
export function howToAnswer(buttons: Button[]): string {
  const [first, second] = buttons.map(({ label }) => label.toLowerCase());
  const more = second ? `, or with \`${second}\` for more` : '';
  return first ? `\n\nAnswer this with 👍 to ${first}${more}.` : '';
}

export function createNoticePress({
  store,
  actions,
}: {
  store: Pick<Store, 'outbox'>;
  actions: NoticeActions;
}): OnPress {
  return ({ key, value, chat, isOwner }) => {
    const notice = isOwner && key.startsWith(NOTICE) ? store.outbox.buttonsOf(key) : undefined;
    if (!notice) return undefined;
    if (NO.includes(value)) return { text: 'I leave it as it is.', again: true };
    const button = chosen(notice.buttons ?? [], value);
    const [name = '', ...words] = button?.value.split(':') ?? [];
    return actions[name]?.({ words, chat, isUsed: notice.buttonsOver !== 0 });
  };
}

/** By its value, by the beginning of what stands on it, or the first one by a yes. */
const chosen = (buttons: Button[], value: string): Button | undefined =>
  YES.includes(value)
    ? buttons[0]
    : buttons.find((one) => one.value === value || (value !== '' && one.label.toLowerCase().startsWith(value)));

export const messageButtons = (outboxId: number): Button[] => [
  { label: 'Try again', value: `message:retry:${outboxId}` },
];

/** A message that could not be sent, once more: what went out of it already is not sent twice. */
export function messageActions({ store, clock }: { store: Store; clock: Pick<Clock, 'now'> }): NoticeActions {
  return {
    message({ words: [, id], isUsed }) {
      const row = store.outbox.get(Number(id));
      if (isUsed)
        return { text: `That was tried again already; the message is ${row?.state ?? 'gone'}.`, again: false };
      const isBack = store.outbox.revive(Number(id), clock.now());
      const why = row?.file ? 'its file is gone; ask me for it once more' : `it is ${row?.state ?? 'gone'}`;
      return {
        text: isBack ? 'I send that message again.' : `That message cannot be sent again: ${why}.`,
        again: false,
      };
    },
  };
}
