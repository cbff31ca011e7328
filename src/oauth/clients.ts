// Who we are at the authorization server of a service: what the owner wrote, or what was registered when it was connected.
import type { Account } from './account.js';
import { isWritten, type WrittenOAuth } from './config.js';
import { isStillMeant } from './discover.js';
import { createGuardedFetch, type Fetch } from './guarded-fetch.js';
import type { Store } from './store.js';
import type { OAuthClient } from './token-request.js';

export function createClients(store: Pick<Store, 'serviceTokens' | 'serviceClients'>) {
  const fetchFor = ({ url, oauth }: Account): Fetch =>
    createGuardedFetch({ url, written: isWritten(oauth) ? [oauth.tokenUrl, ...optional(oauth.deviceUrl)] : [] });
  const find = (account: Account, client: string | undefined): OAuthClient | undefined => {
    const { oauth, name: service, secret } = account;
    const fetch = fetchFor(account);
    if (isWritten(oauth)) return writtenClient(account, oauth, fetch);
    const known = client === undefined ? undefined : store.serviceClients.get(service, client);
    if (!known || !isStillMeant({ ...account, oauth }, known)) return undefined;
    const isRegistered = oauth.clientId === undefined;
    return { ...known, secret: known.secret ?? secret, isRegistered, fetch };
  };
  const of = (account: Account): OAuthClient | undefined =>
    find(account, store.serviceTokens.get(account.name)?.client);

  return { fetchFor, find, of };
}

const optional = <T>(value: T | undefined): T[] => (value === undefined ? [] : [value]);

export const writtenClient = (
  { name: service, secret, mcp, url }: Account,
  { tokenUrl, clientId }: WrittenOAuth,
  fetch: Fetch,
): OAuthClient => ({
  ...{ service, client: `${tokenUrl} ${clientId}`, tokenUrl, clientId, secret, fetch, isRegistered: false },
  authMethod: 'client_secret_post',
  resource: mcp ? url.href : null,
});
