// The Telegram channel: long polling and sending with grammY. An update is confirmed to Telegram only after it was committed.
// grammY's types want this package's signal, not the platform's.
import { AbortController as PollAbort } from 'abort-controller';
import { Api, GrammyError, HttpError } from 'grammy';
import { z } from 'zod';
import { markdownToTelegramHtml, telegramLength } from '../decide/format.js';
import { splitMarkdown } from '../decide/split.js';
import { describeError } from '../errors.js';
import {
  type Channel,
  type ChannelDeps,
  ChannelError,
  type ChannelState,
  defineChannel,
  type OutboundPart,
} from './channel.js';
import { type BotIdentity, mapUpdate } from './telegram-inbound.js';

export const telegram = defineChannel({
  name: 'telegram',
  env: z.object({
    TELEGRAM_BOT_TOKEN: z
      .string()
      .regex(/^\d+:[\w-]{20,}$/, { error: 'use the token that @BotFather gave you, such as 123456789:AAE…' })
      .optional(),
    TELEGRAM_API_ROOT: z.url({ error: 'use a URL such as https://api.telegram.org' }).optional(),
  }),
  create({ TELEGRAM_BOT_TOKEN: token, TELEGRAM_API_ROOT: root }, deps) {
    return token === undefined
      ? undefined
      : createTelegram({ token, root: (root ?? 'https://api.telegram.org').replace(/\/+$/, ''), deps });
  },
});

/** Text of one message after entities are parsed (https://core.telegram.org/bots/api#sendmessage). */
const MAX_MESSAGE_CHARS = 4_096;
const POLL_SECONDS = 30;
/** Longer than a poll: a connection that died in silence (sleep, roaming) is noticed. */
const CALL_TIMEOUT_SECONDS = 45;
const DOWNLOAD_TIMEOUT_MS = 120_000;

interface Settings {
  token: string;
  root: string;
  deps: ChannelDeps;
}

interface Connection extends Settings {
  api: Api;
  over: AbortController;
  pollAbort: PollAbort;
}

function createTelegram(settings: Settings): Channel {
  const api = new Api(settings.token, {
    apiRoot: settings.root,
    timeoutSeconds: CALL_TIMEOUT_SECONDS,
    sensitiveLogs: false,
  });
  const connection: Connection = { ...settings, api, over: new AbortController(), pollAbort: new PollAbort() };
  const { deps } = settings;
  let polling: Promise<void> | undefined;
  return {
    start() {
      polling ??= poll(connection);
    },
    async stop() {
      connection.over.abort();
      connection.pollAbort.abort();
      await polling;
      deps.onState({ state: 'stopped', detail: '' });
    },
    split: (text) =>
      splitMarkdown(text, {
        limit: MAX_MESSAGE_CHARS,
        measure: (part) => telegramLength(markdownToTelegramHtml(part)),
      }),
    send: (part) => send(connection, part),
    typing(address) {
      api
        .sendChatAction(Number(address), 'typing')
        .catch((error: unknown) => deps.log.debug({ error: describeError(error) }, 'typing not shown'));
    },
    fetchMedia: (ref, maxBytes) => fetchMedia(connection, ref, maxBytes),
  };
}

async function poll(connection: Connection): Promise<void> {
  const { api, deps, over } = connection;
  let bot: BotIdentity | undefined;
  let offset = 0;
  let failures = 0;
  deps.onState({ state: 'connecting', detail: '' });
  while (!over.signal.aborted) {
    try {
      bot ??= await introduce(connection);
      // Asking with this offset confirms everything below it, so it moves only behind a committed update.
      const updates = await api.getUpdates(
        {
          offset,
          timeout: failures === 0 ? POLL_SECONDS : 0,
          limit: 100,
          allowed_updates: ['message', 'edited_message'],
        },
        connection.pollAbort.signal,
      );
      failures = 0;
      deps.onState({ state: 'open', detail: `@${bot.username}` });
      for (const update of updates) {
        receive(connection, update, bot);
        offset = update.update_id + 1;
      }
    } catch (error) {
      if (over.signal.aborted) return;
      failures += 1;
      const { state, delayMs } = afterPollError(error, failures, deps.clock.random());
      deps.onState(state);
      await deps.clock.sleep(delayMs, over.signal);
    }
  }
}

async function introduce({ api, pollAbort, deps }: Connection): Promise<BotIdentity> {
  const { id, username } = await api.getMe(pollAbort.signal);
  const commands = ['help', 'status', 'stop', 'new'].map((command) => ({
    command,
    description: commandHints[command] ?? command,
  }));
  api
    .setMyCommands(commands)
    .catch((error: unknown) => deps.log.debug({ error: describeError(error) }, 'command list not set'));
  return { id, username };
}

const commandHints: Record<string, string> = {
  help: 'what I understand',
  status: 'what is running',
  stop: 'stop what I am doing here',
  new: 'start a new conversation',
};

