// What a failed Bot API call means: when to poll again, what to tell the owner, whether a message may still be sent. Pure.
// grammY's errors never leave this file: an HttpError carries the request's address, and with it the token.
import { GrammyError, HttpError } from 'grammy';
import { ChannelError, type ChannelState } from './channel.js';

const BAD_TOKEN =
  'Telegram refuses the bot token: correct TELEGRAM_BOT_TOKEN in .env (get one from @BotFather), then restart';
const OTHER_POLLER =
  'another program is polling with this bot token: stop it, or get a new token from @BotFather (/revoke)';
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 60_000;
const CONFLICT_DELAY_MS = 30_000;

/** State to show and pause (ms) before polling again. `failures` in a row, from 1; `jitter` 0..1. */
export function afterPollError(error: unknown, failures: number, jitter: number): { state: ChannelState; ms: number } {
  const backoff = Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), MAX_DELAY_MS) * (0.75 + jitter / 4);
  const waiting = (ms: number) => ({ state: { state: 'reconnecting' as const, detail: reasonOf(error) }, ms });
  if (!(error instanceof GrammyError)) return waiting(backoff);
  if (isTokenRefusal(error)) return { state: { state: 'blocked', detail: BAD_TOKEN }, ms: MAX_DELAY_MS };
  // After a quick restart Telegram may still count our own last poll: look again soon before the long wait.
  if (error.error_code === 409)
    return { state: { state: 'blocked', detail: OTHER_POLLER }, ms: failures === 1 ? backoff : CONFLICT_DELAY_MS };
  return waiting(Math.max(backoff, retryAfterMs(error) ?? 0));
}

/** Telegram answered with this code, and said these words. */
export const isRefusal = (error: unknown, code: number, words = ''): boolean =>
  error instanceof GrammyError && error.error_code === code && error.description.includes(words);

/** The supergroup that the chat became, when the call failed because of that. */
export const movedTo = (error: unknown): string | undefined =>
  error instanceof GrammyError && error.parameters.migrate_to_chat_id !== undefined
    ? String(error.parameters.migrate_to_chat_id)
    : undefined;

/** A failed send or fetch in the contract's words. A refused token counts as `network`: messages wait until it is corrected. */
export function toChannelError(error: unknown): ChannelError {
  if (error instanceof ChannelError) return error;
  if (!(error instanceof GrammyError) || isTokenRefusal(error)) return new ChannelError('network', reasonOf(error));
  const wait = movedTo(error) ? 0 : retryAfterMs(error);
  if (wait !== undefined) return new ChannelError('retry', error.description, { retryAfterMs: wait });
  return new ChannelError(error.error_code >= 500 ? 'retry' : 'permanent', error.description);
}

/** Telegram answers 404 to a token it cannot even read. */
const isTokenRefusal = (error: GrammyError) => error.error_code === 401 || error.error_code === 404;

function retryAfterMs({ error_code: code, parameters }: GrammyError): number | undefined {
  return code === 429 ? (parameters.retry_after ?? 1) * 1_000 : undefined;
}

function reasonOf(error: unknown): string {
  if (error instanceof ChannelError) return error.message;
  if (error instanceof GrammyError) return isTokenRefusal(error) ? BAD_TOKEN : error.description;
  const failure = error instanceof HttpError ? error.error : error instanceof Error ? (error.cause ?? error) : error;
  if (!(failure instanceof Error)) return 'Telegram cannot be reached';
  if ('code' in failure && typeof failure.code === 'string') return `Telegram cannot be reached (${failure.code})`;
  if (failure.name === 'AbortError' || failure.message.includes('timed out')) return 'Telegram does not answer in time';
  return 'Telegram cannot be reached, or something between us and it answers in its place';
}
