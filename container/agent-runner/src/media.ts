// Media of messages: bytes from the host into <workspace>/inbox, and images as blocks for the model. Knows nothing about tools.
import fs from 'node:fs/promises';
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

export interface FetchedMedia {
  attachments: Attachment[];
  images: Block[];
}

function savedName(messageId: number, media: PromptMedia): string {
  const name = path.basename(media.fileName).replace(/[^\p{L}\p{N}._ -]/gu, '_');
  return `${messageId}-${media.index}-${name.slice(-100)}`;
}

async function save(options: { host: Host; inbox: string }, messageId: number, media: PromptMedia): Promise<string> {
  const file = path.join(options.inbox, savedName(messageId, media));
  const exists = await fs.stat(file).then(
    () => true,
    () => false,
  );
  if (exists) return file;
  const bytes = await options.host.media(messageId, media.index);
  await fs.mkdir(options.inbox, { recursive: true });
  // Renamed into place: a second attempt never finds half a file.
  await fs.writeFile(`${file}.part`, bytes);
  await fs.rename(`${file}.part`, file);
  return file;
}

function imagesIn(records: readonly HistoryRecord[]): Block[] {
  const start = records.findLastIndex((r) => r.kind === 'compact');
  const shown = records.slice(Math.max(0, start));
  return shown.flatMap((r) => (r.kind === 'user' || r.kind === 'compact' ? r.content : [])).filter(isImage);
}

const isImage = (block: Block) => block.type === 'image';

function hasRoom(images: Block[], bytes: number): boolean {
  const chars = images.reduce((sum, image) => sum + JSON.stringify(image).length, 0);
  return images.length < MAX_IMAGES && chars + (bytes * 4) / 3 <= MAX_IMAGE_CHARS;
}

/** Saves all media of the messages; a file that cannot be had becomes a note, never an error. Safe to repeat. */
export async function fetchMedia(
  options: { host: Host; inbox: string; records: readonly HistoryRecord[] },
  messages: PromptMessage[],
): Promise<FetchedMedia> {
  const shown = imagesIn(options.records);
  const before = shown.length;
  const attachments: Attachment[] = [];
  for (const { message, media } of messages.flatMap((m) => m.media.map((media) => ({ message: m, media })))) {
    const item: Attachment = { messageId: message.id, kind: media.kind };
    attachments.push(item);
    if (media.error !== undefined) item.note = media.error;
    else {
      try {
        item.path = await save(options, message.id, media);
        if (media.kind !== 'image' && !media.mimeType.startsWith('image/')) continue;
        const bytes = await fs.readFile(item.path);
        const check = checkImage(bytes);
        if (!check.ok) item.note = check.why;
        else if (!hasRoom(shown, bytes.length)) item.note = 'not shown: too many images in this conversation';
        else {
          const source = { type: 'base64', media_type: check.type, data: bytes.toString('base64') } as const;
          shown.push({ type: 'image', source });
        }
      } catch (error) {
        item.note = `could not be fetched: ${describeError(error)}`;
      }
    }
  }
  return { attachments, images: shown.slice(before) };
}
