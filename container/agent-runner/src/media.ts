// Messages as blocks for the model: files saved in <workspace>/inbox, images shown, texts as XML. Knows nothing about tools.
import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../src/core/clock.js';
import { describeError } from '../../../src/core/errors.js';
import { inboxName, type PromptMedia, type PromptMessage } from '../../../src/wire.js';
import type { RunContext } from './context.js';
import { fit, keepFile, shorten } from './fit.js';
import { checkImage, imageSize } from './image.js';
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
  const file = path.join(paths.workspace, 'inbox', inboxName(messageId, media.index, media.fileName));
  if (fs.lstatSync(file, { throwIfNoEntry: false })?.isFile()) return file;
  return keepFile(file, await host.media(messageId, media.index));
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

const TOO_MANY = { why: 'not shown: too many images in this conversation' };

type Shown = { block: ImageBlock; why?: string | undefined } | { block?: undefined; why?: string | undefined };

/** The picture for the model, beside the `images` that it sees already, or why not; one that is too large is made smaller, and `why` says so. */
export async function imageBlock(
  { pictures, signal }: RunContext,
  bytes: Buffer,
  images: ImageBlock[],
): Promise<Shown> {
  const { isTooLarge, ...checked } = checkImage(bytes);
  if (!isTooLarge) return fitted(bytes, checked, images);
  if (images.length >= MAX_IMAGES) return TOO_MANY;
  try {
    const smaller = await pictures.shrink(bytes, signal);
    const [width, height] = imageSize(bytes)?.size ?? [];
    const { block, why } = fitted(smaller, checkImage(smaller), images);
    return block ? { block, why: `shown smaller than it is: ${width}x${height} px` } : { why };
  } catch (error) {
    if (signal.aborted) throw error;
    return { why: `not shown: too large, and it could not be made smaller: ${describeError(error)}` };
  }
}

function fitted(bytes: Buffer, { type, why }: ReturnType<typeof checkImage>, images: ImageBlock[]): Shown {
  if (!type) return { why };
  const data = bytes.toString('base64');
  const full = images.length >= MAX_IMAGES || JSON.stringify(images).length + data.length > MAX_IMAGE_CHARS;
  if (full) return TOO_MANY;
  return { block: { type: 'image', source: { type: 'base64', media_type: type, data } } };
}

/** Adds the file to `images`; returns why not, or not as it is. */
async function show(context: RunContext, file: string, images: ImageBlock[]): Promise<string | undefined> {
  const { block, why } = await imageBlock(context, readStart(file, MAX_IMAGE_BYTES), images);
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
    if (isImage) return { kind, path: file, note: await show(context, file, images) };
    const about = kind === 'document' ? { type: mimeType, size: `${media.sizeBytes} bytes` } : {};
    return { kind, path: file, ...about, note: adviceFor(media), ...(transcript && { transcript }) };
  } catch (fault) {
    return { kind, note: `could not be fetched: ${describeError(fault)}` };
  }
}

/** The messages as blocks, with news about background jobs before them. */
export async function present(context: RunContext, messages: PromptMessage[]): Promise<Block[]> {
  const images = messages.some(({ media }) => media.length > 0) ? imagesOf(context) : [];
  const before = images.length;
  const shown: ShownMessage[] = [];
  for (const message of messages) {
    const media: Attachment[] = [];
    for (const item of message.media) media.push(await attach(context, message.id, item, images));
    shown.push(shorten(context.paths, { ...message, media }));
  }
  const { fitting, before: said } = fit(context, shown);
  const xml = messagesXml(context.run, fitting, systemClock.now(), said);
  return [...[...endedJobs(context), xml].map(textBlock), ...images.slice(before)];
}