/** Throws only when the store could not commit; an update that makes no sense must not block those behind it. */
function receive({ deps }: Connection, update: Parameters<typeof mapUpdate>[0], bot: BotIdentity): void {
  let mapped: ReturnType<typeof mapUpdate>;
  try {
    mapped = mapUpdate(update, bot);
  } catch (error) {
    deps.log.error(
      { updateId: update.update_id, error: describeError(error) },
      'telegram update not understood, skipped',
    );
    return;
  }
  if (mapped.kind === 'moved') deps.onChatMoved(mapped.from, mapped.to);
  if (mapped.kind === 'message') deps.onMessage(mapped.message);
}

const HEAL_MS = 60_000;

function afterPollError(error: unknown, failures: number, jitter: number): { state: ChannelState; delayMs: number } {
  const backoffMs = Math.min(1_000 * 2 ** (failures - 1), 60_000) * (0.5 + jitter / 2);
  if (!(error instanceof GrammyError))
    return { state: { state: 'reconnecting', detail: reasonOf(error) }, delayMs: backoffMs };
  const { error_code: code, parameters, description } = error;
  // Telegram answers 404 to a token of the wrong shape.
  if (code === 401 || code === 404) {
    const detail = 'Telegram refuses the token: correct TELEGRAM_BOT_TOKEN in .env (from @BotFather) and restart';
    return { state: { state: 'blocked', detail }, delayMs: HEAL_MS };
  }
  if (code === 409) {
    const detail = 'another program polls with this bot token: stop it, or revoke the token at @BotFather';
    return { state: { state: 'blocked', detail }, delayMs: failures === 1 ? 2_000 : HEAL_MS / 2 };
  }
  const asked = (parameters.retry_after ?? 0) * 1_000;
  return { state: { state: 'reconnecting', detail: description }, delayMs: Math.max(asked, backoffMs) };
}

/** Why a call failed, without the request's address: it holds the token. */
function reasonOf(error: unknown): string {
  if (!(error instanceof HttpError)) return error instanceof Error ? error.name : 'unknown error';
  const { error: cause } = error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no connection';
  return `Telegram cannot be reached (${code})`;
}

async function send(connection: Connection, part: OutboundPart): Promise<{ platformId: string }> {
  const { api } = connection;
  const chat = Number(part.address);
  const options = { link_preview_options: { is_disabled: true } };
  try {
    const html = markdownToTelegramHtml(part.text);
    const sent = await api.sendMessage(chat, html, { ...options, parse_mode: 'HTML' }).catch((error: unknown) => {
      // Better ugly than lost.
      if (error instanceof GrammyError && error.description.includes("can't parse entities"))
        return api.sendMessage(chat, part.text, options);
      throw error;
    });
    return { platformId: String(sent.message_id) };
  } catch (error) {
    throw sendError(connection, part.address, error);
  }
}

function sendError({ deps }: Connection, address: string, error: unknown): ChannelError {
  if (!(error instanceof GrammyError)) return new ChannelError('network', reasonOf(error));
  const { error_code: code, description, parameters } = error;
  if (parameters.migrate_to_chat_id !== undefined) {
    deps.onChatMoved(address, String(parameters.migrate_to_chat_id));
    return new ChannelError('retry', description, { retryAfterMs: 0 });
  }
  if (code === 429)
    return new ChannelError('retry', description, { retryAfterMs: (parameters.retry_after ?? 1) * 1_000 });
  // A refused token is the owner's to correct: the message waits for that.
  if (code === 401 || code === 404)
    return new ChannelError('network', 'Telegram refuses the token (TELEGRAM_BOT_TOKEN)');
  return new ChannelError(code >= 500 ? 'retry' : 'permanent', description);
}

async function fetchMedia({ api, root, token }: Connection, ref: string, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = () => new ChannelError('permanent', `larger than ${Math.floor(maxBytes / 1024 / 1024)} MB`);
  try {
    const { file_path: path, file_size: size = 0 } = await api.getFile(ref);
    if (!path) throw new ChannelError('permanent', 'Telegram does not offer the file');
    if (size > maxBytes) throw tooLarge();
    const signal = AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS);
    const response = await fetch(`${root}/file/bot${token}/${path}`, { redirect: 'error', signal });
    if (!response.ok || !response.body)
      throw new ChannelError(response.status >= 500 ? 'network' : 'permanent', `Telegram answered ${response.status}`);
    const chunks: Uint8Array[] = [];
    let received = 0;
    for await (const chunk of response.body) {
      received += chunk.byteLength;
      if (received > maxBytes) throw tooLarge();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof ChannelError) throw error;
    if (error instanceof GrammyError && error.error_code < 500 && error.error_code !== 429)
      throw new ChannelError('permanent', error.description);
    throw new ChannelError('network', reasonOf(error));
  }
}
