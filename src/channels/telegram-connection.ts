// Telegram's connection: long polling and sending with grammY. An update is confirmed to Telegram only after it was committed.
// What updates mean is in telegram-inbound.ts, what errors mean in telegram-errors.ts.
// grammY's types want this package's signal, not the platform's.
import { AbortController as CallAbort } from 'abort-controller';
import { Api, InputFile } from 'grammy';
import { timeLimit } from '../core/clock.js';
import { Unreadable } from '../core/set-aside.js';
import { markdownToTelegramHtml, telegramLength, telegramPlainText } from '../markdown/format.js';
import { splitMarkdown } from '../markdown/split.js';
import { type Channel, type ChannelDeps, ChannelError, type OutboundFile, type OutboundPart } from './channel.js';
import { type Connection, createConnection, storedOnDisk, storeReceived } from './connection.js';
import { readAnswer, tooLarge } from './download.js';
import { isRefusal, isTopicGone, movedTo, toChannelError } from './telegram-errors.js';
import { type BotIdentity, type Mapped, mapUpdate } from './telegram-inbound.js';
import { tellMenu } from './telegram-menu.js';
import {
  editMessage,
  findLost,
  keyboardOf,
  mannerOf,
  NO_PREVIEW,
  removeMessage,
  withMarkup,
} from './telegram-message.js';
import { nameTopic, placeOf, TYPING_IN_GENERAL } from './telegram-topics.js';

/** Text of one message after entities are parsed (https://core.telegram.org/bots/api#sendmessage). */
const MAX_MESSAGE_CHARS = 4_096;
const MAX_CAPTION_CHARS = 1_024;
/** Telegram's servers refuse about 35,000 bytes of markup: long addresses and escapes must not get there. */
const MAX_HTML_PER_CHAR = 7;
/** Reactions come only when they are asked for by name, and those in groups only to administrators. */
const UPDATES = ['message', 'edited_message', 'callback_query', 'message_reaction'] as const;
const POLL_SECONDS = 30;
/** Longer than a poll: a connection that died in silence (sleep, roaming) is noticed. */
const POLL_TIMEOUT_SECONDS = 45;
const CALL_TIMEOUT_SECONDS = 30;
const DOWNLOAD_TIMEOUT_MS = 120_000;
/** Telegram allows about 20 messages and edits a minute in a group; twice this pause leaves half of them for what has to be said. */
const EDIT_GAP_MS = 3_000;
/** A bot may edit its own messages at any time, and delete them for two days. */
const EDITABLE_MS = 40 * 3_600_000;

interface Telegram {
  deps: ChannelDeps;
  connection: Connection;
  api: Api;
  poller: Api;
  /** Where files are downloaded from; holds the token. */
  files: string;
  /** Groups with topics that wrote since the start. */
  forums: Set<number>;
  /** Ends what belongs to receiving, and what belongs to sending. */
  signals: Record<'receiving' | 'sending', CallAbort['signal']>;
}

export function createTelegram(token: string, root: string, deps: ChannelDeps): Channel {
  const connect = (timeoutSeconds: number) => new Api(token, { apiRoot: root, timeoutSeconds, sensitiveLogs: false });
  const connection = createConnection(deps, toChannelError);
  const signals = { receiving: callSignal(connection.receiving), sending: callSignal(connection.sending) };
  const telegram: Telegram = {
    ...{ deps, connection, signals, forums: new Set<number>() },
    api: connect(CALL_TIMEOUT_SECONDS),
    poller: connect(POLL_TIMEOUT_SECONDS),
    files: `${root}/file/bot${token}`,
  };
  const sending = { api: telegram.api, deps, signal: signals.sending };
  const place: Place = { bot: undefined, offset: 0, atOnce: true };
  let menus = Promise.resolve();
  return {
    start: () => connection.start((opened) => poll(telegram, place, opened)),
    stop: connection.stop,
    split: (text) => splitMarkdown(text, { limit: MAX_MESSAGE_CHARS, measure }),
    send: (part) => connection.send(async () => String((await deliver(telegram, part)).message_id)),
    // Ids of groups are negative.
    kindOf: (address) => (address.startsWith('-') ? 'group' : 'direct'),
    typing: (address) => void attempt(deps, showTyping(telegram, address)),
    edits: { silent: true, gapMs: EDIT_GAP_MS, forMs: EDITABLE_MS },
    edit: (edit) => connection.send(() => editMessage(sending, edit)),
    remove: (address, id) => connection.send(() => removeMessage(sending, placeOf(address).chat, id)),
    findLost: async (address, after) => {
      const { platformId } = await connection.send(() => findLost(sending, placeOf(address).chat, after));
      return platformId || undefined;
    },
    react: (address, { platformId: id }, emoji) =>
      connection.send(async () => {
        const reactions = emoji === '' ? [] : [{ type: 'emoji' as const, emoji }];
        await telegram.api.setMessageReaction(placeOf(address).chat, Number(id), reactions, {}, signals.sending);
        return id;
      }),
    showMenu: (menu) => {
      const { bot } = place;
      const tell = async () => bot && tellMenu({ ...telegram, bot, ...deps, signal: signals.receiving }, menu);
      // One after the other: a later menu must not be overtaken by an earlier one.
      menus = attempt(deps, menus.then(tell));
    },
    pairingLink: (code) => place.bot && `https://t.me/${place.bot.username}?start=${code}`,
    dropButtons: (address, id) =>
      connection.send(async () => {
        await telegram.api.editMessageReplyMarkup(placeOf(address).chat, Number(id), {}, signals.sending);
        return id;
      }),
    fetchMedia: (ref, maxBytes) => fetchMedia(telegram, ref, maxBytes),
  };
}

