// The Bot API methods that put something into a chat: messages, photos, documents, edits. Knows nothing about HTTP.
import { z } from 'zod';
import { type EntityKind, finishText, type ParsedText, type Range } from './telegram-entities.js';
import { parseHtml } from './telegram-html.js';
import {
  ApiError,
  badRequest,
  booleanField,
  type CallParams,
  integerField,
  isRecord,
  jsonField,
  type UploadedFile,
} from './telegram-params.js';
import { type BotState, checkRate, type SentMessage } from './telegram-state.js';
import { readTopic } from './telegram-topics.js';
import {
  asReplied,
  type ChatRoom,
  type FakeMessage,
  type MessageContent,
  type StoredFile,
  unixNow,
} from './telegram-world.js';

const MAX_TEXT = 4096;
const MAX_CAPTION = 1024;
const MAX_RAW_BYTES = 35_000;
const MAX_UPLOAD_BYTES = 50 * 1024 * 1024;
const MAX_PHOTO_BYTES = 10 * 1024 * 1024;

export function sendMessage(state: BotState, params: CallParams): FakeMessage {
  const room = state.world.findWritableRoom(params.fields.get('chat_id'));
  const parsed = readMessageText(params);
  const content = { text: parsed.text, ...(parsed.entities.length > 0 && { entities: parsed.entities }) };
  return deliver(state, room, params, { method: 'sendMessage', parsed, content, file: undefined });
}

export function sendPhoto(state: BotState, params: CallParams): FakeMessage {
  const room = state.world.findWritableRoom(params.fields.get('chat_id'));
  const parsed = readCaption(params);
  const { stored, file } = readUpload(state, params, 'photo');
  if (file && !isImage(file.bytes)) throw badRequest('IMAGE_PROCESS_FAILED');
  if (file && file.bytes.length > MAX_PHOTO_BYTES) throw badRequest('file is too big');
  const size = {
    file_id: stored.id,
    file_unique_id: stored.uniqueId,
    file_size: stored.sizeBytes,
    width: 640,
    height: 480,
  };
  return deliver(state, room, params, {
    method: 'sendPhoto',
    parsed,
    content: { ...captionOf(parsed), photo: [size] },
    file,
  });
}

export function sendDocument(state: BotState, params: CallParams): FakeMessage {
  const room = state.world.findWritableRoom(params.fields.get('chat_id'));
  const parsed = readCaption(params);
  const { stored, file } = readUpload(state, params, 'document');
  const document = {
    file_id: stored.id,
    file_unique_id: stored.uniqueId,
    file_size: stored.sizeBytes,
    ...(file && { file_name: file.fileName, mime_type: file.mimeType }),
  };
  return deliver(state, room, params, {
    method: 'sendDocument',
    parsed,
    content: { ...captionOf(parsed), document },
    file,
  });
}

export function editMessageText(state: BotState, params: CallParams): FakeMessage {
  const room = state.world.findWritableRoom(params.fields.get('chat_id'));
  const messageId = integerField(params, 'message_id', 0);
  const message = room.messages.get(messageId);
  if (!message) throw badRequest('message to edit not found');
  if (message.from.id !== state.me.id || message.text === undefined) throw badRequest("message can't be edited");
  const parsed = readMessageText(params);
  const markup = readKeyboard(params);
  const isSame =
    JSON.stringify([parsed.text, parsed.entities, markup]) ===
    JSON.stringify([message.text, message.entities ?? [], message.reply_markup]);
  if (isSame) {
    throw badRequest(
      'message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message',
    );
  }
  // Buttons that are not named again are gone.
  const { entities: _old, reply_markup: _buttons, ...kept } = message;
  const edited: FakeMessage = {
    ...kept,
    text: parsed.text,
    edit_date: unixNow(),
    ...(markup && { reply_markup: markup }),
    ...(parsed.entities.length > 0 && { entities: parsed.entities }),
  };
  room.messages.set(messageId, edited);
  record(state, params, { method: 'editMessageText', parsed, message: edited, file: undefined });
  return edited;
}

/** A bot deletes what it wrote, for two days. */
export function deleteMessage(state: BotState, params: CallParams): boolean {
  const room = state.world.findWritableRoom(params.fields.get('chat_id'));
  const messageId = integerField(params, 'message_id', 0);
  const message = room.messages.get(messageId);
  if (!message) throw badRequest('message to delete not found');
  if (message.from.id !== state.me.id || unixNow() - message.date > 48 * 3600)
    throw badRequest("message can't be deleted for everyone");
  room.messages.delete(messageId);
  state.deleted.push({ chat_id: room.chat.id, message_id: messageId });
  state.waiters.notify();
  return true;
}

