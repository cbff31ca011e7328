// The chat page: follows the conversation and the status live, sends what is typed. messages.js shows, unsent.js keeps.
import { createApprovals } from './approvals.js';
import { $, createConversation, element } from './messages.js';
import { isRestarted, logOut, request, serverEvents, signIn } from './session.js';
import { addSites } from './sites.js';
import { createUnsent } from './unsent.js';

const RETRY_MS = 1_000;
const DRAFT = 'pinch.draft';
const parkedTexts = {
  auth: 'The model provider refused the key. Correct it in .env; your messages wait and go on within two minutes.',
  billing: 'The model provider asks for money. See to your account there; your messages wait.',
  budget: 'A budget is used up. Messages wait until it begins anew or until you raise it: write /budget.',
};

const needsPerson = ['blocked', 'unlinked', 'logged-out', 'expired-version'];

await signIn();

const input = $('text');
const conversation = createConversation(press);
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
const approvals = createApprovals();
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
  input.placeholder = `Message ${assistantName}`;
  setText('name', assistantName);
  setText('model', demo ? 'demo model' : model);
  $('channels').replaceChildren(...channels.map(channelItem));
  $('offline').hidden = true;
  $('demo').hidden = !demo;
  $('stopped').hidden = !status.stopped;
  $('linking').replaceChildren(...channels.filter((channel) => channel.link).map(linkItem));
  setText('problems', problemsOf(status).join('\n'));
  setText('working-text', chat.working > 0 ? `${assistantName} is working…` : 'Waiting to start…');
  $('working').hidden = chat.working + chat.waiting === 0;
  approvals.changed(status.approvals);
  dropUsedButtons(JSON.stringify(status.approvals));
  $('conversation').removeAttribute('aria-busy');
}

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
  if (qrImage) Object.assign(item.appendChild(element('img')), { src: qrImage, alt: `QR code for ${name}` });
  item.append(element('figcaption', '', `${name}: ${detail}`));
  return item;
}

/** What keeps messages from being answered and needs a person. */
function problemsOf({ engine, outage, groups, channels }) {
  const parked = groups.filter((group) => group.parked);
  const blocked = channels.filter(({ state }) => needsPerson.includes(state));
  return [
    ...(engine.state === 'down'
      ? [`Docker is not available, messages wait (${engine.detail.replace(/^Docker does not answer: /, '')})`]
      : []),
    ...(outage
      ? [`No answer from the model at ${outage.server}: ${outage.why}. Messages wait and go on by themselves.`]
      : []),
    ...parked.map((group) => parkedTexts[group.parked] ?? `Group ${group.folder} waits: ${group.parked}`),
    ...blocked.map((channel) => `${channel.name}: ${channel.detail}`),
  ];
}

/** Writing the same text once more would make a screen reader say it once more. */
function setText(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function setInput(value) {
  input.value = value;
  localStorage.setItem(DRAFT, value);
  $('send').disabled = value.trim() === '';
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
  if (input.value.trim() === '') return;
  unsent.add(input.value);
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

addSites();
setInput(localStorage.getItem(DRAFT) ?? '');
// On a touch screen this would open the keyboard over the page.
if (window.matchMedia('(hover: hover)').matches) input.focus();
follow();
