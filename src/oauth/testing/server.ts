// A real authorization server on this machine, and beside it an API (and an MCP server) that takes its tokens. The test plays the owner's browser.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import Provider from 'oidc-provider';

export const CLIENT = { id: 'pinch', secret: 'tok-0123456789' };
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

export type AuthorizationServer = Awaited<ReturnType<typeof startAuthorizationServer>>;

export async function startAuthorizationServer() {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = Object(server.address());
  const issuer = `http://127.0.0.1:${port}`;
  const ttl = {
    AccessToken: 3_600,
    DeviceCode: 600,
    RefreshToken: 86_400,
    Grant: 86_400,
    Session: 600,
    Interaction: 600,
  };
  const provider = new Provider(issuer, configuration(ttl, issuer));
  const oidc = provider.callback();
  /** Grants asked for at the token endpoint, in order. */
  const grants: string[] = [];
  const state = {
    /** Before the server sees it, and before anybody sees its answer. */
    before: async (): Promise<void> => undefined,
    after: async (): Promise<void> => undefined,
    /** Answers 403 with this challenge. */
    challenge: '',
  };
  async function token(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    grants.push(new URLSearchParams(body.toString()).get('grant_type') ?? '');
    await state.before();
    const { authorization, 'content-type': type = '' } = request.headers;
    const headers = { 'content-type': type, ...(authorization && { authorization }) };
    const answer = await fetch(`${issuer}/token?inside`, { method: 'POST', headers, body });
    const said = await answer.text();
    await state.after();
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(said);
  }
  async function api(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const value = request.headers.authorization?.replace('Bearer ', '') ?? '';
    const found = value ? await provider.AccessToken.find(value) : undefined;
    const isMcp = request.url?.startsWith('/mcp');
    const metadata = `resource_metadata="${issuer}/.well-known/oauth-protected-resource/mcp"`;
    await buffer(request);
    if (!found?.isValid || (isMcp && found.aud !== `${issuer}/mcp`))
      response.writeHead(401, { 'www-authenticate': `Bearer ${metadata}, scope="read"` }).end();
    else if (state.challenge) response.writeHead(403, { 'www-authenticate': state.challenge }).end();
    else response.end(`${request.url} ${value} ${found.scope ?? ''}`);
  }
  server.on('request', (request, response) => {
    const { url = '' } = request;
    if (url === '/token') void token(request, response);
    else if (/^\/(v1|mcp)(\/|$)/.test(url)) void api(request, response);
    else if (url === '/.well-known/oauth-protected-resource/mcp') {
      const metadata = {
        resource: `${issuer}/mcp`,
        authorization_servers: [issuer],
        scopes_supported: ['read', 'write'],
      };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(metadata));
    } else oidc(request, response);
  });
  return {
    ...{ issuer, ttl, grants, state, provider },
    /** The owner takes it back at the provider's. */
    revoke: async (refreshToken: string): Promise<number> => {
      const body = new URLSearchParams({ token: refreshToken, client_id: CLIENT.id, client_secret: CLIENT.secret });
      return (await fetch(`${issuer}/token/revocation`, { method: 'POST', body })).status;
    },
    /** An access token that is over before its time. */
    endAccess: async (token = ''): Promise<void> => (await provider.AccessToken.find(token))?.destroy(),
    close(): void {
      server.close();
      server.closeAllConnections();
    },
  };
}

function configuration(ttl: Record<string, number>, issuer: string) {
  const client = { client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: ['http://127.0.0.1/'] };
  const grants = ['authorization_code', 'refresh_token', DEVICE];
  return {
    clients: [
      {
        ...{ ...client, application_type: 'native', grant_types: grants, response_types: ['code'] },
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    scopes: ['openid', 'offline_access', 'read', 'write'],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    cookies: { keys: ['a key of the test'] },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    ttl: Object.fromEntries(Object.keys(ttl).map((name) => [name, () => ttl[name]])),
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'read write', audience: `${issuer}/mcp`, accessTokenFormat: 'opaque' }),
        useGrantedResource: () => true,
      },
    },
  };
}

/** Signs in, says yes to everything, types `userCode` where one is asked for; resolves with the page it ends at. `press` is a button besides. */
export async function browse(start: string, { userCode = '', press = '' } = {}): Promise<string> {
  const cookies = new Map<string, string>();
  const { origin } = new URL(start);
  let [url, body]: [string, URLSearchParams | undefined] = [start, undefined];
  const typed = new Set<string>();
  for (let step = 0; step < 30; step += 1) {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const method = body ? 'POST' : 'GET';
    const page = await fetch(url, { method, redirect: 'manual', headers: { cookie }, ...(body && { body }) });
    for (const set of page.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      cookies.set(name, value);
    }
    const text = await page.text();
    const location = page.headers.get('location');
    const form = /<form[^>]*action="([^"]*)"[^>]*>(.*?)<\/form>/s.exec(text);
    if (location) {
      [url, body] = [new URL(location, url).href, undefined];
      // Back at the machine where it began.
      if (new URL(url).origin !== origin) return (await fetch(url)).text();
    } else if (form && page.ok && !typed.has(`${url} ${/Enter code/.test(text)}`)) {
      // The same page again says that this was wrong.
      if (/Enter code/.test(text)) typed.add(`${url} true`);
      [url, body] = [new URL(form[1] ?? '', url).href, filled(form[2] ?? '', userCode)];
      if (press) body.set(press, 'yes');
    } else return text;
  }
  throw new Error('the browser came to no end');
}

function filled(form: string, userCode: string): URLSearchParams {
  const known: Record<string, string> = { login: 'olga', password: 'x', user_code: userCode };
  const fields = [...form.matchAll(/<input[^>]*>/g)].map(([input]): [string, string] => {
    const [, name = ''] = /name="([^"]*)"/.exec(input) ?? [];
    const [, value] = /value="([^"]*)"/.exec(input) ?? [];
    return [name, value ?? known[name] ?? ''];
  });
  return new URLSearchParams(fields.filter(([name]) => name !== ''));
}