export function editMessageReplyMarkup(state: BotState, params: CallParams): FakeMessage {
  const room = state.world.findWritableRoom(params.fields.get('chat_id'));
  const message = room.messages.get(integerField(params, 'message_id', 0));
  if (!message) throw badRequest('message to edit not found');
  if (message.from.id !== state.me.id) throw badRequest("message can't be edited");
  const markup = readKeyboard(params);
  if (JSON.stringify(markup) === JSON.stringify(message.reply_markup)) {
    throw badRequest(
      'message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message',
    );
  }
  const { reply_markup: _old, ...kept } = message;
  const edited: FakeMessage = { ...kept, ...(markup && { reply_markup: markup }) };
  room.messages.set(message.message_id, edited);
  state.waiters.notify();
  return edited;
}

const keyboardSchema = z.object({
  inline_keyboard: z.array(z.array(z.object({ text: z.string(), callback_data: z.string() }))),
});

/** Buttons with data, the only ones that Pinch makes. An empty keyboard is none. */
function readKeyboard(params: CallParams) {
  const given = jsonField(params, 'reply_markup', 'reply keyboard markup');
  if (given === undefined) return undefined;
  const parsed = keyboardSchema.safeParse(given);
  if (!parsed.success) throw badRequest("can't parse inline keyboard button");
  for (const { text, callback_data: data } of parsed.data.inline_keyboard.flat()) {
    if (text.trim() === '') throw badRequest('text buttons are unallowed in the inline keyboard');
    if (data === '' || Buffer.byteLength(data) > 64) throw badRequest('BUTTON_DATA_INVALID');
  }
  return parsed.data.inline_keyboard.length > 0 ? parsed.data : undefined;
}

interface Outgoing {
  method: SentMessage['method'];
  parsed: ParsedText;
  content: MessageContent;
  file: UploadedFile | undefined;
}

function deliver(state: BotState, room: ChatRoom, params: CallParams, out: Outgoing): FakeMessage {
  const topic = readTopic(room, params);
  const reply = readReply(params, room);
  const markup = readKeyboard(params);
  checkRate(state, room.chat.id);
  const content = {
    ...out.content,
    ...topic,
    ...(reply && { reply_to_message: reply }),
    ...(markup && { reply_markup: markup }),
  };
  const message = state.world.addMessage(room, state.world.bot, content);
  record(state, params, { method: out.method, parsed: out.parsed, message, file: out.file });
  return message;
}

interface Accepted {
  method: SentMessage['method'];
  parsed: ParsedText;
  message: FakeMessage;
  file: UploadedFile | undefined;
}

function record(state: BotState, params: CallParams, { method, parsed, message, file }: Accepted): void {
  const isSilent = booleanField(params, 'disable_notification') || state.silent.some((sent) => isSame(sent, message));
  (isSilent ? state.silent : state.sent).push({
    method,
    chat_id: message.chat.id,
    message_thread_id: message.is_topic_message ? message.message_thread_id : undefined,
    message_id: message.message_id,
    text: params.fields.get('text') ?? params.fields.get('caption') ?? '',
    parse_mode: params.fields.get('parse_mode'),
    plain: parsed.text,
    entities: parsed.entities,
    warnings: parsed.warnings,
    reply_to: message.reply_to_message?.message_id,
    file,
    at: Date.now(),
    message,
  });
  state.waiters.notify();
}

const isSame = (sent: SentMessage, { chat, message_id: id }: FakeMessage): boolean =>
  sent.chat_id === chat.id && sent.message_id === id;

function readMessageText(params: CallParams): ParsedText {
  if ((params.fields.get('text') ?? '') === '') throw badRequest('message text is empty');
  const parsed = readText(params, 'text', 'entities');
  if (parsed.text === '') throw badRequest('text must be non-empty');
  if (parsed.text.length > MAX_TEXT) throw badRequest('message is too long');
  return parsed;
}

function readCaption(params: CallParams): ParsedText {
  const parsed = readText(params, 'caption', 'caption_entities');
  if (parsed.text.length > MAX_CAPTION) throw badRequest('message caption is too long');
  return parsed;
}

function captionOf(parsed: ParsedText): MessageContent {
  if (parsed.text === '') return {};
  return { caption: parsed.text, ...(parsed.entities.length > 0 && { caption_entities: parsed.entities }) };
}

