// Files of the web chat over HTTP: what is attached comes in, and what either side sent can be had again. They are handed out as bytes that no
// browser takes for a page; the chat's script knows what it may show.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Hono } from 'hono';
import { z } from 'zod';
import { ChannelError, type InboundMedia } from '../channels/channel.js';
import { safeFileName } from '../channels/file-name.js';
import { createWebFiles, isAttachmentRef, MAX_ATTACHED_BYTES } from '../channels/web-files.js';
import { channelFolder } from '../core/config.js';
import { parse, refuse } from '../core/http.js';
import type { StoredMessage } from '../core/types.js';
import { WEB_CHAT } from '../groups/web-chat.js';
import type { PageDeps } from './deps.js';

export const UPLOAD_PATH = '/api/chat/files';

const NO_TYPE = 'application/octet-stream';
const TYPE = /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/;
/** As the page names them when it sends a message with them. */
export const attachment = z.object({
  ref: z.string().refine(isAttachmentRef),
  fileName: z.string().min(1).max(500),
  // Without its parameters: a recorder says `audio/ogg; codecs=opus`.
  mimeType: z
    .string()
    .transform((type) => type.split(';', 1)[0]?.trim() ?? '')
    .pipe(z.string().regex(TYPE))
    .catch(NO_TYPE),
  sizeBytes: z.int().nonnegative().catch(0),
});

/** What the page shows and plays, by the ending of its name. */
const SHOWN: Record<string, string> = {
  ...{ png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp' },
  ...{ mp3: 'audio/mpeg', m4a: 'audio/mp4', aac: 'audio/aac', wav: 'audio/wav', flac: 'audio/flac' },
  ...{ ogg: 'audio/ogg', oga: 'audio/ogg', opus: 'audio/ogg', weba: 'audio/webm' },
};

/** Where nobody knew the kind of a file, its name says it. */
const typeOf = (fileName: string, mimeType: string): string =>
  (mimeType === NO_TYPE ? SHOWN[fileName.split('.').at(-1)?.toLowerCase() ?? ''] : undefined) ?? mimeType;

export const mediaOf = (files: z.infer<typeof attachment>[]): InboundMedia[] =>
  files.map((file) => {
    const fileName = safeFileName(file.fileName);
    const mimeType = typeOf(fileName, file.mimeType);
    return { ...file, fileName, mimeType, kind: kindOf(mimeType) };
  });

function kindOf(mimeType: string): InboundMedia['kind'] {
  if (/^image\/(png|jpeg|gif|webp)$/.test(mimeType)) return 'image';
  const [kind] = mimeType.split('/');
  return kind === 'audio' || kind === 'video' ? kind : 'document';
}

/** What there is to show of a message's files. */
export function filesOf({ store }: PageDeps, message: StoredMessage) {
  const sent = message.direction === 'out' && message.outboxId !== null ? store.outbox.fileOf(message.outboxId) : null;
  const files = sent ? [{ ...sent, sizeBytes: sent.bytes }] : message.media;
  return files.map(({ fileName: name, mimeType, sizeBytes }) => {
    const fileName = safeFileName(name);
    return { fileName, mimeType: typeOf(fileName, mimeType), sizeBytes };
  });
}

export function addFiles(app: Hono, { store, config }: PageDeps): void {
  const files = createWebFiles(channelFolder(config, WEB_CHAT.channel));
  app.post(UPLOAD_PATH, async (c) => {
    const { body } = c.req.raw;
    if (!body) throw refuse(400, 'bad_request', 'the file is empty');
    try {
      return c.json(await files.keep(Readable.fromWeb(body)), 201);
    } catch (error) {
      if (error instanceof ChannelError) throw refuse(413, 'too_large', `the file is ${error.message}`);
      throw error;
    }
  });
  const pathOf = (message: StoredMessage, index: number): string | undefined => {
    if (message.direction === 'in') {
      const ref = message.media[index]?.ref;
      return ref === undefined ? undefined : files.attached(ref);
    }
    return message.outboxId === null ? undefined : files.sent(message.outboxId);
  };
  app.get(`${UPLOAD_PATH}/:message/:index`, async (c) => {
    const params = z.object({ message: z.coerce.number().int(), index: z.coerce.number().int() });
    const { message: id, index } = parse(params, c.req.param());
    const chat = store.groups.chatByAddress(WEB_CHAT.channel, WEB_CHAT.address);
    const message = store.messages.get(id);
    const path = message?.chatId === chat?.id && message ? pathOf(message, index) : undefined;
    const size = path === undefined ? undefined : (await stat(path).catch(() => undefined))?.size;
    if (path === undefined || size === undefined) throw refuse(404, 'not_found', 'this file is not kept any more');
    const part = partOf(c.req.header('range'), size);
    const { start, end } = part ?? { start: 0, end: size - 1 };
    const headers = { 'accept-ranges': 'bytes', 'content-type': NO_TYPE, 'content-disposition': 'attachment' };
    if (start > end && part) return c.body(null, 416, { ...headers, 'content-range': `bytes */${size}` });
    const range = part && { 'content-range': `bytes ${start}-${end}/${size}` };
    const bytes = Readable.toWeb(createReadStream(path, part));
    const length = { 'content-length': String(end - start + 1) };
    return new Response(bytes, { status: part ? 206 : 200, headers: { ...headers, ...length, ...range } });
  });
}

/** What a player that jumps asks for, first and last byte; undefined for all of it. Several parts at once nobody needs. */
function partOf(range: string | undefined, size: number): { start: number; end: number } | undefined {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range ?? '') ?? [];
  if (from === '') return to === '' ? undefined : { start: Math.max(0, size - Number(to)), end: size - 1 };
  return { start: Number(from), end: to === '' ? size - 1 : Math.min(Number(to), size - 1) };
}

/** For the form of the page. */
export const limits = { bytes: MAX_ATTACHED_BYTES, files: 10 };
