// Messages as blocks for the model: files saved in <workspace>/inbox, images shown, texts as XML. Knows nothing about tools.
import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../src/core/clock.js';
import { describeError } from '../../../src/core/errors.js';
import { inboxName, type PromptMedia, type PromptMessage } from '../../../src/wire.js';
import type { RunContext } from './context.js';
import { checkImage } from './image.js';
import { readStart } from './plain-file.js';
import { type Attachment, messagesXml, type ShownMessage } from './prompt.js';
import { type Block, type ImageBlock, textBlock, toMessages } from './records.js';
import { endedJobs } from './shell.js';

// Above 20 images the API allows only 2,000 px a side, for the old ones as well; a request may have 32 MB in all.
const MAX_IMAGES = 20;
const MAX_IMAGE_CHARS = 20_000_000;
/** Of files that were sent: none is larger. */
const MAX_IMAGE_BYTES = 20 * 1024 * 1024;

async function save({ host, paths }: RunContext, messageId: number, media: PromptMedia): Promise<string> {
  const inbox = path.join(paths.workspace, 'inbox');
  const file = path.join(inbox, inboxName(messageId, media.index, media.fileName));
  if (fs.lstatSync(file, { throwIfNoEntry: false })?.isFile()) return file;
  const bytes = await host.media(messageId, media.index);
  fs.mkdirSync(inbox, { recursive: true });
  // Renamed when it is whole, so that a second attempt never finds half a file. What stands there may be a pipe, which nobody reads.
  fs.rmSync(`${file}.part`, { force: true, recursive: true });
  fs.writeFileSync(`${file}.part`, bytes, { flag: 'wx' });
  fs.renameSync(`${file}.part`, file);
  return file;
}

/** The images that the next model call would have, also those in results of tools. */
export function imagesOf({ session, run }: Pick<RunContext, 'session' | 'run'>): ImageBlock[] {
  // The calls of the last reply have their results only when something follows it.
  const next = { kind: 'user' as const, origin: 'continue' as const, messageIds: [], content: [] };
  const records = [...session.records, { seq: 0, ts: 0, runId: run.id, ...next }];
  const blocks = toMessages(records, run).flatMap(({ content }) => content);
  return blocks.flatMap((part) => {
    if (part.type === 'image') return [part];
    const inner = part.type === 'tool_result' && Array.isArray(part.content) ? part.content : [];
    return inner.filter((one) => one.type === 'image');
  });
}

/** The picture for the model, beside the `images` that it sees already, or why not. */
export function imageBlock(bytes: Buffer, images: ImageBlock[]): { block?: ImageBlock; why?: string | undefined } {
  const { type, why } = checkImage(bytes);
  if (!type) return { why };
  const data = bytes.toString('base64');
  const full = images.length >= MAX_IMAGES || JSON.stringify(images).length + data.length > MAX_IMAGE_CHARS;
  if (full) return { why: 'not shown: too many images in this conversation' };
  return { block: { type: 'image', source: { type: 'base64', media_type: type, data } } };
}

/** Adds the file to `images`, or returns why not. */
function show(file: string, images: ImageBlock[]): string | undefined {
  const { block, why } = imageBlock(readStart(file, MAX_IMAGE_BYTES), images);
  if (block) images.push(block);
  return why;
}

/** By their names: what the tool `read` shows as text, what it cannot. */
const READ = /\.(pdf|docx|docm|dotx|xlsx|xlsm|pptx|pptm|ppsx|odt|ods|odp|epub|csv|tsv|txt|md|json|xml|html?)$/i;
const UNREAD = /\.(doc|xlsb?|ppt|pps|rtf|pages|numbers|key|mobi|azw3?|djvu?)$/i;
const UNHEARD = {
  voice: 'no transcript: no program that hears is installed; the owner can add one: skill /add-voice',
  audio: 'no transcript: only voice messages get one, where the owner applied the skill /add-voice',
};

/** What can be done with a file that is no picture. */
function adviceFor({ kind, fileName, note, transcript }: PromptMedia): string | undefined {
  if (note !== undefined || transcript) return note;
  if (kind === 'voice' || kind === 'audio') return UNHEARD[kind];
  if (READ.test(fileName)) return 'the tool `read` with this path shows it as text';
  return UNREAD.test(fileName) ? 'cannot be read here: ask for it as .docx, .xlsx, .pptx or PDF' : undefined;
}

/** What the model is told of a file; a failure is a note, never an error. An image is added to `images`. */
async function attach(context: RunContext, id: number, media: PromptMedia, images: ImageBlock[]): Promise<Attachment> {
  const { kind, mimeType, error, transcript } = media;
  try {
    if (error !== undefined) throw new Error(error);
    const file = await save(context, id, media);
    const isImage = kind === 'image' || mimeType.startsWith('image/');
    if (isImage) return { kind, path: file, note: show(file, images) };
    const about = kind === 'document' ? { type: mimeType, size: `${media.sizeBytes} bytes` } : {};
    return { kind, path: file, ...about, note: adviceFor(media), ...(transcript && { transcript }) };
  } catch (fault) {
    return { kind, note: `could not be fetched: ${describeError(fault)}` };
  }
}

/** The messages as blocks, with news about background jobs before them. */
export async function present(context: RunContext, messages: PromptMessage[]): Promise<Block[]> {
  const images = imagesOf(context);
  const before = images.length;
  const shown: ShownMessage[] = [];
  for (const message of messages) {
    const media: Attachment[] = [];
    for (const item of message.media) media.push(await attach(context, message.id, item, images));
    shown.push({ ...message, media });
  }
  const xml = messagesXml(context.run, shown, systemClock.now());
  return [...[...endedJobs(context), xml].map(textBlock), ...images.slice(before)];
}