function callSignal(signal: AbortSignal): CallAbort['signal'] {
  const call = new CallAbort();
  signal.addEventListener('abort', () => call.abort());
  return call.signal;
}

function measure(part: string): number {
  const html = markdownToTelegramHtml(part);
  return Math.max(telegramLength(html), Math.ceil(html.length / MAX_HTML_PER_CHAR));
}

/** Where polling goes on after a failure. */
interface Place {
  bot: BotIdentity | undefined;
  /** The next update; asking for it confirms everything below it. */
  offset: number;
  /**
   * The first poll after a pause answers at once, so that `open` does not wait for a message. After a conflict it must not: it would
   * succeed between two polls of the other program.
   */
  atOnce: boolean;
}

async function poll(telegram: Telegram, place: Place, opened: (account: string) => void): Promise<void> {
  const { deps, connection, api, poller, signals } = telegram;
  try {
    place.bot ??= await api.getMe(signals.receiving);
    while (!connection.receiving.aborted) {
      const timeout = place.atOnce ? 0 : POLL_SECONDS;
      const updates = await poller.getUpdates(
        { offset: place.offset, timeout, limit: 100, allowed_updates: UPDATES },
        signals.receiving,
      );
      if (connection.receiving.aborted) return;
      let taken = place.offset;
      try {
        for (const update of updates) {
          receive(telegram, update, place.bot);
          // The button turns until it is told; it may have been too long ago.
          if (update.callback_query)
            void attempt(deps, api.answerCallbackQuery(update.callback_query.id, {}, signals.receiving));
          taken = update.update_id + 1;
        }
      } finally {
        // The offset of the next call acknowledges them, all at once.
        if (taken !== place.offset) await storedOnDisk(deps);
        place.offset = taken;
      }
      place.atOnce = false;
      opened(`@${place.bot.username}`);
    }
  } catch (error) {
    place.atOnce = !isRefusal(error, 409);
    // The owner gave the token to Pinch, which can only poll; what another program left behind would block that for ever.
    if (isRefusal(error, 409, 'webhook')) await attempt(deps, api.deleteWebhook({}, signals.receiving));
    throw error;
  }
}

/** For calls that nobody waits for: what Telegram thinks of them is for the log. */
async function attempt({ log }: ChannelDeps, call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => log.debug({ error: toChannelError(error).message }, 'telegram call failed'));
}

async function showTyping({ api, forums, signals }: Telegram, address: string): Promise<unknown> {
  const { chat, inTopic } = placeOf(address);
  const show = (to: Outgoing['to']) => api.sendChatAction(chat, 'typing', to, signals.receiving);
  if (!forums.has(chat) || 'message_thread_id' in inTopic) return show(inTopic);
  return show(TYPING_IN_GENERAL).catch(() => show({}));
}

/** Throws when the store refuses the message: its update must come again. One that makes no sense must not block those behind it. */
function receive({ deps, forums }: Telegram, update: Parameters<typeof mapUpdate>[0], bot: BotIdentity): void {
  const take = () => {
    const mapped = understood(update, bot);
    if (update.message?.chat.is_forum) forums.add(update.message.chat.id);
    if (mapped.kind === 'moved') deps.onChatMoved(mapped.from, mapped.to);
    if (mapped.kind !== 'message') return;
    const { message, topic } = mapped;
    deps.onMessage(topic ? nameTopic(deps.storage, message, topic) : message, { unhurried: true });
  };
  storeReceived(() => deps.takeIn(String(update.update_id), update, take));
}

