// Buttons below what the host says: "Try again", "Show", "Raise to $10 today". A button's value names what it is about (`run:retry:12`), so it
// means the same after a restart. What it does it does once, in the transaction that stores the press; a later press hears what came of it.
// Which notice has which: docs/commands.md.
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
/** What else the host says with buttons; what agents say is named by the number of their run. */
const BY_HOST = /^(notice|command|held):/;
const NOT_YOURS = { text: 'Only my owner may press that.', again: true };
/** Less of what stands on a button is no answer. */
const LEAST_CHARS = 3;
const YES = ['👍', 'yes', 'ok', 'allow'];
const NO = ['👎', 'no', 'deny'];

/** What stands below a notice, for those who see no buttons. */
export function howToAnswer(buttons: Button[]): string {
  const [first, ...others] = buttons.map(({ label }) => label.toLowerCase());
  const more = others.map((label) => `, or with \`${label}\`${label === 'show' ? ' for more' : ''}`).join('');
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
    const notice = BY_HOST.test(key) ? store.outbox.buttonsOf(key) : undefined;
    const buttons = notice?.buttons ?? [];
    if (!notice || (!isOwner && (chat.groupId === null || !buttons.some((one) => one.value === value))))
      return undefined;
    if (!isOwner) return NOT_YOURS;
    if (NO.includes(value)) return { text: 'I leave it as it is.', again: true };
    // A thumb below "Everything is stopped" is no word to go on.
    const button = YES.includes(value) && !key.startsWith(NOTICE) ? undefined : chosen(buttons, value);
    const [name = '', ...words] = button?.value.split(':') ?? [];
    return actions[name]?.({ words, chat, isUsed: notice.buttonsOver !== 0 });
  };
}

/** By its value, by the beginning of what stands on it, or the first one by a yes. */
const chosen = (buttons: Button[], value: string): Button | undefined =>
  YES.includes(value) ? buttons[0] : buttons.find((one) => one.value === value || isBeginOf(one, value));

/** Whether somebody means the button who writes this. */
export const isBeginOf = ({ label }: Button, written: string): boolean =>
  written.length >= LEAST_CHARS && label.toLowerCase().startsWith(written);

export const messageButtons = (outboxId: number): Button[] => [
  { label: 'Try again', value: `message:retry:${outboxId}` },
];

/** A message that could not be sent, once more: what went out of it already is not sent twice. Says what holds then. */
export function sendAgain(
  { store, clock }: { store: Pick<Store, 'outbox'>; clock: Pick<Clock, 'now'> },
  id: number,
): string {
  const row = store.outbox.get(id);
  if (store.outbox.revive(id, clock.now())) return 'I send that message again.';
  if (!row) return `There is no message ${id} any more.`;
  if (row.file && row.state === 'dead')
    return 'That message cannot be sent again: its file is gone; ask me for it once more.';
  return row.state === 'sent' ? `Message ${id} was sent.` : `Message ${id} waits to be sent.`;
}

export function messageActions(deps: { store: Store; clock: Pick<Clock, 'now'> }): NoticeActions {
  return {
    message({ words: [, id], isUsed }) {
      const state = deps.store.outbox.get(Number(id))?.state ?? 'gone';
      if (isUsed) return { text: `That was tried again already; the message is ${state}.`, again: false };
      return { text: sendAgain(deps, Number(id)), again: false };
    },
  };
}
