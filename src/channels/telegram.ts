// The Telegram channel: long polling and sending with grammY. An update is confirmed to Telegram only after it was committed.
// What updates mean is in telegram-inbound.ts, what errors mean in telegram-errors.ts.
// grammY's types want this package's signal, not the platform's.
import { AbortController as CallAbort } from 'abort-controller';
import { Api, InputFile } from 'grammy';
import { z } from 'zod';
import { describeError } from '../core/errors.js';
import {
  type Channel,
  type ChannelDeps,
  ChannelError,
  defineChannel,
  type OutboundFile,
  type OutboundPart,
} from './channel.js';
import { markdownToTelegramHtml, telegramLength, telegramPlainText } from './format.js';
import { splitMarkdown } from './split.js';
import { afterPollError, isRefusal, movedTo, toChannelError } from './telegram-errors.js';
import { type BotIdentity, type Mapped, mapUpdate } from './telegram-inbound.js';

export const telegram = defineChannel({
  name: 'telegram',
  env: z.object({
    TELEGRAM_BOT_TOKEN: z
      .string()
      .regex(/^\d+:[\w-]{20,}$/, { error: 'use the token that @BotFather gave you, such as 123456789:AAE…' })
      .optional(),
    TELEGRAM_API_ROOT: z.url({ protocol: /^https?$/, error: 'use a URL such as https://api.telegram.org' }).optional(),
  }),
  create({ TELEGRAM_BOT_TOKEN: token, TELEGRAM_API_ROOT: root = 'https://api.telegram.org' }, deps) {
    return token === undefined ? undefined : createTelegram(token, root.replace(/\/+$/, ''), deps);
  },
});

/** Text of one message after entities are parsed (https://core.telegram.org/bots/api#sendmessage). */
const MAX_MESSAGE_CHARS = 4_096;
/** Telegram's servers refuse about 35,000 bytes of markup: long addresses and escapes must not get there. */
const MAX_HTML_PER_CHAR = 7;
const POLL_SECONDS = 30;
/** Longer than a poll: a connection that died in silence (sleep, roaming) is noticed. */
const POLL_TIMEOUT_SECONDS = 45;
const CALL_TIMEOUT_SECONDS = 30;
const DOWNLOAD_TIMEOUT_MS = 120_000;
/** How long a send may go on after `stop`: breaking it off could send the same message again after the restart. */
const SEND_GRACE_MS = 3_000;

interface Connection {
  deps: ChannelDeps;
  api: Api;
  poller: Api;
  /** Where files are downloaded from; holds the token. */
  files: string;
  /** Aborted when receiving ends. */
  over: AbortController;
  pollAbort: CallAbort;
  /** Aborted when sending ends. */
  sendAbort: CallAbort;
  sending: Set<Promise<unknown>>;
}

function createTelegram(token: string, root: string, deps: ChannelDeps): Channel {
  const connect = (timeoutSeconds: number) => new Api(token, { apiRoot: root, timeoutSeconds, sensitiveLogs: false });
  const connection: Connection = {
    deps,
    api: connect(CALL_TIMEOUT_SECONDS),
    poller: connect(POLL_TIMEOUT_SECONDS),
    files: `${root}/file/bot${token}`,
    over: new AbortController(),
    pollAbort: new CallAbort(),
    sendAbort: new CallAbort(),
    sending: new Set(),
  };
  let polling: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  return {
    start() {
      polling ??= poll(connection);
    },
    stop() {
      stopping ??= stop(connection, polling);
      return stopping;
    },
    split: (text) => splitMarkdown(text, { limit: MAX_MESSAGE_CHARS, measure }),
    send: (part) => send(connection, part),
    typing(address) {
      void attempt(deps, connection.api.sendChatAction(Number(address), 'typing', {}, connection.pollAbort.signal));
    },
    fetchMedia: (ref, maxBytes) => fetchMedia(connection, ref, maxBytes),
  };
}

function measure(part: string): number {
  const html = markdownToTelegramHtml(part);
  return Math.max(telegramLength(html), Math.ceil(html.length / MAX_HTML_PER_CHAR));
}

async function stop({ over, pollAbort, sendAbort, sending, deps }: Connection, polling?: Promise<void>) {
  over.abort();
  pollAbort.abort();
  await polling;
  const grace = new AbortController();
  await Promise.race([Promise.allSettled(sending), deps.clock.sleep(SEND_GRACE_MS, grace.signal)]);
  grace.abort();
  sendAbort.abort();
  deps.onState({ state: 'stopped', detail: '' });
}

async function poll(connection: Connection): Promise<void> {
  const { deps, over, pollAbort } = connection;
  let bot: BotIdentity | undefined;
  let offset = 0;
  let failures = 0;
  // The first poll after a pause answers at once, so that `open` does not wait for a message. After a conflict it must not:
  // it would succeed between two polls of the other program.
  let atOnce = true;
  deps.onState({ state: 'connecting', detail: '' });
  while (!over.signal.aborted) {
    try {
      bot ??= await introduce(connection);
      // Asking with this offset confirms everything below it, so it moves only behind a committed update.
      const updates = await connection.poller.getUpdates(
        { offset, timeout: atOnce ? 0 : POLL_SECONDS, limit: 100, allowed_updates: ['message', 'edited_message'] },
        pollAbort.signal,
      );
      if (over.signal.aborted) return;
      for (const update of updates) {
        receive(connection, update, bot);
        offset = update.update_id + 1;
      }
      failures = 0;
      atOnce = false;
      deps.onState({ state: 'open', detail: `@${bot.username}` });
    } catch (error) {
      if (over.signal.aborted) return;
      failures += 1;
      const { state, ms } = afterPollError(error, failures, deps.clock.random());
      deps.log.warn({ failures, delayMs: ms, error: state.detail }, 'telegram poll failed');
      deps.onState(state);
      // The owner gave the token to Pinch, which can only poll; what another program left behind would block that for ever.
      if (isRefusal(error, 409, 'webhook')) await attempt(deps, connection.api.deleteWebhook({}, pollAbort.signal));
      await deps.clock.sleep(ms, over.signal);
      atOnce = !isRefusal(error, 409);
    }
  }
}

