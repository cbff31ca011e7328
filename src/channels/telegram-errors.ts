// What a failed Bot API call means: what to tell the owner, when to try again, whether a message may still be sent. Pure.
// grammY's errors never leave this file: an HttpError carries the request's address, and with it the token.
import { GrammyError, HttpError } from 'grammy';
import { ChannelError } from './channel.js';

const BAD_TOKEN =
  'Telegram refuses the bot token: correct TELEGRAM_BOT_TOKEN in .env (get one from @BotFather), then restart';
const OTHER_POLLER =
  'another program is polling with this bot token: stop it, or get a new token from @BotFather (/revoke)';
const LOOK_AGAIN_MS = 60_000;
const CONFLICT_LOOK_AGAIN_MS = 30_000;

/** Telegram answered with this code, and said these words. */
export const isRefusal = (error: unknown, code: number, words = ''): boolean =>
  error instanceof GrammyError && error.error_code === code && error.description.includes(words);

/** The topic was deleted, or never was. */
export const isTopicGone = (error: unknown): boolean =>
  isRefusal(error, 400, 'message thread not found') || isRefusal(error, 400, 'TOPIC_DELETED');

const TOPIC_GONE = 'the topic is not there any more: somebody deleted it in Telegram';
const TOPIC_CLOSED =
  'the topic is closed: reopen it in Telegram, or make me an administrator who may manage topics, then ask me again';

/** The supergroup that the chat became, when the call failed because of that. */
export const movedTo = (error: unknown): string | undefined =>
  error instanceof GrammyError && error.parameters.migrate_to_chat_id !== undefined
    ? String(error.parameters.migrate_to_chat_id)
    : undefined;

/** A failed call in the contract's words. A refused token counts as `network`: messages wait until it is corrected. */
export function toChannelError(error: unknown, failures = 1): ChannelError {
  if (error instanceof ChannelError) return error;
  if (!(error instanceof GrammyError)) return new ChannelError('network', reasonOf(error));
  const { error_code: code, description } = error;
  if (isTokenRefusal(error)) return new ChannelError('network', BAD_TOKEN, { lookAgainMs: LOOK_AGAIN_MS });
  // After a quick restart Telegram may still count our own last poll: look again soon before the long wait.
  if (code === 409)
    return new ChannelError('network', OTHER_POLLER, { lookAgainMs: failures === 1 ? 1_000 : CONFLICT_LOOK_AGAIN_MS });
  if (isTopicGone(error)) return new ChannelError('permanent', TOPIC_GONE);
  if (isRefusal(error, 400, 'TOPIC_CLOSED')) return new ChannelError('permanent', TOPIC_CLOSED);
  const wait = movedTo(error) ? 0 : retryAfterMs(error);
  if (wait !== undefined) return new ChannelError('retry', description, { retryAfterMs: wait });
  return new ChannelError(code >= 500 ? 'retry' : 'permanent', description);
}

/** Telegram answers 404 to a token it cannot even read. */
const isTokenRefusal = (error: GrammyError) => error.error_code === 401 || error.error_code === 404;

function retryAfterMs({ error_code: code, parameters }: GrammyError): number | undefined {
  return code === 429 ? (parameters.retry_after ?? 1) * 1_000 : undefined;
}

function reasonOf(error: unknown): string {
  const failure = error instanceof HttpError ? error.error : error instanceof Error ? (error.cause ?? error) : error;
  if (!(failure instanceof Error)) return 'Telegram cannot be reached';
  if ('code' in failure && typeof failure.code === 'string') return `Telegram cannot be reached (${failure.code})`;
  if (failure.name === 'AbortError' || failure.message.includes('timed out')) return 'Telegram does not answer in time';
  return 'Telegram cannot be reached, or something between us and it answers in its place';
}
