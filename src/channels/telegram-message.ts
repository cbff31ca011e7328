// How a message is written on Telegram: its markup, its buttons, what it answers; and how one of ours is changed, found again and taken away.
import type { AbortSignal } from 'abort-controller';
import type { Api } from 'grammy';
import { oneLine } from '../core/one-line.js';
import { markdownToTelegramHtml, telegramPlainText } from '../markdown/format.js';
import type { ChannelDeps, Edit, OutboundPart } from './channel.js';
import { isRefusal, toChannelError } from './telegram-errors.js';
import { placeOf } from './telegram-topics.js';

/** The text of the message has the whole of it. */
const MAX_LABEL_CHARS = 60;
/** Messages of other chats count too, in direct ones. */
const MAX_LOOKED_AT = 10;

export interface Sending {
  api: Api;
  deps: Pick<ChannelDeps, 'log'>;
  /** Ends the call. */
  signal: AbortSignal;
}

/** One below the other, so that long labels can be read. */
export const keyboardOf = (buttons: OutboundPart['buttons']) =>
  buttons && {
    reply_markup: {
      inline_keyboard: buttons.map(({ label, value }) => [
        { text: oneLine(label, MAX_LABEL_CHARS) || value, callback_data: value },
      ]),
    },
  };

/** Which message is answered, and whether a phone rings. */
export const mannerOf = ({ replyTo, silent }: Pick<OutboundPart, 'replyTo' | 'silent'>) => ({
  ...(replyTo &&
    /^\d{1,15}$/.test(replyTo.platformId) && {
      reply_parameters: { message_id: Number(replyTo.platformId), allow_sending_without_reply: true },
    }),
  ...(silent && { disable_notification: true }),
});

export const NO_PREVIEW = { link_preview_options: { is_disabled: true } };

export async function withMarkup<T>(
  { log }: Pick<ChannelDeps, 'log'>,
  text: string,
  send: (text: string, markup: { parse_mode?: 'HTML' }) => Promise<T>,
): Promise<T> {
  // Markdown that shows nothing (a lone link definition) is better read than refused.
  const html = markdownToTelegramHtml(text);
  if (html === '') return send(text, {});
  try {
    return await send(html, { parse_mode: 'HTML' });
  } catch (error) {
    if (!isRefusal(error, 400, "can't parse entities")) throw error;
    // Better plain than lost.
    log.warn({ error: toChannelError(error).message }, 'telegram refused the markup, sent as plain text');
    return send(telegramPlainText(html), {});
  }
}

export async function editMessage({ api, signal, deps }: Sending, { address, platformId, text, buttons }: Edit) {
  const { chat } = placeOf(address);
  const options = { ...NO_PREVIEW, ...keyboardOf(buttons) };
  try {
    await withMarkup(deps, text, (words, markup) =>
      api.editMessageText(chat, Number(platformId), words, { ...options, ...markup }, signal),
    );
  } catch (error) {
    if (!isRefusal(error, 400, 'message is not modified')) throw error;
  }
  return platformId;
}

/** Nothing lists what is in a chat. Only messages of ours can be edited, and of these the lost one alone has buttons that nobody knows of. */
export async function findLost({ api, signal }: Sending, chat: number, after: string[]): Promise<string> {
  const newest = Math.max(0, ...after.map(Number).filter(Number.isSafeInteger));
  for (let id = newest + 1; newest > 0 && id <= newest + MAX_LOOKED_AT; id += 1)
    try {
      await api.editMessageReplyMarkup(chat, id, {}, signal);
      return String(id);
    } catch (error) {
      if (!isRefusal(error, 400, 'message')) throw error;
    }
  return '';
}

export async function removeMessage({ api, signal }: Sending, chat: number, platformId: string) {
  try {
    await api.deleteMessage(chat, Number(platformId), signal);
  } catch (error) {
    if (!isRefusal(error, 400, 'message to delete not found')) throw error;
  }
  return platformId;
}
