// Who this browser is to the server: a token in the storage of this origin, which no other port and no other page can read and
// which the browser sends nowhere by itself.
import texts from './texts.js';

const SESSION = 'pinch.session';

const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** Makes the token of the printed link this browser's session, and takes it out of the address bar. */
export async function signIn() {
  // In a tab that is open already, the link changes nothing but the part behind the #.
  window.addEventListener('hashchange', () => linkToken() && location.reload());
  const token = linkToken();
  if (!token) return;
  await signInWith(token);
  history.replaceState(null, '', location.pathname);
}

/** Whether it opened a session. A wrong token signs nobody out: what was there before still counts. */
export async function signInWith(token) {
  const answer = await fetch('/api/session', { method: 'POST', headers: bearer(token) }).catch(() => undefined);
  if (answer?.ok) localStorage.setItem(SESSION, (await answer.json()).token);
  return answer?.ok === true;
}

const linkToken = () => /^#token=([\w-]+)$/.exec(location.hash)?.[1];

/** `fetch` as this browser's session. When the server does not know it: over to the page that tells how to sign in. */
export async function request(path, { headers, ...options } = {}) {
  const answer = await fetch(path, { ...options, headers: { ...headers, ...bearer(localStorage.getItem(SESSION)) } });
  if (answer.status !== 401) return answer;
  location.replace('/login.html');
  // Nothing goes on here.
  return new Promise(() => undefined);
}

/** What the JSON API answers; `problem` instead, for people, when it refuses or is not there. */
export async function callApi(method, path, body) {
  const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  try {
    const answer = await (await request(path, { method, ...(body && json) })).json();
    const { message, hint } = answer.error ?? {};
    return message === undefined ? answer : { problem: hint ? `${message}: ${hint}` : message };
  } catch {
    return { problem: texts.noAnswer };
  }
}

let firstStart;

/** Whether the daemon that answers is another one than at first: its page may be newer, and after a restore it knows less than is shown. */
export function isRestarted(startedAt) {
  firstStart ??= startedAt;
  return startedAt !== firstStart;
}

/** Ends this browser's session or, at `/api/sessions`, all; what was typed and not sent does not stay behind for the next person. */
export async function logOut(path) {
  const answer = await request(path, { method: 'DELETE' }).catch(() => undefined);
  if (!answer?.ok) return;
  localStorage.clear();
  location.replace('/login.html');
}

/** The server's events as `{event, data}` until the connection breaks. An EventSource cannot say who it is. */
export async function* serverEvents(path) {
  const answer = await request(path).catch(() => undefined);
  const reader = answer?.ok ? answer.body.pipeThrough(new TextDecoderStream()).getReader() : undefined;
  let text = '';
  while (reader) {
    const { value, done } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    const blocks = (text + value).split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const lines = block.split('\n');
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field('data')) yield { event: field('event'), data: JSON.parse(field('data')) };
    }
  }
}
