// Tokens by OAuth 2 (RFC 6749): got with a code that the owner's browser brought, refreshed before they end, by one at a time.
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError, PinchError } from '../core/errors.js';
import type { OAuth } from './list.js';
import type { Tokens } from './rows.js';
import type { Store } from './store.js';

/** What `pinch connect` brings back from the browser (RFC 7636, RFC 8252). */
export const oauthCode = z.strictObject({
  code: z.string().min(1).max(4_000),
  verifier: z.string().min(43).max(128),
  redirectUri: z.string().max(200),
});

export interface OAuthClient extends OAuth {
  /** Of the service. */
  name: string;
  /** The value of the variable that it names. */
  secret?: string | undefined;
}

const ANSWER_MS = 20_000;
/** Refreshed when it has no longer than this: a call takes time, and clocks differ. */
const EARLY_MS = 60_000;
const answer = z.object({
  access_token: z
    .string()
    .min(1)
    .max(8_192)
    .regex(/^[!-~]+$/),
  refresh_token: z.string().min(1).max(8_192).optional(),
  expires_in: z.coerce.number().positive().optional(),
});
const refusal = z.object({ error: z.string().max(100) });

const clientOf = ({ tokenUrl, clientId }: OAuth): string => `${tokenUrl} ${clientId}`;

export interface TokenDeps extends Pick<LoopDeps, 'notifyOwner'> {
  store: Pick<Store, 'serviceTokens' | 'transaction'>;
  clock: Clock;
}

export function createTokens({ store, clock, notifyOwner }: TokenDeps) {
  const refreshing = new Map<string, Promise<Tokens>>();

  async function fetchTokens(client: OAuthClient, fields: Record<string, string>, before?: Tokens): Promise<Tokens> {
    const startedAt = clock.now();
    const got = await askForTokens(client, fields);
    const tokens = {
      ...{ service: client.name, client: clientOf(client), accessToken: got.access_token },
      refreshToken: got.refresh_token ?? before?.refreshToken ?? null,
      expiresAt: got.expires_in === undefined ? null : startedAt + got.expires_in * 1_000,
      connectedAt: before?.connectedAt ?? startedAt,
    };
    store.serviceTokens.put(tokens);
    return tokens;
  }

  async function refresh(client: OAuthClient, before: Tokens): Promise<Tokens> {
    try {
      if (before.refreshToken === null)
        throw new PinchError('revoked', 'it has ended, and there is none to renew it with');
      return await fetchTokens(client, { grant_type: 'refresh_token', refresh_token: before.refreshToken }, before);
    } catch (error) {
      if (error instanceof PinchError && error.code === 'revoked')
        store.transaction(() => {
          store.serviceTokens.remove(client.name);
          notifyOwner(`service-token:${client.name}:${before.connectedAt}`, revoked(client.name));
        });
      throw error;
    }
  }

  return {
    /** Gets the first tokens. Throws PinchError. */
    connect: async (client: OAuthClient, { code, verifier, redirectUri }: z.infer<typeof oauthCode>): Promise<void> => {
      await fetchTokens(client, {
        grant_type: 'authorization_code',
        code,
        code_verifier: verifier,
        redirect_uri: redirectUri,
      });
    },
    /** Tokens that count. Throws PinchError: `not_connected`, `revoked`, `no_tokens` (for now). */
    async of(client: OAuthClient): Promise<Tokens> {
      const tokens = store.serviceTokens.get(client.name);
      if (tokens?.client !== clientOf(client))
        throw new PinchError('not_connected', `the service ${client.name} is not connected`, {
          hint: `npm run -s pinch -- connect ${client.name}`,
        });
      if (tokens.expiresAt === null || tokens.expiresAt - clock.now() > EARLY_MS) return tokens;
      const going =
        refreshing.get(client.name) ?? refresh(client, tokens).finally(() => refreshing.delete(client.name));
      refreshing.set(client.name, going);
      return going;
    },
    isConnected: (client: OAuthClient): boolean => store.serviceTokens.get(client.name)?.client === clientOf(client),
    /** The service does not take its token any more: the next call asks for another one. */
    expire: (name: string): void => void store.serviceTokens.expire(name),
  };
}

const revoked = (name: string): string =>
  `The service \`${name}\` does not accept me any more: its access ended or was taken back. \`npm run -s pinch -- connect ${name}\` connects it again.`;

/** Throws PinchError `revoked` when the server says that this is over, `no_tokens` otherwise. Nothing of it has a secret in its words. */
async function askForTokens({ name, tokenUrl, clientId, secret }: OAuthClient, fields: Record<string, string>) {
  const body = new URLSearchParams({
    ...fields,
    client_id: clientId,
    ...(secret !== undefined && { client_secret: secret }),
  });
  const failed = (why: string) =>
    new PinchError('no_tokens', `${new URL(tokenUrl).host} gives no access to ${name}: ${why}`);
  const headers = { accept: 'application/json' };
  const response = await fetch(tokenUrl, {
    method: 'POST',
    body,
    headers,
    redirect: 'error',
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((error: unknown) => {
    throw failed(describeError(error));
  });
  const said: unknown = await response.json().catch(() => undefined);
  const { data } = answer.safeParse(said);
  if (response.ok && data) return data;
  const why = refusal.safeParse(said).data?.error.replace(/[^\w .-]/g, '?') ?? `status ${response.status}`;
  if (why === 'invalid_grant') throw new PinchError('revoked', `the access to ${name} was taken back, or has ended`);
  throw failed(why);
}
