// Media of messages: bytes from the host into <workspace>/inbox, and images as blocks for the model. Knows nothing about tools.
import fs from 'node:fs';
import path from 'node:path';
import { describeError } from '../../../src/errors.js';
import type { PromptMedia, PromptMessage } from '../../../src/wire.js';
import type { Host } from './host.js';
import { checkImage } from './image.js';
import type { Attachment } from './prompt.js';
import type { Block, HistoryRecord } from './records.js';

// Above 20 images the API allows only 2,000 px a side, for the old ones as well; a request may have 32 MB in all.
const MAX_IMAGES = 20;
const MAX_IMAGE_CHARS = 20_000_000;

type Files = { host: Host; inbox: string };

async function save({ host, inbox }: Files, messageId: number, media: PromptMedia): Promise<string> {
  const name = path.basename(media.fileName).replace(/[^\p{L}\p{N}._ -]/gu, '_');
  const file = path.join(inbox, `${messageId}-${media.index}-${name.slice(-100)}`);
  if (fs.existsSync(file)) return file;
  const bytes = await host.media(messageId, media.index);
  fs.mkdirSync(inbox, { recursive: true });
  // Renamed into place: a second attempt never finds half a file.
  fs.writeFileSync(`${file}.part`, bytes);
  fs.renameSync(`${file}.part`, file);
  return file;
}

/** The file as an image block, or why the model is not shown it. */
function toImage(file: string, shown: Block[]): Block | string {
  if (fs.statSync(file).size > 6_000_000) return 'not shown: larger than 5 MB';
  const bytes = fs.readFileSync(file);
  const check = checkImage(bytes);
  if (!check.ok) return check.why;
  const data = bytes.toString('base64');
  const chars = shown.reduce((sum, image) => sum + JSON.stringify(image).length, data.length);
  if (shown.length >= MAX_IMAGES || chars > MAX_IMAGE_CHARS) return 'not shown: too many images in this conversation';
  return { type: 'image', source: { type: 'base64', media_type: check.type, data } };
}

/** Saves all media of the messages; a file that cannot be had becomes a note, never an error. Safe to repeat. */
export async function fetchMedia(files: Files & { records: readonly HistoryRecord[] }, messages: PromptMessage[]) {
  const current = files.records.slice(
    Math.max(
      0,
      files.records.findLastIndex((r) => r.kind === 'compact'),
    ),
  );
  const shown = current.flatMap((r) => (r.kind === 'user' ? r.content : [])).filter((block) => block.type === 'image');
  const images: Block[] = [];
  const attachments: Attachment[] = [];
  for (const { id, media } of messages.flatMap((m) => m.media.map((media) => ({ id: m.id, media })))) {
    const item: Attachment = { messageId: id, kind: media.kind };
    attachments.push(item);
    try {
      if (media.error !== undefined) throw new Error(media.error);
      item.path = await save(files, id, media);
      if (media.kind !== 'image' && !media.mimeType.startsWith('image/')) continue;
      const image = toImage(item.path, [...shown, ...images]);
      if (typeof image === 'string') item.note = image;
      else images.push(image);
    } catch (error) {
      item.note = `could not be fetched: ${describeError(error)}`;
    }
  }
  return { attachments, images };
}
