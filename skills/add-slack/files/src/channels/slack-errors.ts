// What a failed Slack call means: what to tell the owner, when to try again, whether a message may still be sent. Pure.
// The library's errors never leave this file: some hold the request.
import { WebAPIHTTPError, WebAPIPlatformError, WebAPIRateLimitedError, WebAPIRequestError } from '@slack/web-api';
import { ChannelError } from './channel.js';

/** Looking again costs little and notices when a person put it right. */
const LOOK_AGAIN_MS = 60_000;

/** Slack's words for a token that it does not take (https://docs.slack.dev/reference/methods/auth.test). */
const REFUSALS = [
  'invalid_auth',
  'not_authed',
  'account_inactive',
  'token_revoked',
  'token_expired',
  'not_allowed_token_type',
  'team_access_not_granted',
];
/** Slack's words for trouble of its own. */
const TROUBLE = ['internal_error', 'fatal_error', 'service_unavailable', 'request_timeout', 'team_added_to_org'];

/** The error itself; one that names the variable when it says that the token in it is no good. Messages wait until it is corrected. */
export function withVariable(error: unknown, variable: string): unknown {
  const code = codeOf(error);
  if (code === undefined || !REFUSALS.includes(code)) return error;
  const fix = 'correct it in .env (see https://api.slack.com/apps), then restart';
  return new ChannelError('network', `Slack refuses ${variable} (${code}): ${fix}`, { lookAgainMs: LOOK_AGAIN_MS });
}

/** A failed call in the contract's words. */
export function toChannelError(error: unknown): ChannelError {
  if (error instanceof ChannelError) return error;
  if (error instanceof WebAPIRateLimitedError)
    return new ChannelError('retry', 'Slack asks us to slow down', { retryAfterMs: error.retryAfter * 1_000 });
  if (error instanceof WebAPIHTTPError)
    return new ChannelError(error.statusCode >= 500 ? 'network' : 'permanent', `Slack answered ${error.statusCode}`);
  if (error instanceof WebAPIRequestError) return new ChannelError('network', reasonOf(error.original));
  if (error instanceof WebAPIPlatformError) return refusalOf(error);
  return new ChannelError('network', reasonOf(error));
}

function refusalOf({ data }: WebAPIPlatformError): ChannelError {
  if (TROUBLE.includes(data.error)) return new ChannelError('retry', `Slack has trouble (${data.error})`);
  if (data.error === 'missing_scope') {
    const scope = 'needed' in data ? String(data.needed) : 'another';
    return new ChannelError(
      'permanent',
      `the Slack app lacks the scope ${scope}: add it under "OAuth & Permissions" at https://api.slack.com/apps and install the app again`,
      { lookAgainMs: LOOK_AGAIN_MS },
    );
  }
  return new ChannelError('permanent', `Slack refused it (${data.error})`);
}

/** What was to be taken away is gone already. */
export const isGone = (error: unknown): boolean => codeOf(error) === 'message_not_found';

const codeOf = (error: unknown): string | undefined =>
  error instanceof WebAPIPlatformError ? error.data.error : undefined;

function reasonOf(error: unknown): string {
  const failure = error instanceof Error ? (error.cause ?? error) : error;
  if (!(failure instanceof Error)) return 'Slack cannot be reached';
  if ('code' in failure && typeof failure.code === 'string') return `Slack cannot be reached (${failure.code})`;
  return failure.name === 'TimeoutError' ? 'Slack does not answer in time' : 'Slack cannot be reached';
}
