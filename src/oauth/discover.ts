// Where a server of MCP lets its owner say yes, and who we are there: its own metadata (RFC 9728, RFC 8414), a client registered for us (RFC 7591).
// All of that is said by the other side, so it is asked for through the guarded fetch, and what it leads to is kept as rows.
import type { AuthorizationServerMetadata, OAuthProtectedResourceMetadata } from '@modelcontextprotocol/client';
import type { Clock } from '../core/clock.js';
import { describeError, PinchError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import type { Account } from './account.js';
import type { FoundOAuth } from './config.js';
import type { Fetch } from './guarded-fetch.js';
import type { KnownClient } from './rows.js';

interface Finder {
  account: Account & { oauth: FoundOAuth };
  fetch: Fetch;
  clock: Clock;
  /** Scopes that its tokens lacked. */
  lacking: string | null;
}
interface Server {
  url: string;
  /** Undefined: one of before there were any. */
  metadata: AuthorizationServerMetadata | undefined;
  resource: OAuthProtectedResourceMetadata | undefined;
  /** Of the challenge. */
  scope: string | undefined;
}

/** Loaded when somebody connects: it is large. */
const library = () => import('@modelcontextprotocol/client');

/** The page for the owner's browser, its verifier, and the client to keep. Throws PinchError. */
export async function beginFound(
  finder: Finder,
  { redirectUri, state }: { redirectUri: string; state: string },
): Promise<{ url: URL; verifier: string; client: KnownClient }> {
  const { account } = finder;
  try {
    const mcp = await library();
    const server = await findServer(finder);
    const { url, metadata, resource } = server;
    const scope = scopesOf(finder, server);
    const information = await registered(finder, server, { redirectUri, scope });
    const { authorizationUrl, codeVerifier } = await mcp.startAuthorization(url, {
      ...{ clientInformation: information, redirectUrl: redirectUri, state },
      ...(metadata && { metadata }),
      ...(scope !== undefined && { scope }),
      ...(resource && { resource: resource.resource }),
    });
    if (!/^https?:$/.test(authorizationUrl.protocol)) throw new Error('its page for the browser is none of the web');
    const methods = metadata?.token_endpoint_auth_methods_supported ?? [];
    const client: KnownClient = {
      ...{ service: account.name, client: keyOf(account, information.client_id), clientId: information.client_id },
      secret: account.oauth.clientId === undefined ? (information.client_secret ?? null) : null,
      authMethod: mcp.selectClientAuthMethod(information, methods),
      tokenUrl: metadata?.token_endpoint ?? new URL('/token', url).href,
      resource: resource?.resource ?? null,
      issuer: metadata?.issuer ?? null,
      needsIssuer: metadata?.authorization_response_iss_parameter_supported === true,
      madeAt: finder.clock.now(),
    };
    return { url: authorizationUrl, verifier: codeVerifier, client };
  } catch (error) {
    if (error instanceof PinchError) throw error;
    const why = oneLine(describeError(error), 300);
    throw new PinchError('not_found', `the way to connect ${account.name} cannot be found: ${why}`, {
      hint: 'docs/services.md says what can be written in services.json instead',
    });
  }
}

/** By which tokens are known: another place or client in services.json does not get them. */
export const keyOf = ({ url }: Account, clientId: string): string => `${url.href} ${clientId}`;

/** Whether that client is still the one that services.json means. */
export const isStillMeant = (
  account: Account & { oauth: FoundOAuth },
  { client, clientId, issuer }: KnownClient,
): boolean => {
  const { clientId: own = clientId, issuer: only = issuer } = account.oauth;
  return client === keyOf(account, own) && issuer === only;
};

async function findServer({ account, fetch }: Finder): Promise<Server> {
  const mcp = await library();
  const { resourceMetadataUrl, scope } = await challengeOf(account, fetch);
  const named = resourceMetadataUrl ? { resourceMetadataUrl } : {};
  const resource = await mcp
    .discoverOAuthProtectedResourceMetadata(account.url, named, fetch)
    .catch((error: unknown) => {
      // Servers of before 2025-06-18 have none and are their own authorization server; but what is named must be there.
      if (error instanceof PinchError || resourceMetadataUrl) throw error;
      return undefined;
    });
  const requested = { requestedResource: account.url, configuredResource: resource?.resource ?? account.url };
  if (!mcp.checkResourceAllowed(requested)) throw new Error('its metadata is about another server');
  const url = resource?.authorization_servers?.[0] ?? new URL('/', account.url).href;
  const metadata = await mcp.discoverAuthorizationServerMetadata(url, {
    fetchFn: fetch,
    skipIssuerValidation: !resource,
  });
  if (metadata && !resource && !isItsOwn(url, metadata)) throw new Error(`${url} speaks for another server`);
  if (!metadata && resource) throw new Error(`${url} does not say where to ask`);
  if (metadata && !metadata.code_challenge_methods_supported?.includes('S256'))
    throw new Error(`${url} does not say that it protects codes (PKCE with S256)`);
  const { issuer } = account.oauth;
  if (issuer !== undefined && issuer !== metadata?.issuer)
    throw new Error(`it names the authorization server ${metadata?.issuer ?? url}, and services.json another`);
  return { url, metadata, resource, scope };
}

/** Old servers may call themselves something else (RFC 8414 §3.3 forbids it), but then all of it must be in one place. */
function isItsOwn(url: string, { issuer, ...places }: AuthorizationServerMetadata): boolean {
  const { authorization_endpoint, token_endpoint, registration_endpoint = url } = places;
  const all = [issuer, authorization_endpoint, token_endpoint, registration_endpoint];
  return `${issuer}/` === url || issuer === url || all.every((one) => new URL(one).origin === new URL(url).origin);
}

/** What it says to somebody whom it does not know. A `ping` opens nothing, wherever nobody has to be known. */
async function challengeOf({ url }: Account, fetch: Fetch) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'ping' }),
  });
  const { extractWWWAuthenticateParams } = await library();
  return answer.status === 401 ? extractWWWAuthenticateParams(answer) : {};
}

