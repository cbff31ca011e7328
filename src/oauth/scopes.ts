// Step-up: a service that wants scopes which its tokens do not have. Only the owner can widen them.
import type { Store } from './store.js';
import { connectHint, type TokenDeps } from './tokens.js';

const MAX_CHARS = 2_000;
const SCOPES = /^[!-~]+( [!-~]+)*$/;

/** Notes what the challenge of a 403 asks for, and tells the owner, once for each time that he connects it. */
export async function noteLacking(
  { store, notifyOwner }: { store: Store } & Pick<TokenDeps, 'notifyOwner'>,
  name: string,
  challenge: string,
): Promise<void> {
  const { computeScopeUnion, extractWWWAuthenticateParams } = await import('@modelcontextprotocol/client');
  const { scope } = extractWWWAuthenticateParams(new Response(null, { headers: { 'www-authenticate': challenge } }));
  const known = store.serviceTokens.get(name);
  const lacking = computeScopeUnion(known?.lacking ?? undefined, scope) ?? '';
  if (!known || lacking === known.lacking || lacking.length > MAX_CHARS || !SCOPES.test(lacking)) return;
  store.transaction(() => {
    store.serviceTokens.lack(name, lacking);
    // A server that wants something else each time is told of once, too.
    notifyOwner(`service-scopes:${name}:${known.connectedAt}`, wanted(name, lacking));
  });
}

const wanted = (name: string, scopes: string): string =>
  `The service \`${name}\` wants further rights for what was asked of it: \`${scopes.replaceAll('`', "'")}\`. ` +
  `If you agree, \`${connectHint(name)}\` connects it again with these.`;
