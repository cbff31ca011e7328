// Files of a message: pictures and sounds are shown, all others are offered. Their bytes come with the token, so no address of them works by
// itself; what is no picture and no sound is never opened, only saved.
import { buttonOf, element } from './elements.js';
import { request } from './session.js';
import texts from './texts.js';

/** What a browser shows without running anything in it. */
const PICTURES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];
/** More is fetched when somebody asks for it. */
const AT_ONCE_BYTES = 5_000_000;

const isPicture = ({ mimeType }) => PICTURES.includes(mimeType);
const isSound = ({ mimeType }) => /^audio\/[\w.+-]+$/.test(mimeType);

export function attachmentsOf(messageId, files) {
  const list = element('div', 'files');
  for (const [index, file] of files.entries()) list.append(attachmentOf(`/api/chat/files/${messageId}/${index}`, file));
  return list;
}

function attachmentOf(path, file) {
  const item = element('div', 'file');
  const load = async () => {
    const answer = await request(path).catch(() => undefined);
    if (!answer?.ok) return undefined;
    const type = isPicture(file) || isSound(file) ? file.mimeType : 'application/octet-stream';
    return URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type }));
  };
  const save = buttonOf(`${file.fileName} (${sizeText(file.sizeBytes)})`, async () => {
    const url = await load();
    if (!url) return item.append(element('span', 'gone', texts.fileGone));
    Object.assign(element('a', ''), { href: url, download: file.fileName }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  });
  save.type = 'button';
  save.ariaLabel = `${texts.save} ${file.fileName}`;
  item.append(save);
  if (!isPicture(file) && !isSound(file)) return item;
  if (file.sizeBytes <= AT_ONCE_BYTES) show(item, file, load);
  else item.append(showButton(item, file, load));
  return item;
}

function showButton(item, file, load) {
  const text = isSound(file) ? texts.play : texts.show;
  const button = buttonOf(text, async () => {
    button.remove();
    (await show(item, file, load))?.focus();
  });
  button.ariaLabel = `${text} ${file.fileName}`;
  return button;
}

async function show(item, file, load) {
  const url = await load();
  if (!url) return undefined;
  const shown = isPicture(file)
    ? Object.assign(element('img', ''), { alt: file.fileName })
    : Object.assign(element('audio', ''), { controls: true, ariaLabel: file.fileName });
  shown.src = url;
  item.prepend(shown);
  return shown;
}

const sizeText = (bytes) =>
  bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
