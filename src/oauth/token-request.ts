// One request to a token endpoint (RFC 6749, RFC 8628), and what may be believed of its answer. Nothing of it has a secret in its words.
import { z } from 'zod';
import { describeError, PinchError } from '../core/errors.js';
import type { Fetch } from './guarded-fetch.js';
import type { KnownClient } from './rows.js';

/** Who asks where. */
export interface OAuthClient {
  service: string;
  /** By which its tokens are known. */
  client: string;
  tokenUrl: string;
  clientId: string;
  secret: string | null;
  authMethod: KnownClient['authMethod'];
  /** RFC 8707; null: none is named. */
  resource: string | null;
  /** Registered by us, so that it can be done again. */
  isRegistered: boolean;
  fetch: Fetch;
}

/** Longer than any token lives, and what a clock can be set to. */
const MAX_SECONDS = 10 * 366 * 86_400;
const tokens = z.object({
  access_token: z
    .string()
    .min(1)
    .max(8_192)
    .regex(/^[!-~]+$/),
  // Not all servers say it; what is said must be what we can use.
  token_type: z
    .string()
    .regex(/^bearer$/i)
    .optional(),
  refresh_token: z.string().min(1).max(8_192).nullish(),
  /** Zero, nothing and nonsense: it does not say. */
  expires_in: z.coerce.number().positive().optional().catch(undefined),
});
const refusal = z.object({ error: z.string().regex(/^[\w.-]{1,60}$/) });

export interface NewTokens {
  accessToken: string;
  refreshToken: string | null;
  /** Of whole ms; null: it does not say. */
  livesMs: number | null;
}
export type TokenAnswer =
  | { kind: 'tokens'; tokens: NewTokens }
  /** Its own word for why. */
  | { kind: 'refused'; error: string }
  /** It cannot be asked now, or says what nobody understands. */
  | { kind: 'failed'; why: string };

/** Never rejects. */
export async function askForTokens(client: OAuthClient, fields: Record<string, string>): Promise<TokenAnswer> {
  const resource = client.resource === null ? {} : { resource: client.resource };
  const answer = await askServer(client, client.tokenUrl, { ...fields, ...resource });
  if (answer.kind !== 'said') return answer;
  const { data, error } = tokens.safeParse(answer.said);
  if (error) return { kind: 'failed', why: `it gives what is no token (${error.issues[0]?.path.join('.')})` };
  const { access_token: accessToken, refresh_token: refreshToken = null, expires_in: seconds } = data;
  const livesMs = seconds === undefined ? null : Math.round(Math.min(seconds, MAX_SECONDS) * 1_000);
  return { kind: 'tokens', tokens: { accessToken, refreshToken, livesMs } };
}

/** As the client that we are there. Never rejects. */
export async function askServer(
  { clientId, secret, authMethod, fetch }: OAuthClient,
  url: string,
  fields: Record<string, string>,
): Promise<Exclude<TokenAnswer, { kind: 'tokens' }> | { kind: 'said'; said: unknown }> {
  const body = new URLSearchParams(fields);
  const headers = new Headers({ accept: 'application/json' });
  if (authMethod === 'client_secret_basic' && secret !== null)
    headers.set(
      'authorization',
      `Basic ${Buffer.from(`${formEncode(clientId)}:${formEncode(secret)}`).toString('base64')}`,
    );
  else {
    body.set('client_id', clientId);
    if (authMethod !== 'none' && secret !== null) body.set('client_secret', secret);
  }
  try {
    const response = await fetch(url, { method: 'POST', body, headers });
    const said: unknown = await response.json().catch(() => undefined);
    if (response.ok) return { kind: 'said', said };
    const error = refusal.safeParse(said).data?.error;
    // A server that says it of itself may be asked again.
    if (error === undefined || response.status >= 500) return { kind: 'failed', why: `status ${response.status}` };
    // Its words could be ours, said back.
    const isOurs = [secret, ...Object.values(fields)].some((value) => value && error.includes(value));
    return { kind: 'refused', error: isOurs ? 'an error' : error };
  } catch (error) {
    return { kind: 'failed', why: describeError(error) };
  }
}

/** RFC 6749 §2.3.1: also what Basic takes apart. */
const formEncode = (text: string): string => new URLSearchParams({ _: text }).toString().slice(2);

export const noTokens = ({ service, tokenUrl }: OAuthClient, why: string): PinchError =>
  new PinchError('no_tokens', `${new URL(tokenUrl).host} gives no access to ${service}: ${why}`);
