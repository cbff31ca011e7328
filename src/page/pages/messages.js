// The conversation on the page: stored messages in their order, below them what is not stored yet. Only `html` made by our
// own server is ever put in as HTML; everything else is text.
import { buttonOf, element } from './elements.js';
import texts from './texts.js';

const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
/** Within this many pixels of the end, new messages are followed. */
const AT_END_PX = 80;
/** And within this many of the beginning, earlier ones are fetched. */
const NEAR_TOP_PX = 200;
const QUIET_MS = 1_000;

export const $ = (id) => document.getElementById(id);

/**
 * `press(messageId, value)` resolves with whether that button, and with it all of them, is done with; `older(beforeId)` with the messages
 * before that one, oldest first, undefined when nobody answers.
 */
export function createConversation({ press, older }) {
  const end = followEnd();
  let lastId = 0;
  let lastDay = '';
  let firstId = 0;
  let beginning = null;
  let isFetching = false;

  function offerOlder() {
    const hasFocus = document.activeElement?.parentElement === $('older');
    $('older').hidden = firstId === 0 || beginning === null || firstId <= beginning;
    if (hasFocus && $('older').hidden) $('scroller').focus();
  }

  function messageOf(message) {
    const bubble = bubbleOf(message, timeFormat.format(message.at));
    if (message.buttons.length > 0) bubble.append(buttonsOf(message, press));
    return bubble;
  }

  /** Puts what came before above what is shown; the reader stays where they are. */
  async function addOlder() {
    if (isFetching || $('older').hidden) return;
    isFetching = true;
    const found = await older(firstId);
    isFetching = false;
    if (!found) return;
    firstId = found[0]?.id ?? beginning;
    offerOlder();
    const made = [];
    let day = '';
    for (const message of found) {
      const next = dayFormat.format(message.at);
      if (next !== day) made.push(element('div', 'day', next));
      day = next;
      made.push(messageOf(message));
    }
    const scroller = $('scroller');
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    const first = $('messages').firstElementChild;
    // The day goes on.
    if (first?.textContent === day) first.remove();
    // No news for who listens.
    $('conversation').ariaLive = 'off';
    setTimeout(() => {
      $('conversation').ariaLive = 'polite';
    }, QUIET_MS);
    $('messages').prepend(...made);
    scroller.scrollTop = scroller.scrollHeight - fromEnd;
  }
  $('older').firstElementChild.addEventListener('click', addOlder);
  $('scroller').addEventListener('scroll', () => $('scroller').scrollTop < NEAR_TOP_PX && addOlder());

  return {
    /** All of the latest are there: when they leave room, it is seen whether there are others. */
    settled: () => $('scroller').scrollHeight <= $('scroller').clientHeight && addOlder(),
    /** The whole conversation. */
    beginsAt(id) {
      beginning = id;
      offerOlder();
    },
    /** Of the stored messages shown; 0 when there is none. */
    lastId: () => lastId,
    /** Shows the next stored message, in place of its unsent copy if there is one. */
    add(message) {
      this.dropUnsent(message.clientId);
      lastId = message.id;
      if (firstId === 0) firstId = message.id;
      const day = dayFormat.format(message.at);
      if (day !== lastDay) $('messages').append(element('div', 'day', day));
      lastDay = day;
      // An answer to a card that is shown: its buttons are used.
      if (message.direction === 'in') $('messages').querySelector(`[data-outbox="${message.outboxId}"]`)?.remove();
      $('messages').append(messageOf(message));
      end.addedMessage();
    },
    hasButtons: () => $('messages').querySelector('.buttons') !== null,
    /** Takes away buttons that were answered elsewhere; `messages` are the latest as they are now. */
    dropButtons(messages) {
      const used = messages.filter(({ buttons }) => buttons.length === 0);
      for (const { outboxId } of used) $('messages').querySelector(`.buttons[data-outbox="${outboxId}"]`)?.remove();
    },
    /** Shows what is not stored yet, or never will be because of `problem`; then `edit` is offered. */
    showUnsent({ id, text, files }, problem, edit) {
      this.dropUnsent(id);
      const bubble = bubbleOf(
        { direction: 'in', text, names: files },
        problem ? `${texts.notSent} ${problem}` : texts.sending,
      );
      bubble.classList.add(problem ? 'refused' : 'waiting');
      bubble.id = `unsent-${id}`;
      if (problem) bubble.append(buttonOf(texts.edit, edit));
      $('pending').append(bubble);
      end.go();
    },
    dropUnsent: (id) => $(`unsent-${id}`)?.remove(),
  };
}

/** Stays at the end as long as the reader is there; else offers the way with a button. */
function followEnd() {
  const scroller = $('scroller');
  let atEnd = true;
  let endTop = 0;
  const go = () => {
    scroller.scrollTop = scroller.scrollHeight;
    atEnd = true;
    endTop = scroller.scrollTop;
    $('jump').hidden = true;
  };
  scroller.addEventListener('scroll', () => {
    const isNear = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < AT_END_PX;
    // What grew meanwhile is no reader who left.
    atEnd = isNear || isFollowing();
    if (!isNear) return;
    endTop = scroller.scrollTop;
    $('jump').hidden = true;
  });
  /** The event of a scroll comes a frame late: a reader who has just gone up must not be pulled down again. */
  const isFollowing = () => atEnd && scroller.scrollTop > endTop - AT_END_PX;
  $('jump').addEventListener('click', go);
  // A keyboard that opens, the working line that appears: the end moves without a message.
  const observer = new ResizeObserver(() => isFollowing() && go());
  observer.observe(scroller);
  observer.observe($('content'));
  /** To be called before anything else moves the end: `atEnd` is from before the message. */
  const addedMessage = () => {
    if (isFollowing()) go();
    else $('jump').hidden = false;
  };
  return { go, addedMessage };
}

function bubbleOf({ id, direction, sender, text, html, files = [], names = [] }, foot) {
  const bubble = element('article', `message ${direction}`);
  const body = element('div', 'text', text);
  if (html) body.innerHTML = html;
  for (const block of body.querySelectorAll('pre')) addCopyButton(block);
  // One that is wider than the bubble is moved by keyboard, too.
  for (const table of body.querySelectorAll('table')) table.tabIndex = 0;
  if (files.length > 0) addFiles(body, id, files);
  for (const { fileName } of names) body.append(element('div', 'file', fileName));
  bubble.append(element('span', 'unseen', direction === 'in' ? texts.you : `${sender}:`), body);
  bubble.append(element('div', 'foot', foot));
  return bubble;
}

async function addFiles(body, id, files) {
  const { attachmentsOf } = await import('./attachments.js');
  body.append(attachmentsOf(id, files));
}

function buttonsOf({ id, buttons, outboxId }, press) {
  const group = element('div', 'buttons');
  group.role = 'group';
  group.ariaLabel = texts.answers;
  group.dataset.outbox = outboxId;
  const disable = (isDisabled) => {
    for (const button of group.children) button.disabled = isDisabled;
  };
  const pressed = async (value) => {
    disable(true);
    if (!(await press(id, value))) disable(false);
  };
  group.append(...buttons.map(({ label, value }) => buttonOf(label, () => pressed(value))));
  return group;
}

function addCopyButton(block) {
  const frame = element('div', 'block');
  block.replaceWith(frame);
  const copy = buttonOf(texts.copy, async () => {
    await navigator.clipboard.writeText(block.textContent);
    copy.textContent = texts.copied;
  });
  frame.append(block, copy);
}
