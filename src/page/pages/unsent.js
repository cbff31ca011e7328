// What was sent and is not stored yet survives a reload and a lost connection. Each message has an id of its own, so that
// sending it again after an answer was lost stores it once.

import { request } from './session.js';

// One key per message: two open tabs must not overwrite each other's list.
const UNSENT = 'pinch.unsent.';
const RETRY_MS = 1_000;
const TIMEOUT_MS = 20_000;

/**
 * A queue that sends in order, one at a time. `on.waiting(item)` when a message is queued, `on.sent(item, messageId)` when it
 * is stored, `on.refused(item, why)` when the server will never take it.
 */
export function createUnsent(on) {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(UNSENT));
  const items = keys.map((key) => JSON.parse(localStorage.getItem(key))).sort((a, b) => a.at - b.at);
  let sending = false;

  /** Forgets a refused message; until then it is kept, and offered to the server again after a reload. */
  const discard = (item) => localStorage.removeItem(UNSENT + item.id);

  async function sendAll() {
    if (sending) return;
    sending = true;
    while (items.length > 0) {
      const answer = await post(items[0]);
      if (answer) settle(items.shift(), answer);
      else await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    sending = false;
  }

  function settle(item, { error, messageId }) {
    if (error) return on.refused(item, error.message);
    discard(item);
    on.sent(item, messageId);
  }

  for (const item of items) on.waiting(item);
  sendAll();
  return {
    discard,
    add(text, files = []) {
      const item = { id: newId(), text, files, at: Date.now() };
      items.push(item);
      localStorage.setItem(UNSENT + item.id, JSON.stringify(item));
      on.waiting(item);
      sendAll();
    },
  };
}

/** Behind a proxy that speaks plain HTTP a browser has no `randomUUID`. */
const newId = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** The server's answer; undefined when it gave none, or one that another try may change. */
async function post({ id, text, files }) {
  try {
    const response = await request('/api/chat', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id, text, files }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return response.status >= 500 ? undefined : await response.json();
  } catch {
    return undefined;
  }
}