/** Text with its entities, from a parse mode or from a list. Throws 400 as the server does. */
function readText(params: CallParams, textField: string, entitiesField: string): ParsedText {
  // The server drops carriage returns and turns all other control characters but the line feed into spaces, tabs too.
  const raw = (params.fields.get(textField) ?? '').replaceAll('\r', '').replace(/[\0-\x09\x0b-\x1f]/g, ' ');
  // The real server cuts here, in the middle of a tag if need be.
  if (Buffer.byteLength(raw) > MAX_RAW_BYTES) throw badRequest('message is too long');
  const mode = params.fields.get('parse_mode')?.toLowerCase() ?? '';
  if (mode === 'html') return parseHtml(raw);
  // Pinch writes HTML only; the other two modes of the real server are not modelled.
  if (mode !== '' && mode !== 'none') throw badRequest('unsupported parse_mode');
  return finishText(raw, readRanges(jsonField(params, entitiesField, 'entities'), raw));
}

const RANGE_KINDS = [
  'bold',
  'italic',
  'underline',
  'strikethrough',
  'spoiler',
  'code',
  'pre',
  'text_link',
  'text_mention',
  'custom_emoji',
  'blockquote',
  'expandable_blockquote',
] as const satisfies readonly EntityKind[];
const entitySchema = z.object({
  type: z.string(),
  offset: z.number().int().min(0),
  length: z.number().int().min(1),
  url: z.string().optional(),
  language: z.string().optional(),
  custom_emoji_id: z.string().optional(),
  user: z.object({ id: z.number() }).optional(),
});

function readRanges(list: unknown, text: string): Range[] {
  if (list === undefined) return [];
  const parsed = z.array(entitySchema).safeParse(list);
  if (!parsed.success) throw badRequest("can't parse MessageEntity JSON object");
  return parsed.data.flatMap((entity) => {
    const kind = RANGE_KINDS.find((known) => known === entity.type);
    // Mentions, links and the like are found by the server itself.
    if (!kind) return [];
    if (entity.offset + entity.length > text.length) {
      throw badRequest(`entity beginning at UTF-16 offset ${entity.offset} ends after the end of the text`);
    }
    const argument = entity.url ?? entity.language ?? entity.custom_emoji_id ?? entity.user?.id.toString() ?? '';
    return [{ kind, argument, offset: entity.offset, length: entity.length }];
  });
}

function readReply(params: CallParams, room: ChatRoom): FakeMessage | undefined {
  const nested = jsonField(params, 'reply_parameters', 'reply parameters');
  if (nested !== undefined && !isRecord(nested)) throw badRequest("can't parse reply parameters JSON object");
  const id = nested ? nested.message_id : integerField(params, 'reply_to_message_id', 0);
  const isOptional = nested
    ? nested.allow_sending_without_reply === true
    : booleanField(params, 'allow_sending_without_reply');
  if (id === 0) return undefined;
  if (typeof id !== 'number' || !Number.isInteger(id)) throw badRequest("can't parse reply parameters JSON object");
  const found = room.messages.get(id);
  if (!found && !isOptional) throw badRequest('message to be replied not found');
  return found && asReplied(found);
}

/** The file a call names: an upload, `attach://name`, or the id of a known file. */
function readUpload(
  state: BotState,
  params: CallParams,
  field: string,
): { stored: StoredFile; file: UploadedFile | undefined } {
  const name = params.fields.get(field);
  const file = params.files.get(name?.startsWith('attach://') ? name.slice('attach://'.length) : field);
  if (file) {
    if (file.bytes.length === 0) throw badRequest('file must be non-empty');
    if (file.bytes.length > MAX_UPLOAD_BYTES) throw new ApiError(413, 'Request Entity Too Large');
    const extension = /\.[A-Za-z0-9]{1,8}$/.exec(file.fileName)?.[0] ?? '';
    return { stored: state.world.addFile(`${field}s`, extension, file.bytes), file };
  }
  if (name === undefined || name === '' || name.startsWith('attach://')) {
    throw badRequest(`there is no ${field} in the request`);
  }
  const stored = state.world.files.get(name);
  if (!stored) throw badRequest('wrong file identifier/HTTP URL specified');
  return { stored, file: undefined };
}

function isImage(bytes: Buffer): boolean {
  const head = bytes.toString('latin1', 0, 12);
  return (
    head.startsWith('\x89PNG') || head.startsWith('\xff\xd8\xff') || head.startsWith('GIF8') || head.slice(8) === 'WEBP'
  );
}