/** For calls that nobody waits for: what Telegram thinks of them is for the log. */
async function attempt({ log }: ChannelDeps, call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => log.debug({ error: toChannelError(error).message }, 'telegram call failed'));
}

async function introduce({ api, pollAbort, deps }: Connection): Promise<BotIdentity> {
  const bot = await api.getMe(pollAbort.signal);
  const commands = [
    { command: 'help', description: 'what I understand' },
    { command: 'status', description: 'what is running' },
    { command: 'stop', description: 'stop what I am doing here' },
    { command: 'new', description: 'start a new conversation' },
  ];
  void attempt(deps, api.setMyCommands(commands, {}, pollAbort.signal));
  return bot;
}

/** Throws when the store refuses the message: its update must come again. One that makes no sense must not block those behind it. */
function receive({ deps }: Connection, update: Parameters<typeof mapUpdate>[0], bot: BotIdentity): void {
  let mapped: Mapped;
  try {
    mapped = mapUpdate(update, bot);
  } catch (error) {
    const name = error instanceof Error ? error.name : 'unknown';
    deps.log.error({ updateId: update.update_id, error: name }, 'telegram update not understood, skipped');
    return;
  }
  try {
    if (mapped.kind === 'moved') deps.onChatMoved(mapped.from, mapped.to);
    if (mapped.kind === 'message') deps.onMessage(mapped.message);
  } catch (cause) {
    throw new ChannelError('retry', `a received message could not be stored: ${describeError(cause)}`, { cause });
  }
}

async function send(connection: Connection, part: OutboundPart): Promise<{ platformId: string }> {
  if (connection.over.signal.aborted) throw new ChannelError('network', 'the channel is stopped');
  const call = part.file ? sendFile(connection, part, part.file) : sendMessage(connection, part);
  connection.sending.add(call);
  try {
    return { platformId: String((await call).message_id) };
  } catch (error) {
    const moved = movedTo(error);
    if (moved !== undefined) connection.deps.onChatMoved(part.address, moved);
    throw toChannelError(error);
  } finally {
    connection.sending.delete(call);
  }
}

/** A picture as such where Telegram takes it as one, else as a file. */
async function sendFile({ api, sendAbort }: Connection, { address, text }: OutboundPart, file: OutboundFile) {
  const { signal } = sendAbort;
  const upload = () => new InputFile(file.path, file.fileName);
  const options = { caption: markdownToTelegramHtml(text), parse_mode: 'HTML' } as const;
  if (file.mimeType.startsWith('image/'))
    try {
      return await api.sendPhoto(Number(address), upload(), options, signal);
    } catch (error) {
      if (!isRefusal(error, 400)) throw error;
    }
  return api.sendDocument(Number(address), upload(), options, signal);
}

async function sendMessage({ api, sendAbort, deps }: Connection, { address, text }: OutboundPart) {
  const { signal } = sendAbort;
  const options = { link_preview_options: { is_disabled: true } };
  const chat = Number(address);
  // Markdown that shows nothing (a lone link definition) is better read than refused.
  const html = markdownToTelegramHtml(text);
  if (html === '') return api.sendMessage(chat, text, options, signal);
  try {
    return await api.sendMessage(chat, html, { ...options, parse_mode: 'HTML' }, signal);
  } catch (error) {
    if (!isRefusal(error, 400, "can't parse entities")) throw error;
    // Better plain than lost.
    deps.log.warn({ error: toChannelError(error).message }, 'telegram refused the markup, sent as plain text');
    return api.sendMessage(chat, telegramPlainText(html), options, signal);
  }
}

async function fetchMedia({ api, files, over, pollAbort }: Connection, ref: string, maxBytes: number) {
  try {
    const { file_path: path, file_size: size = 0 } = await api.getFile(ref, pollAbort.signal);
    // Telegram's paths are relative; anything else could lead to another address than the API's.
    if (!path || !/^[\w-][\w./-]*$/.test(path) || path.includes('..'))
      throw new ChannelError('permanent', 'Telegram does not offer the file');
    if (size > maxBytes) throw tooLarge(maxBytes);
    const signal = AbortSignal.any([over.signal, AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS)]);
    const response = await fetch(`${files}/${path}`, { redirect: 'error', signal });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw new ChannelError(response.status >= 500 ? 'network' : 'permanent', `Telegram answered ${response.status}`);
    }
    const chunks: Uint8Array[] = [];
    let left = maxBytes;
    for await (const chunk of response.body) {
      left -= chunk.byteLength;
      // Leaving the loop early cancels the rest of the download.
      if (left < 0) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    throw toChannelError(error);
  }
}

const tooLarge = (maxBytes: number) =>
  new ChannelError('permanent', `larger than ${Math.floor(maxBytes / 1024 / 1024)} MB`);