function understood(update: Parameters<typeof mapUpdate>[0], bot: BotIdentity): Mapped {
  try {
    return mapUpdate(update, bot);
  } catch (error) {
    throw new Unreadable('a telegram update that is not understood', { cause: error });
  }
}

/** A part with where it goes in Telegram's words. */
type Outgoing = OutboundPart & { chat: number; to: { message_thread_id?: number } };

async function deliver(telegram: Telegram, part: OutboundPart) {
  const { chat, inTopic } = placeOf(part.address);
  const send = (to: Outgoing['to']) =>
    part.file ? sendFile(telegram, { ...part, chat, to }, part.file) : sendMessage(telegram, { ...part, chat, to });
  try {
    return await send(inTopic);
  } catch (error) {
    // In a direct chat nobody else reads along: better beside a topic that its person deleted than lost.
    if (chat > 0 && 'message_thread_id' in inTopic && isTopicGone(error)) return await send({});
    const moved = movedTo(error);
    if (moved !== undefined) telegram.deps.onChatMoved(String(chat), moved);
    throw error;
  }
}

/** A file whose caption Telegram refuses is better sent with a plain one, or before its text, than lost. */
async function sendFile(telegram: Telegram, outgoing: Outgoing, file: OutboundFile) {
  const html = markdownToTelegramHtml(outgoing.text);
  try {
    return await upload(telegram, outgoing, { ...file, caption: html, parse_mode: 'HTML' });
  } catch (error) {
    if (!isCaptionRefused(error)) throw error;
    telegram.deps.log.warn({ error: toChannelError(error).message }, 'telegram refused the caption');
  }
  const caption = telegramPlainText(html);
  if (caption.length <= MAX_CAPTION_CHARS) return upload(telegram, outgoing, { ...file, caption });
  const sent = await upload(telegram, outgoing, file);
  const { buttons: _, ...words } = outgoing;
  await sendMessage(telegram, words);
  return sent;
}

const isCaptionRefused = (error: unknown): boolean =>
  isRefusal(error, 400, "can't parse entities") || isRefusal(error, 400, 'caption is too long');

type Upload = OutboundFile & { caption?: string; parse_mode?: 'HTML' };

/** A picture as such where Telegram takes it as one, else as a file. */
async function upload(
  { api, signals }: Telegram,
  { chat, to, buttons, ...part }: Outgoing,
  { path, fileName, ...file }: Upload,
) {
  const signal = signals.sending;
  const { mimeType, ...words } = file;
  const bytes = () => new InputFile(path, fileName);
  const options = { ...to, ...words, ...mannerOf(part), ...keyboardOf(buttons) };
  if (mimeType.startsWith('image/'))
    try {
      return await api.sendPhoto(chat, bytes(), options, signal);
    } catch (error) {
      if (!isRefusal(error, 400) || isCaptionRefused(error)) throw error;
    }
  return api.sendDocument(chat, bytes(), options, signal);
}

function sendMessage({ api, signals, deps }: Telegram, { chat, to, buttons, ...part }: Outgoing) {
  const options = { ...to, ...NO_PREVIEW, ...mannerOf(part), ...keyboardOf(buttons) };
  return withMarkup(deps, part.text, (text, markup) =>
    api.sendMessage(chat, text, { ...options, ...markup }, signals.sending),
  );
}

async function fetchMedia({ api, files, connection, signals }: Telegram, ref: string, maxBytes: number) {
  try {
    const { file_path: path, file_size: size = 0 } = await api.getFile(ref, signals.receiving);
    // Telegram's paths are relative; anything else could lead to another address than the API's.
    if (!path || !/^[\w-][\w./-]*$/.test(path) || path.includes('..'))
      throw new ChannelError('permanent', 'Telegram does not offer the file');
    if (size > maxBytes) throw tooLarge(maxBytes);
    const signal = AbortSignal.any([connection.receiving, timeLimit(DOWNLOAD_TIMEOUT_MS)]);
    return await readAnswer(await fetch(`${files}/${path}`, { redirect: 'error', signal }), 'Telegram', maxBytes);
  } catch (error) {
    throw toChannelError(error);
  }
}
