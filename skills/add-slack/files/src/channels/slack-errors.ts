// What a failed Slack call means: when to connect again, what to tell the owner, whether a message may still be sent. Pure.
// The library's errors never leave this file: some hold the request.
import { WebAPIHTTPError, WebAPIPlatformError, WebAPIRateLimitedError, WebAPIRequestError } from '@slack/web-api';
import { ChannelError, type ChannelState } from './channel.js';

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 60_000;

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

/** A token that Slack refuses; `variable` is where it stands. */
export class TokenRefused extends Error {
  constructor(variable: string, reason: string) {
    super(`Slack refuses ${variable} (${reason}): correct it in .env (see https://api.slack.com/apps), then restart`);
    this.name = 'TokenRefused';
  }
}

/** The error itself, or a TokenRefused when it says that the token in `variable` is no good. */
export function withVariable(error: unknown, variable: string): unknown {
  const code = codeOf(error);
  return code !== undefined && REFUSALS.includes(code) ? new TokenRefused(variable, code) : error;
}

/** State to show and pause (ms) before connecting again. `failures` in a row, from 1; `jitter` 0..1. */
export function afterFailure(error: unknown, failures: number, jitter: number): { state: ChannelState; ms: number } {
  const backoff = Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), MAX_DELAY_MS) * (0.75 + jitter / 4);
  const { message: detail, retryAfterMs = 0 } = toChannelError(error);
  // A person has to act; looking again costs little and notices when they did.
  if (error instanceof TokenRefused || codeOf(error) === 'missing_scope')
    return { state: { state: 'blocked', detail }, ms: MAX_DELAY_MS };
  return { state: { state: 'reconnecting', detail }, ms: Math.max(backoff, retryAfterMs) };
}

/** A failed call in the contract's words. A refused token counts as `network`: messages wait until it is corrected. */
export function toChannelError(error: unknown): ChannelError {
  if (error instanceof ChannelError) return error;
  if (error instanceof TokenRefused) return new ChannelError('network', error.message);
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
    );
  }
  return new ChannelError('permanent', `Slack refused it (${data.error})`);
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof WebAPIPlatformError ? error.data.error : undefined;

function reasonOf(error: unknown): string {
  const failure = error instanceof Error ? (error.cause ?? error) : error;
  if (!(failure instanceof Error)) return 'Slack cannot be reached';
  if ('code' in failure && typeof failure.code === 'string') return `Slack cannot be reached (${failure.code})`;
  return failure.name === 'TimeoutError' ? 'Slack does not answer in time' : 'Slack cannot be reached';
}
