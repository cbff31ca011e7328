// Answers to one message of ours that are no words to route: a button that was pressed, a reaction, the owner's one word in a reply to a card.
// Which message it is about, only our own rows say: anybody can write a text that looks like a card. Knows the store, no channel.
import type { InboundMessage } from '../channels/inbound-message.js';
import type { Clock } from '../core/clock.js';
import type { Chat } from '../core/types.js';
import { isBeginOf } from '../delivery/notice-press.js';
import type { OnPress } from '../groups/press.js';
import type { Store } from '../progress/store.js';
import { stopRun } from '../runs/cancelled.js';
import { type Route, type Speaker, standingOf } from './route.js';

export interface PressDeps {
  store: Store;
  clock: Pick<Clock, 'now'>;
  assistantName: string;
  onPress?: OnPress | undefined;
  /** Says what a press of a button that is used came too late for. */
  onStalePress?: OnPress | undefined;
}

/** The message as it is to be stored and routed, and the row of the outbox that it answers. */
interface Pressed {
  inbound: InboundMessage;
  route: Route;
  outboxId: number | null;
}

/** What the owner may answer with in a reply to a card; to a notice also what stands on its buttons. */
const WORDS = ['yes', 'no', 'ok', '👍', '👎', 'allow', 'always', 'deny'];
const TOO_OLD = 'That is too old: I no longer know what it was about.';
/** Buttons of a question of the agent. */
const CHOICE = /^choice:\d+$/;

/** Below the message that says how a run goes on. */
const STOP = /^stop:(\d{1,15})$/;

/** Undefined when the message is to be routed by its words. Call it in the transaction that stores the message. */
export function takePress(
  deps: PressDeps,
  { inbound, chat, sender }: { inbound: InboundMessage; chat: Chat; sender: Speaker & { id: number } },
): Pressed | undefined {
  const { store, assistantName, onPress, onStalePress } = deps;
  const press = pressOf(store, { inbound, chat, isOwner: sender.isOwner });
  if (!press) return undefined;
  const { platformId, value } = press;
  const dropped: Pressed = { inbound, route: { kind: 'ignore' }, outboxId: null };
  if (store.messages.find(chat.id, inbound.platformId)) return dropped;
  const [, runId] = (inbound.text === '' && STOP.exec(value)) || [];
  if (runId !== undefined) {
    const answer = stopByButton(deps, Number(runId), { chat, sender, platformId });
    return answer === undefined
      ? dropped
      : { inbound: { ...inbound, text: 'Stop' }, route: { kind: 'pressed', answer }, outboxId: null };
  }
  // Programs can send values that no button of the message has.
  const buttons = store.outbox.unpressedButtons(chat.id, platformId);
  const button = buttons.find((one) => one.value === value);
  const { isOwner, name: by } = sender;
  const isButton = inbound.press !== undefined && inbound.text === '';
  const key = store.messages.outboxKeyOf(chat.id, platformId);
  const endButtons = () => {
    if (key !== undefined) store.outbox.endButtons(key);
  };
  if (isButton && !button) {
    // Somebody still sees buttons that were pressed before.
    if (buttons.length === 0) endButtons();
    const used = () => (key === undefined ? undefined : onStalePress?.({ key, value, chat, isOwner, by })?.text);
    // Its row went with its age, and with it what the button was for.
    const isForgotten = key === undefined && isOwner && store.messages.sent(chat.id, platformId) !== undefined;
    const answer = isForgotten ? TOO_OLD : buttons.length > 0 ? undefined : used();
    return answer === undefined
      ? dropped
      : { inbound: { ...inbound, text: '[a button]' }, route: { kind: 'pressed', answer }, outboxId: null };
  }
  const answer = key === undefined ? undefined : onPress?.({ key, value, chat, isOwner, by });
  const isChoice = isButton && CHOICE.test(value) && chat.groupId !== null && standingOf({ sender, chat }).mayAsk;
  if (answer === undefined && !isChoice) return isButton ? dropped : undefined;
  if (!answer?.again) endButtons();
  const text = inbound.text || (button?.label ?? '');
  return {
    inbound: { ...inbound, text, replyTo: { platformId, sender: assistantName, text: '' } },
    // What stands on a choice are the agent's words: they start work, and are never a command.
    route: answer === undefined ? { kind: 'trigger' } : { kind: 'pressed', answer: answer.text },
    outboxId: (!answer?.again && store.messages.sent(chat.id, platformId)?.outboxId) || null,
  };
}

/** The owner stops any run of the chat, others one that they asked for. What they are told; undefined for whoever has no say there at all. */
function stopByButton(
  { store, clock }: PressDeps,
  runId: number,
  { chat, sender, platformId }: { chat: Chat; sender: Speaker & { id: number }; platformId: string },
): string | undefined {
  const run = store.runs.get(runId);
  if (run?.chatId !== chat.id || !standingOf({ sender, chat }).mayAsk) return undefined;
  if (!sender.isOwner && !store.progress.hasAsked(runId, sender.id))
    return 'Only whoever asked for it, and my owner, may stop that.';
  const now = clock.now();
  // Sent right before Pinch was killed, maybe: now it is known, and is taken away.
  if (!store.progress.get(runId, 'message')?.platformId)
    store.progress.put({ runId, kind: 'message', chatId: chat.id, platformId, sender: '', at: now });
  const isStopped = stopRun(store, run, now);
  if (!isStopped) store.signal('outbox:over', runId);
  return isStopped ? 'Stopped.' : 'That is over already.';
}

/** An edit is no answer: the words that it changes were taken as they were. */
function pressOf(
  { outbox }: Pick<Store, 'outbox'>,
  { inbound, chat, isOwner }: { inbound: InboundMessage; chat: Chat; isOwner: boolean },
) {
  const { press, replyTo, text, edited, forwarded } = inbound;
  if (press) return { ...press, value: plain(press.value) };
  if (!isOwner || !replyTo || edited || forwarded) return undefined;
  const value = plain(text.trim().toLowerCase()).replace(/[.!]+$/, '');
  const isOnButton = () => outbox.unpressedButtons(chat.id, replyTo.platformId).some((one) => isBeginOf(one, value));
  return WORDS.includes(value) || isOnButton() ? { platformId: replyTo.platformId, value } : undefined;
}

/** Without the colour of the skin and the mark that asks for a picture. */
const plain = (emoji: string): string => emoji.replace(/[\u{1f3fb}-\u{1f3ff}\ufe0f]/gu, '');
