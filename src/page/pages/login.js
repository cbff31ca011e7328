// Signs in with a pasted link, or with the token alone.
import { signInWith } from './session.js';
import texts from './texts.js';

document.getElementById('sign-in').addEventListener('submit', async (event) => {
  event.preventDefault();
  const [token] = /[\w-]+$/.exec(document.getElementById('link').value.trim()) ?? [''];
  if (await signInWith(token)) location.replace('/');
  else document.getElementById('problem').textContent = texts.wrongLink;
});
