// What a failed Discord call means: what to tell the owner, when to try again, whether a message may still be sent. Pure.
// The library's errors never leave this file: some hold the text of the message.
import { DiscordAPIError, HTTPError, type RateLimitData, RateLimitError } from '@discordjs/rest';
import { RESTJSONErrorCodes } from 'discord-api-types/v10';
import { ChannelError } from './channel.js';

/** Looking again costs little and notices when a person put it right. */
const LOOK_AGAIN_MS = 60_000;
const PAGE = 'https://discord.com/developers/applications';

const PROBLEMS = {
  token: `Discord refuses DISCORD_BOT_TOKEN: correct it in .env (${PAGE}, page "Bot", Reset Token), then restart`,
  intents: `Discord does not let the bot read messages: switch "Message Content Intent" on at ${PAGE}, page "Bot"`,
};

/** What only a person can put right. As `network`: messages wait until they did. */
export const needsOwner = (problem: keyof typeof PROBLEMS): ChannelError =>
  new ChannelError('network', PROBLEMS[problem], { lookAgainMs: LOOK_AGAIN_MS });

/** A failed call in the contract's words. */
export function toChannelError(error: unknown): ChannelError {
  if (error instanceof ChannelError) return error;
  if (error instanceof DiscordAPIError && error.status === 401) return needsOwner('token');
  if (error instanceof RateLimitError)
    return new ChannelError('retry', 'Discord asks us to slow down', { retryAfterMs: waitOf(error) });
  if (error instanceof DiscordAPIError || error instanceof HTTPError) {
    if (error.status >= 500) return new ChannelError('network', `Discord answered ${error.status}`);
    const reason = error instanceof DiscordAPIError ? `${error.message}, ${error.code}` : error.status;
    return new ChannelError('permanent', `Discord refused it (${reason})`);
  }
  return new ChannelError('network', reasonOf(error));
}

/** What was to be taken away is gone already. */
export const isGone = (error: unknown): boolean =>
  error instanceof DiscordAPIError && error.code === RESTJSONErrorCodes.UnknownMessage;

/** How long a limit lasts, ms. Discord tells it in one of these. */
export const waitOf = (limit: Pick<RateLimitData, 'retryAfter' | 'timeToReset' | 'sublimitTimeout'>): number =>
  Math.max(limit.retryAfter, limit.timeToReset, limit.sublimitTimeout);

function reasonOf(error: unknown): string {
  const failure = error instanceof Error ? (error.cause ?? error) : error;
  if (!(failure instanceof Error)) return 'Discord cannot be reached';
  if ('code' in failure && typeof failure.code === 'string') return `Discord cannot be reached (${failure.code})`;
  return /abort|timeout/i.test(failure.name) ? 'Discord does not answer in time' : 'Discord cannot be reached';
}
