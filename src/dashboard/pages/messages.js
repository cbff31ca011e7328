// The conversation on the page: stored messages in their order, below them what is not stored yet. Only `html` made by our
// own server is ever put in as HTML; everything else is text.

const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
/** Within this many pixels of the end, new messages are followed. */
const AT_END_PX = 80;

/** Builds the list on `elements` ({scroller, content, messages, pending, jump}). */
export function createConversation(elements) {
  const shown = new Map();
  const waiting = new Map();
  const follow = followEnd(elements);
  let lastDay = '';

  function addDay(at) {
    const day = dayFormat.format(at);
    if (day === lastDay) return;
    lastDay = day;
    elements.messages.append(element('div', 'day', day));
  }

  return {
    /** Highest id shown; 0 when there is none. */
    lastId: () => Math.max(0, ...shown.keys()),
    isEmpty: () => shown.size === 0 && waiting.size === 0,
    /** Shows a stored message once, in place of its unsent copy if there is one. */
    add(message) {
      this.dropWaiting(message.clientId);
      if (shown.has(message.id)) return;
      const bubble = message.direction === 'in' ? ownBubble(message.text) : replyBubble(message);
      bubble.append(timeOf(message.at));
      shown.set(message.id, bubble);
      follow.during(() => {
        addDay(message.at);
        elements.messages.append(bubble);
      });
    },
    /** Shows what was typed before it is stored; `state` is waiting or refused (then with `problem` and `onEdit`). */
    showWaiting({ id, text }, { problem, onEdit } = {}) {
      const bubble = ownBubble(text);
      bubble.classList.add('waiting');
      if (problem) bubble.append(problemOf(problem, onEdit));
      else bubble.append(element('div', 'foot', 'sending…'));
      const before = waiting.get(id);
      waiting.set(id, bubble);
      if (before) before.replaceWith(bubble);
      else elements.pending.append(bubble);
      if (!before) follow.now();
    },
    dropWaiting(id) {
      waiting.get(id)?.remove();
      waiting.delete(id);
    },
    clear() {
      shown.clear();
      elements.messages.replaceChildren();
      lastDay = '';
    },
    followNow: follow.now,
  };
}

/** Scrolls to the end as long as the reader is there; else offers the way with a button. */
function followEnd({ scroller, content, jump }) {
  let atEnd = true;
  const now = () => {
    scroller.scrollTop = scroller.scrollHeight;
    atEnd = true;
    jump.hidden = true;
  };
  scroller.addEventListener('scroll', () => {
    atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < AT_END_PX;
    if (atEnd) jump.hidden = true;
  });
  jump.addEventListener('click', now);
  // A keyboard that opens, the working line that appears: the end moves without a message.
  const observer = new ResizeObserver(() => {
    if (atEnd) now();
  });
  observer.observe(scroller);
  observer.observe(content);
  return {
    now,
    during(change) {
      const wasAtEnd = atEnd;
      change();
      if (wasAtEnd) now();
      else jump.hidden = false;
    },
  };
}

function ownBubble(text) {
  const bubble = element('article', 'message in');
  bubble.append(element('span', 'unseen', 'You:'), element('div', 'text', text));
  return bubble;
}

function replyBubble({ sender, html, text }) {
  const bubble = element('article', 'message out');
  const body = element('div', 'text', html === null ? text : undefined);
  if (html !== null) body.innerHTML = html;
  for (const block of body.querySelectorAll('pre')) addCopyButton(block);
  bubble.append(element('span', 'unseen', `${sender}:`), body);
  return bubble;
}

function addCopyButton(block) {
  const frame = element('div', 'block');
  const button = element('button', '', 'Copy');
  button.type = 'button';
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(block.textContent);
    button.textContent = 'Copied';
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 2_000);
  });
  block.replaceWith(frame);
  frame.append(block, button);
}

function timeOf(at) {
  const time = element('time', 'foot', timeFormat.format(at));
  time.dateTime = new Date(at).toISOString();
  return time;
}

function problemOf(problem, onEdit) {
  const line = element('div', 'problem', `Not sent: ${problem}`);
  const button = element('button', 'small', 'Edit');
  button.type = 'button';
  button.addEventListener('click', onEdit);
  line.append(button);
  return line;
}

/** An element with a class and a text. */
export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
