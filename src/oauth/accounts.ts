// The owner's accounts at services: how each is connected, by a code of the browser or of another device (RFC 8628), and the token of a call.
// Nothing of a flow that goes on is kept here: the terminal that waits has it, and brings it back.
import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import type { Account } from './account.js';
import { createClients, writtenClient } from './clients.js';
import { type FoundOAuth, isWritten, type WrittenOAuth } from './config.js';
import { beginDevice, type DeviceFlow } from './device.js';
import { beginFound } from './discover.js';
import type { KnownClient, Tokens } from './rows.js';
import { noteLacking } from './scopes.js';
import { askForTokens, noTokens } from './token-request.js';
import { connectHint, createTokens, notConnected, type TokenDeps } from './tokens.js';

/** What `pinch connect` says when it begins: where a browser may come back to (RFC 8252), and by which word it is known again. */
export const connectStart = z.strictObject({ redirectUri: z.string().max(200), state: z.string().min(16).max(200) });
/** What it brings back: the code of the browser (RFC 7636), or that of a device. */
export const connectCode = z.union([
  z.strictObject({
    code: z.string().min(1).max(4_000),
    verifier: z.string().min(43).max(128),
    redirectUri: z.string().max(200),
    client: z.string().max(3_000),
    /** RFC 9207. */
    issuer: z.string().max(2_000).optional(),
  }),
  z.strictObject({ deviceCode: z.string().min(1).max(4_000) }),
]);
type ConnectCode = z.infer<typeof connectCode>;
export type ConnectState = { state: 'connected' | 'pending' | 'slow_down' } | { state: 'unreachable'; why: string };
export type ConnectFlow = { kind: 'code'; url: string; verifier: string; client: string } | DeviceFlow;

/** A registered client without tokens is of a flow that goes on, or of one that nobody ended. */
const UNUSED_MS = 3_600_000;

export type Accounts = ReturnType<typeof createAccounts>;

export function createAccounts({ store, clock, notifyOwner }: TokenDeps) {
  const tokens = createTokens({ store, clock, notifyOwner });
  const clients = createClients(store);
  async function beginAtFound(account: Account & { oauth: FoundOAuth }, start: z.infer<typeof connectStart>) {
    const lacking = store.serviceTokens.get(account.name)?.lacking ?? null;
    const { url, verifier, client } = await beginFound(
      { account, fetch: clients.fetchFor(account), clock, lacking },
      start,
    );
    store.transaction(() => {
      store.serviceClients.removeUnused(account.name, clock.now() - UNUSED_MS);
      store.serviceClients.put(client);
    });
    return { kind: 'code' as const, url: url.href, verifier, client: client.client };
  }

  return {
    /** What the owner has to do. Throws PinchError. */
    async begin(account: Account, start: z.infer<typeof connectStart>): Promise<ConnectFlow> {
      const { oauth } = account;
      if (!isWritten(oauth)) return beginAtFound({ ...account, oauth }, start);
      const client = writtenClient(account, oauth, clients.fetchFor(account));
      if (oauth.deviceUrl !== undefined) return beginDevice(client, oauth.deviceUrl, oauth.scopes);
      return { kind: 'code', client: client.client, ...codePage(oauth, start) };
    },
    /** Asks once whether he has; keeps the tokens. Throws PinchError when it cannot come to a good end. */
    async finish(account: Account, code: ConnectCode): Promise<ConnectState> {
      const client = clients.find(account, 'client' in code ? code.client : undefined);
      if (!client || ('client' in code && code.client !== client.client)) throw begunElsewhere(account.name);
      if ('client' in code) checkIssuer(store.serviceClients.get(account.name, code.client), code.issuer);
      const askedAt = clock.now();
      const answer = await askForTokens(client, fieldsOf(code));
      if (answer.kind === 'failed' && 'deviceCode' in code) return { state: 'unreachable', why: answer.why };
      if (answer.kind === 'failed') throw noTokens(client, answer.why);
      if (answer.kind === 'tokens') {
        tokens.put(client, answer.tokens, askedAt);
        return { state: 'connected' };
      }
      if ('deviceCode' in code && answer.error === 'authorization_pending') return { state: 'pending' };
      if ('deviceCode' in code && answer.error === 'slow_down') return { state: 'slow_down' };
      throw noTokens(client, WORDS[answer.error] ?? answer.error);
    },
    isConnected: (account: Account): boolean =>
      store.serviceTokens.get(account.name)?.client === (clients.of(account)?.client ?? ''),
    /** Tokens that count. Throws PinchError, as `tokens.of`. */
    async tokens(account: Account): Promise<Tokens> {
      const client = clients.of(account);
      if (!client) throw notConnected(account.name);
      return tokens.of(client);
    },
    /** The service does not take this token any more: the next call asks for another one. */
    expire: (name: string, accessToken: string): void => void store.serviceTokens.expire(name, accessToken),
    /** The service wants scopes that its tokens do not have. */
    lack: (name: string, challenge: string): Promise<void> => noteLacking({ store, notifyOwner }, name, challenge),
  };
}

const WORDS: Record<string, string> = {
  access_denied: 'it was refused',
  expired_token: 'the code has ended; connect again',
  invalid_grant: 'the code was taken back, or has ended; connect again',
};

const begunElsewhere = (name: string): PinchError =>
  new PinchError('not_found', `what was begun for ${name} is not known any more`, { hint: connectHint(name) });

/** Where the owner says yes, and what only we know of it (RFC 7636). */
function codePage(
  { authorizeUrl = '', clientId, scopes }: WrittenOAuth,
  { redirectUri, state }: z.infer<typeof connectStart>,
) {
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL(authorizeUrl);
  const fields = {
    ...{ response_type: 'code', client_id: clientId, redirect_uri: redirectUri, state },
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
  };
  for (const [field, value] of Object.entries(fields)) url.searchParams.set(field, value);
  return { url: url.href, verifier };
}

/** An answer that another server sent us is none (RFC 9207). */
function checkIssuer(client: KnownClient | undefined, said: string | undefined): void {
  if (!client || (said === undefined ? !client.needsIssuer : client.issuer === null || said === client.issuer)) return;
  throw new PinchError('refused', 'the browser came back from another server than it was sent to', {
    hint: connectHint(client.service),
  });
}

const fieldsOf = (code: ConnectCode): Record<string, string> =>
  'deviceCode' in code
    ? { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: code.deviceCode }
    : {
        ...{ grant_type: 'authorization_code', code: code.code },
        ...{ code_verifier: code.verifier, redirect_uri: code.redirectUri },
      };
