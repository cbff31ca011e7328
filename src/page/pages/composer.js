// Files that go with the next message: chosen by the button, dropped on the page or pasted. Each is handed over at once, and named by the
// message that is sent with it.
import { buttonOf, element, fill } from './elements.js';
import { $ } from './messages.js';
import { request } from './session.js';
import texts from './texts.js';

const MOST_FILES = 10;

/** `changed` is told when a file came, went, or is ready. */
export function createComposerFiles(changed) {
  let files = [];

  async function add(file) {
    if (files.length >= MOST_FILES) return tellMost();
    const entry = { fileName: file.name || 'file', mimeType: file.type || 'application/octet-stream', ref: undefined };
    files.push(entry);
    const item = element('li', 'waiting', entry.fileName);
    const remove = buttonOf('×', () => {
      files = files.filter((other) => other !== entry);
      item.remove();
      changed();
    });
    remove.type = 'button';
    remove.ariaLabel = `${texts.remove} ${entry.fileName}`;
    item.append(remove);
    $('files').append(item);
    changed();
    const answer = await request('/api/chat/files', { method: 'POST', body: file }).catch(() => undefined);
    const kept = await answer?.json().catch(() => undefined);
    item.classList.remove('waiting');
    if (kept?.ref) Object.assign(entry, kept);
    else item.append(element('span', 'problem', kept?.error?.message ?? texts.noAnswer));
    changed();
  }
  function tellMost() {
    if (!$('files').querySelector('.most'))
      $('files').append(element('li', 'most', fill(texts.mostFiles, { most: MOST_FILES })));
  }
  const addAll = (list) => {
    for (const file of list) add(file);
  };

  $('attach').addEventListener('click', () => $('file').click());
  $('file').addEventListener('change', () => {
    addAll($('file').files);
    $('file').value = '';
  });
  document.addEventListener('paste', (event) => {
    const { files: pasted, types } = event.clipboardData;
    // Programs for tables and letters put a picture of the text beside it: the text is meant.
    if (pasted.length === 0 || (types.includes('text/plain') && types.includes('text/html'))) return;
    event.preventDefault();
    addAll(pasted);
  });
  document.addEventListener('dragover', (event) => {
    if (![...event.dataTransfer.types].includes('Files')) return;
    event.preventDefault();
    document.body.classList.add('dropping');
  });
  for (const name of ['dragleave', 'drop'])
    document.addEventListener(name, () => document.body.classList.remove('dropping'));
  document.addEventListener('drop', (event) => {
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    addAll(event.dataTransfer.files);
  });
  return {
    /** Nothing is still on its way, or failed to come. */
    areReady: () => files.every(({ ref }) => ref !== undefined),
    count: () => files.length,
    /** Those of the message that is sent now; the next one begins without any. */
    take() {
      const taken = files;
      files = [];
      $('files').replaceChildren();
      return taken;
    },
  };
}
