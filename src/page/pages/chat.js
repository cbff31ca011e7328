// The chat page: follows the conversation and the status live, sends what is typed. messages.js shows, unsent.js keeps.
import { createComposerFiles } from './composer.js';
import { element, fill } from './elements.js';
import { $, createConversation } from './messages.js';
import { isRestarted, logOut, request, serverEvents, signIn } from './session.js';
import texts from './texts.js';
import { createUnsent } from './unsent.js';

const RETRY_MS = 1_000;
const DRAFT = 'pinch.draft';
const needsPerson = ['blocked', 'unlinked', 'logged-out', 'expired-version'];

await signIn();

const input = $('text');
const conversation = createConversation({ press, older });
const files = createComposerFiles(showSend);
const unsent = createUnsent({
  waiting: (item) => conversation.showUnsent(item),
  // The stored message comes back on the stream and takes the place of its copy; one that is not kept has none.
  sent: (item, messageId) => messageId === null && conversation.dropUnsent(item.id),
  refused: (item, problem) =>
    conversation.showUnsent(item, problem, () => {
      unsent.discard(item);
      conversation.dropUnsent(item.id);
      setInput(input.value === '' ? item.text : `${input.value}\n${item.text}`);
      input.focus();
    }),
});
let approvalMarks = '';

/** Begins behind the last message shown, or with the latest history, and starts over when the connection breaks. */
async function follow() {
  const lastId = conversation.lastId();
  const path = lastId > 0 ? `/api/chat/stream?after=${lastId}` : '/api/chat/stream';
  for await (const { event, data } of serverEvents(path)) {
    if (event === 'message') conversation.add(data);
    else if (event === 'status') showStatus(data);
  }
  $('offline').hidden = false;
  setTimeout(follow, RETRY_MS);
}

async function older(before) {
  const answer = await request(`/api/chat/messages?before=${before}`).catch(() => undefined);
  return answer?.ok ? (await answer.json()).messages : undefined;
}

/** False when nobody knows whether it arrived: it may be pressed again. A press counts once, so the second does no harm. */
async function press(messageId, value) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ messageId, value });
  const answer = await request('/api/chat/press', { method: 'POST', headers, body }).catch(() => undefined);
  return answer !== undefined && answer.status < 500;
}

function showStatus(status) {
  // What was typed is kept.
  if (isRestarted(status.startedAt)) location.reload();
  const { assistantName, model, channels, chat } = status;
  const demo = status.backend === 'demo';
  document.title = assistantName;
  input.placeholder = fill(texts.messageTo, { name: assistantName });
  setText('name', assistantName);
  setText('model', demo ? texts.demoModel : model);
  $('channels').replaceChildren(...channels.map(channelItem));
  $('offline').hidden = true;
  $('demo').hidden = !demo;
  $('stopped').hidden = !status.stopped;
  $('linking').replaceChildren(...channels.filter((channel) => channel.link).map(linkItem));
  setText('problems', problemsOf(status).join('\n'));
  conversation.beginsAt(status.first);
  showWork(chat, assistantName);
  showApprovals(status.approvals);
  dropUsedButtons(JSON.stringify(status.approvals));
  if ($('conversation').hasAttribute('aria-busy')) conversation.settled();
  $('conversation').removeAttribute('aria-busy');
}

let since;

/** What it does now, for how long, and the way to all of it. */
function showWork({ working, waiting, progress: { run, step, since: startedAt } = {} }, assistantName) {
  const isWorking = fill(texts.working, { name: assistantName });
  const doing = step ? `${isWorking} ${step}` : isWorking;
  setText('working-text', working > 0 ? doing : texts.waiting);
  $('working').hidden = working + waiting === 0;
  $('working-run').hidden = run === undefined;
  $('working-run').href = `/runs/${run}`;
  since = startedAt;
  showTime();
}

function showTime() {
  const seconds = since ? Math.round((Date.now() - since) / 1_000) : 0;
  $('working-time').textContent =
    seconds < 2 ? '' : seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
setInterval(showTime, 1_000);

let approvalsOpen = 0;
/** Panels come when somebody opens one: whoever only talks does not wait for them. */
let panel;

function showApprovals({ open }) {
  if (open > approvalsOpen) setText('approvals-news', `${texts.approvalsWaiting} ${open}`);
  approvalsOpen = open;
  for (const id of ['approvals-count', 'nav-approvals']) setText(id, open ? String(open) : '');
  panel?.changed();
}

$('open-approvals').addEventListener('click', async () => {
  panel ??= (await import('./approvals.js')).createApprovals();
  panel.open();
});
$('open-sites').addEventListener('click', async () => (await import('./sites.js')).openSites());

/** An approval that is shown here may have been answered in another chat, in the panel, or by nobody in time. */
async function dropUsedButtons(marks) {
  if (marks === approvalMarks) return;
  approvalMarks = marks;
  if (!conversation.hasButtons()) return;
  const answer = await request('/api/chat/messages').catch(() => undefined);
  if (answer?.ok) conversation.dropButtons((await answer.json()).messages);
}

function channelItem({ name, state, detail }) {
  const item = element('li', state);
  item.title = detail ? `${state}: ${detail}` : state;
  item.append(element('span', 'label', name), element('span', 'unseen', `: ${state}`));
  return item;
}

/** How to link a channel to its account: a QR code to scan, or in the words a code to enter. */
function linkItem({ name, detail, qrImage }) {
  const item = element('figure', 'link');
  if (qrImage) Object.assign(item.appendChild(element('img')), { src: qrImage, alt: fill(texts.qr, { name }) });
  item.append(element('figcaption', '', `${name}: ${detail}`));
  return item;
}

/** What keeps messages from being answered and needs a person. */
function problemsOf({ engine, outage, groups, channels }) {
  const parked = groups.filter((group) => group.parked);
  const blocked = channels.filter(({ state }) => needsPerson.includes(state));
  return [
    ...(engine.state === 'down'
      ? [fill(texts.noEngine, { detail: engine.detail.replace(/^Docker does not answer: /, '') })]
      : []),
    ...(outage ? [fill(texts.noModel, outage)] : []),
    ...parked.map((group) => texts.parked[group.parked] ?? fill(texts.groupWaits, group)),
    ...blocked.map((channel) => `${channel.name}: ${channel.detail}`),
  ];
}

/** Writing the same text once more would make a screen reader say it once more. */
function setText(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function showSend() {
  $('send').disabled = !files.areReady() || (input.value.trim() === '' && files.count() === 0);
}

function setInput(value) {
  input.value = value;
  localStorage.setItem(DRAFT, value);
  showSend();
  input.style.height = 'auto';
  input.style.height = `${input.scrollHeight}px`;
}

input.addEventListener('input', () => setInput(input.value));
input.addEventListener('keydown', (event) => {
  // While an input method composes a word, Enter belongs to it.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('composer').requestSubmit();
});
$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  if ($('send').disabled) return;
  unsent.add(input.value, files.take());
  setInput('');
  input.focus();
});
$('stop').addEventListener('click', () => unsent.add('/stop'));
$('resume').addEventListener('click', () => request('/api/resume', { method: 'POST' }));
$('logout').addEventListener('click', () => logOut('/api/session'));
$('logout-all').addEventListener('click', () => logOut('/api/sessions'));
for (const example of $('examples').children) {
  example.addEventListener('click', () => unsent.add(example.textContent));
}

setInput(localStorage.getItem(DRAFT) ?? '');
// On a touch screen this would open the keyboard over the page.
if (window.matchMedia('(hover: hover)').matches) input.focus();
follow();