/** What the owner wrote, else what the server asks for; and what its tokens lacked. */
function scopesOf({ account, lacking }: Finder, { scope, resource, metadata }: Server): string | undefined {
  const { scopes } = account.oauth;
  const wanted = scopes.length > 0 ? scopes : (scope?.split(' ') ?? resource?.scopes_supported ?? []);
  const all = new Set([...wanted, ...(lacking?.split(' ') ?? [])]);
  // Where there is such a scope, there is no refresh token without it.
  if (all.size > 0 && metadata?.scopes_supported?.includes('offline_access')) all.add('offline_access');
  return all.size > 0 ? [...all].join(' ') : undefined;
}

async function registered(
  { account, fetch }: Finder,
  { url, metadata }: Server,
  { redirectUri, scope }: { redirectUri: string; scope: string | undefined },
): Promise<{ client_id: string; client_secret?: string | undefined; token_endpoint_auth_method?: string | undefined }> {
  const { clientId, clientMetadataUrl } = account.oauth;
  if (clientId !== undefined)
    return { client_id: clientId, ...(account.secret !== null && { client_secret: account.secret }) };
  if (clientMetadataUrl !== undefined && metadata?.client_id_metadata_document_supported === true)
    return { client_id: clientMetadataUrl };
  if (metadata && !metadata.registration_endpoint)
    throw new PinchError('not_found', `${url} takes no client that it does not know`, {
      hint: `register one there for ${account.name} and write its clientId into services.json`,
    });
  const { registerClient } = await library();
  const methods = metadata?.token_endpoint_auth_methods_supported ?? ['none'];
  return registerClient(url, {
    ...(metadata && { metadata }),
    clientMetadata: {
      ...{ client_name: 'Pinch', redirect_uris: [redirectUri], response_types: ['code'], application_type: 'native' },
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method:
        ['none', 'client_secret_basic', 'client_secret_post'].find((method) => methods.includes(method)) ?? 'none',
    },
    ...(scope !== undefined && { scope }),
    fetchFn: fetch,
  });
}
