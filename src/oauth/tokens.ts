// Tokens by OAuth 2 (RFC 6749): kept, refreshed before they end, by one at a time. Only the answer to one question may replace what it was asked with.
import type { Clock } from '../core/clock.js';
import type { LoopDeps } from '../core/deps.js';
import { PinchError } from '../core/errors.js';
import type { Tokens } from './rows.js';
import type { Store } from './store.js';
import { askForTokens, type NewTokens, noTokens, type OAuthClient } from './token-request.js';

/** Refreshed when it has no longer than this: a call takes time, and clocks differ. */
const EARLY_MS = 60_000;

export interface TokenDeps extends Pick<LoopDeps, 'notifyOwner'> {
  store: Store;
  clock: Clock;
}

export function createTokens({ store, clock, notifyOwner }: TokenDeps) {
  const refreshing = new Map<string, Promise<Tokens>>();

  async function refresh(client: OAuthClient, before: Tokens): Promise<Tokens> {
    if (before.refreshToken === null) throw end(before, 'it has ended, and there is none to renew it with');
    const startedAt = clock.now();
    const fields = { grant_type: 'refresh_token', refresh_token: before.refreshToken };
    const answer = await askForTokens(client, fields);
    if (answer.kind === 'failed') throw noTokens(client, answer.why);
    if (answer.kind === 'refused') {
      const isOver =
        answer.error === 'invalid_grant' ||
        (client.isRegistered && /^(invalid|unauthorized)_client$/.test(answer.error));
      throw isOver ? end(before, 'it was taken back, or has ended') : noTokens(client, answer.error);
    }
    store.serviceTokens.renew({ ...before, ...rowOf(answer.tokens, startedAt, before), before: before.accessToken });
    return current(client);
  }

  /** Forgets tokens that nobody takes any more, unless others stand there by now. */
  function end({ service, accessToken, connectedAt }: Tokens, why: string): PinchError {
    store.transaction(() => {
      if (store.serviceTokens.remove(service, accessToken))
        notifyOwner(`service-token:${service}:${connectedAt}`, ended(service));
    });
    return new PinchError('revoked', `the access to ${service} does not count: ${why}`, { hint: connectHint(service) });
  }

  function current({ service, client }: Pick<OAuthClient, 'service' | 'client'>): Tokens {
    const tokens = store.serviceTokens.get(service);
    if (tokens?.client === client) return tokens;
    throw notConnected(service);
  }

  return {
    /** Those that the owner has just allowed. */
    put(client: OAuthClient, got: NewTokens, askedAt: number): void {
      const { service, client: owner } = client;
      const lacking = store.serviceTokens.get(service)?.lacking ?? null;
      store.serviceTokens.put({ service, client: owner, connectedAt: clock.now(), lacking, ...rowOf(got, askedAt) });
    },
    /** Tokens that count. Throws PinchError: `not_connected`, `revoked`, `no_tokens` (for now). */
    async of(client: OAuthClient): Promise<Tokens> {
      const key = `${client.service} ${client.client}`;
      const tokens = current(client);
      if (tokens.expiresAt === null || tokens.expiresAt - clock.now() > EARLY_MS) return tokens;
      const going = refreshing.get(key) ?? refresh(client, tokens).finally(() => refreshing.delete(key));
      refreshing.set(key, going);
      return going;
    },
  };
}

/** Counted from when it was asked, by our clock alone: what the server's clock says does not matter. */
const rowOf = ({ accessToken, refreshToken, livesMs }: NewTokens, askedAt: number, before?: Tokens) => ({
  accessToken,
  refreshToken: refreshToken ?? before?.refreshToken ?? null,
  expiresAt: livesMs === null ? null : askedAt + livesMs,
});

export const connectHint = (service: string): string => `npm run -s pinch -- connect ${service}`;
export const notConnected = (service: string): PinchError =>
  new PinchError('not_connected', `the service ${service} is not connected`, { hint: connectHint(service) });

/** With rotation a refresh token counts once: one that was used just before we died has no answer that we know. */
const ended = (service: string): string =>
  `The service \`${service}\` does not accept me any more: its access ended or was taken back, or I was stopped just while I renewed it. ` +
  `\`${connectHint(service)}\` connects it again.`;
