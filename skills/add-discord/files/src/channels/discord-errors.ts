// What a failed Discord call means: when to connect again, what to tell the owner, whether a message may still be sent. Pure.
// The library's errors never leave this file: some hold the text of the message.
import { DiscordAPIError, HTTPError, type RateLimitData, RateLimitError } from 'discord.js';
import { ChannelError, type ChannelState } from './channel.js';

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 60_000;
const PAGE = 'https://discord.com/developers/applications';

/** Something at Discord is not as it must be, and only a person can change that. */
export class NeedsOwner extends Error {
  constructor(what: 'token' | 'intents') {
    super(
      what === 'token'
        ? `Discord refuses DISCORD_BOT_TOKEN: correct it in .env (${PAGE}, page "Bot", Reset Token), then restart`
        : `Discord does not let the bot read messages: switch "Message Content Intent" on at ${PAGE}, page "Bot"`,
    );
    this.name = 'NeedsOwner';
  }
}

/** State to show and pause (ms) before connecting again. `failures` in a row, from 1; `jitter` 0..1. */
export function afterFailure(error: unknown, failures: number, jitter: number): { state: ChannelState; ms: number } {
  const backoff = Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), MAX_DELAY_MS) * (0.75 + jitter / 4);
  const { message: detail, retryAfterMs = 0 } = toChannelError(error);
  // Looking again costs little and notices when it was corrected.
  if (error instanceof NeedsOwner || isTokenRefusal(error))
    return { state: { state: 'blocked', detail }, ms: MAX_DELAY_MS };
  return { state: { state: 'reconnecting', detail }, ms: Math.max(backoff, retryAfterMs) };
}

/** A failed call in the contract's words. A refused token counts as `network`: messages wait until it is corrected. */
export function toChannelError(error: unknown): ChannelError {
  if (error instanceof ChannelError) return error;
  if (isTokenRefusal(error)) return new ChannelError('network', new NeedsOwner('token').message);
  if (error instanceof NeedsOwner) return new ChannelError('network', error.message);
  if (error instanceof RateLimitError)
    return new ChannelError('retry', 'Discord asks us to slow down', { retryAfterMs: waitOf(error) });
  if (error instanceof DiscordAPIError || error instanceof HTTPError) {
    if (error.status >= 500) return new ChannelError('network', `Discord answered ${error.status}`);
    const reason = error instanceof DiscordAPIError ? `${error.message}, ${error.code}` : error.status;
    return new ChannelError('permanent', `Discord refused it (${reason})`);
  }
  return new ChannelError('network', reasonOf(error));
}

/** How long a limit lasts, ms. Discord tells it in one of these. */
export const waitOf = (limit: Pick<RateLimitData, 'retryAfter' | 'timeToReset' | 'sublimitTimeout'>): number =>
  Math.max(limit.retryAfter, limit.timeToReset, limit.sublimitTimeout);

const isTokenRefusal = (error: unknown): boolean => error instanceof DiscordAPIError && error.status === 401;

function reasonOf(error: unknown): string {
  const failure = error instanceof Error ? (error.cause ?? error) : error;
  if (!(failure instanceof Error)) return 'Discord cannot be reached';
  if ('code' in failure && typeof failure.code === 'string') return `Discord cannot be reached (${failure.code})`;
  return /abort|timeout/i.test(failure.name) ? 'Discord does not answer in time' : 'Discord cannot be reached';
}
