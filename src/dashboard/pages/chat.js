// The chat page: loads the history, follows it live, sends what is typed. The parts are in messages.js, unsent.js, status.js.
import { createConversation } from './messages.js';
import { createStatusView } from './status.js';
import { createUnsent, draft } from './unsent.js';

const STATUS_EVERY_MS = 10_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 10_000;

const $ = (id) => document.getElementById(id);
let version;
let loaded = false;
const text = $('text');
const conversation = createConversation({
  scroller: $('scroller'),
  content: $('content'),
  messages: $('messages'),
  pending: $('pending'),
  jump: $('jump'),
});
const view = createStatusView(
  { name: $('name'), model: $('model'), channels: $('channels'), banners: $('banners') },
  async () => {
    await fetch('/api/resume', { method: 'POST' });
    await refreshStatus();
  },
);
const unsent = createUnsent({
  waiting: (item) => {
    conversation.showWaiting(item);
    showEmpty();
  },
  // The stored message comes back on the stream and takes the place of its copy; one that is not kept has none.
  sent: (item, messageId) => {
    if (messageId === null) conversation.dropWaiting(item.id);
  },
  refused: (item, problem) =>
    conversation.showWaiting(item, {
      problem,
      onEdit: () => {
        conversation.dropWaiting(item.id);
        unsent.discard(item);
        setText(text.value === '' ? item.text : `${text.value}\n${item.text}`);
        text.focus();
      },
    }),
  signedOut: () => view.setTrouble({ signedOut: true }),
});

/** The JSON of a GET. Throws when the server cannot be reached or refuses. */
async function get(path) {
  const response = await fetch(path);
  view.setTrouble({ signedOut: response.status === 401 });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function refreshStatus() {
  const status = await get('/api/status');
  // A new version of Pinch has a new page, too; drafts and unsent messages are kept.
  if (version !== undefined && version !== status.version) location.reload();
  version = status.version;
  view.show(status);
  text.placeholder = `Message ${status.assistantName}`;
}

/** Fills the page once. Later it only looks whether a backup was restored, which knows fewer messages than were shown. */
async function loadHistory() {
  const { messages } = await get('/api/chat/messages');
  const restored = (messages.at(-1)?.id ?? 0) < conversation.lastId();
  if (restored) conversation.clear();
  else if (loaded) return;
  for (const message of messages) conversation.add(message);
  conversation.followNow();
  $('conversation').removeAttribute('aria-busy');
  loaded = true;
  showEmpty();
}

function showEmpty() {
  $('empty').hidden = !loaded || !conversation.isEmpty();
}

function showRuns({ working, waiting }) {
  const busy = working + waiting > 0;
  $('working').hidden = !busy;
  $('working-text').textContent = working > 0 ? `${view.name()} is working…` : 'Waiting to start…';
}

/** Follows the chat until the connection breaks; resolves then. Messages missed since `lastId` come first. */
function followStream() {
  return new Promise((resolve) => {
    const source = new EventSource(`/api/chat/stream?after=${conversation.lastId()}`);
    source.addEventListener('open', () => {
      view.setTrouble({ offline: false });
      void unsent.flush();
    });
    source.addEventListener('message', (event) => {
      conversation.add(JSON.parse(event.data));
      showEmpty();
    });
    source.addEventListener('runs', (event) => showRuns(JSON.parse(event.data)));
    source.addEventListener('error', () => {
      source.close();
      resolve();
    });
  });
}

async function stayConnected() {
  let delay = FIRST_RETRY_MS;
  for (;;) {
    try {
      await refreshStatus();
      await loadHistory();
      delay = FIRST_RETRY_MS;
      await followStream();
    } catch {
      delay = Math.min(delay * 2, MAX_RETRY_MS);
    }
    view.setTrouble({ offline: true });
    await pause(delay);
  }
}

/** Waits `ms`, shorter when the network comes back before. */
function pause(ms) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    window.addEventListener('online', done);
  });
}

function setText(value) {
  text.value = value;
  draft.save(value);
  $('send').disabled = value.trim() === '';
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight}px`;
}

function send() {
  if (text.value.trim() === '') return;
  unsent.add(text.value);
  setText('');
  conversation.followNow();
}

text.addEventListener('input', () => setText(text.value));
text.addEventListener('keydown', (event) => {
  // While an input method composes a word, Enter belongs to it.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
  text.focus();
});
$('stop').addEventListener('click', () => unsent.add('/stop'));
$('examples').addEventListener('click', (event) => {
  const example = event.target.closest('button');
  if (example) unsent.add(example.textContent);
});
setInterval(() => {
  if (document.visibilityState === 'visible') refreshStatus().catch(() => undefined);
  void unsent.flush();
}, STATUS_EVERY_MS);

setText(draft.load());
// On a touch screen this would open the keyboard over the page.
if (window.matchMedia('(hover: hover)').matches) text.focus();
void stayConnected();
