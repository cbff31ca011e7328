// What was typed and is not stored yet survives a reload and a lost connection: the draft, and messages on their way. Each
// message has an id of its own, so that sending it again after an answer was lost stores it once.

const DRAFT = 'pinch.draft';
// One key per message: two open tabs must not overwrite each other's list.
const UNSENT = 'pinch.unsent.';
const SEND_TIMEOUT_MS = 20_000;

export const draft = {
  load: () => localStorage.getItem(DRAFT) ?? '',
  save: (text) => localStorage.setItem(DRAFT, text),
};

/**
 * A queue that sends in order, one at a time. `on.waiting(item)` when a message is queued, `on.sent(item, messageId)` when it
 * is stored, `on.refused(item, why)` when the server will never take it, `on.signedOut()` when the session ended.
 */
export function createUnsent(on) {
  const items = loadAll();
  let sending = false;

  const discard = (item) => localStorage.removeItem(UNSENT + item.id);

  async function flush() {
    if (sending) return;
    sending = true;
    try {
      while (items.length > 0 && (await sendOne(items[0])));
    } finally {
      sending = false;
    }
  }

  /** False when the rest has to wait for a later flush. */
  async function sendOne(item) {
    const answer = await post(item);
    if (answer.kind === 'unreachable') return false;
    if (answer.kind === 'signed-out') {
      on.signedOut();
      return false;
    }
    items.splice(items.indexOf(item), 1);
    if (answer.kind === 'refused') on.refused(item, answer.why);
    else {
      discard(item);
      on.sent(item, answer.messageId);
    }
    return true;
  }

  for (const item of items) on.waiting(item);
  return {
    flush,
    /** Forgets a refused message; until then it is kept, and offered to the server again after a reload. */
    discard,
    add(text) {
      const item = { id: crypto.randomUUID(), text, at: Date.now() };
      items.push(item);
      localStorage.setItem(UNSENT + item.id, JSON.stringify(item));
      on.waiting(item);
      void flush();
    },
  };
}

function loadAll() {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(UNSENT));
  return keys.map((key) => JSON.parse(localStorage.getItem(key))).sort((a, b) => a.at - b.at);
}

async function post({ id, text }) {
  try {
    const response = await fetch('/api/chat', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id, text }),
      signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
    });
    if (response.status === 401) return { kind: 'signed-out' };
    if (response.status >= 500) return { kind: 'unreachable' };
    const body = await response.json();
    return response.ok ? { kind: 'stored', messageId: body.messageId } : { kind: 'refused', why: body.error.message };
  } catch {
    return { kind: 'unreachable' };
  }
}
