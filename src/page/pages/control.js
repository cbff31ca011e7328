// Every page of the control room: fetches its content, keeps it as it is at the server, and sends what is pressed. Only HTML made by our own
// server is put in; everything in it that came from outside is text there.
import { morph } from './morph.js';
import { callApi, isRestarted, logOut, request, serverEvents, signIn } from './session.js';
import texts from './texts.js';

const RETRY_MS = 1_000;
const SAID_MS = 6_000;
const $ = (id) => document.getElementById(id);
const main = $('main');

await signIn();

/** How the last load went out; an older answer that comes late must not undo a newer one. */
let asked = 0;
let shown = 0;

async function load() {
  asked += 1;
  const turn = asked;
  const answer = await request(`/api/view${location.pathname}${location.search}`).catch(() => undefined);
  if (!answer || turn < shown) return;
  shown = turn;
  if (answer.ok) {
    const made = document.createElement('main');
    made.innerHTML = await answer.text();
    morph(main, made);
    performance.mark('shown');
    document.title = `${main.querySelector('.view').dataset.title} · Pinch`;
  } else {
    const { error } = await answer.json().catch(() => ({}));
    say(`${texts.loadFailed} ${error?.message ?? answer.status}`, true);
  }
  main.removeAttribute('aria-busy');
}

let unsay;

/** A problem stays until something else is said. */
function say(text, isProblem = false) {
  clearTimeout(unsay);
  if (!isProblem) unsay = setTimeout(() => say('', true), SAID_MS);
  $('said').textContent = text;
  $('said').classList.toggle('problem', isProblem);
}

/** The value of one field as the API takes it; undefined for what is not sent. */
function sentOf(field) {
  const text = field.value.trim();
  if (field.dataset.as === 'flag') return field.checked || undefined;
  if (field.dataset.as === 'list')
    return text
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
  if (text === '') return field.dataset.orNull ? null : undefined;
  if (field.dataset.as === 'numbers') return text.split(/[\s,]+/).map(Number);
  return field.dataset.as === 'number' ? Number(text.replace(',', '.')) : field.value;
}

function bodyOf(form) {
  const fields = [...form.elements].filter(({ name }) => name).map((field) => [field.name, sentOf(field)]);
  const given = fields.filter(([, value]) => value !== undefined);
  return { ...JSON.parse(form.dataset.body ?? '{}'), ...Object.fromEntries(given) };
}

async function send(form) {
  const button = form.querySelector('button[type=submit]');
  const [method, path] = form.dataset.call.split(' ');
  button.disabled = true;
  const answer = await callApi(method, path, method === 'DELETE' ? undefined : bodyOf(form));
  button.disabled = false;
  // Of a service that was tried.
  const tried = typeof answer.status === 'number' ? `${texts.answered} ${answer.status}` : undefined;
  say(answer.problem ?? answer.text ?? tried ?? texts.done, Boolean(answer.problem));
  if (answer.problem) return;
  const place = form.dataset.go?.replace(/\{([\w.]+)\}/g, (_, names) =>
    names.split('.').reduce((of, name) => of?.[name], answer),
  );
  if (place) return location.assign(place);
  form.reset();
  await load();
  // What was pressed may be gone: whoever presses Enter twice must not press what came in its place.
  if (!document.body.contains(button) || document.activeElement === document.body) main.querySelector('h1').focus();
}

document.addEventListener('submit', (event) => {
  const form = event.target;
  event.preventDefault();
  if (form.dataset.filter) {
    const given = [...form.elements].filter(({ name, value }) => name && value !== '');
    location.search = new URLSearchParams(given.map(({ name, value }) => [name, value]));
  } else if (!form.dataset.confirm || confirm(form.dataset.confirm)) send(form);
});
document.addEventListener('click', ({ target }) => {
  const path = target.dataset?.logOut;
  if (path && (!target.dataset.confirm || confirm(target.dataset.confirm))) logOut(path);
});
// What somebody changed and has not sent must not be taken away by what comes from the server.
document.addEventListener('input', ({ target }) => morph.keep(target));
document.addEventListener('reset', ({ target }) => {
  for (const field of target.elements) morph.release(field);
});
$('resume').addEventListener('click', () => callApi('POST', '/api/resume'));

async function follow() {
  for await (const { event, data } of serverEvents('/api/stream')) {
    if (event === 'state') showState(data);
    else if (data.some((topic) => main.querySelector('.view')?.dataset.topics.split(' ').includes(topic))) load();
  }
  $('offline').hidden = false;
  setTimeout(follow, RETRY_MS);
}

let approvals = Number.POSITIVE_INFINITY;

function showState({ startedAt, stopped, approvals: open }) {
  // Another process: its page may be newer.
  if (isRestarted(startedAt)) location.reload();
  if (!$('offline').hidden) load();
  $('offline').hidden = true;
  $('stopped').hidden = !stopped;
  $('nav-approvals').textContent = open || '';
  if (open > approvals) say(`${texts.approvalsWaiting} ${open}`);
  approvals = open;
}

// A strip that is wider than a phone begins with where one is.
document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
await load();
follow();
