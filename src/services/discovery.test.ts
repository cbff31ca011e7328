// Servers of MCP that name their authorization server, and lie: what is not followed, not asked, not kept.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listen } from '../egress/testing/inside.js';
import { type ServicesHome, startHome } from './testing/home.js';
import { addressIn, connectAt } from './testing/owner.js';

let server: Server;
let home: ServicesHome;
let origin: string;
let asked: { line: string; body: string; authorization: string | undefined }[];
/** What stands where; a text as it is, everything else as JSON. */
let pages: Record<string, unknown>;
let metadata: Record<string, unknown>;
const RESOURCE = '/.well-known/oauth-protected-resource/mcp';
const SERVER = '/.well-known/oauth-authorization-server';

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    void answer(request).then(([status, body, challenge]) => {
      if (challenge) response.setHeader('www-authenticate', challenge);
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
  });
  origin = `http://127.0.0.1:${await listen(server)}`;
  metadata = {
    ...{ issuer: origin, authorization_endpoint: `${origin}/auth`, token_endpoint: `${origin}/token` },
    ...{ registration_endpoint: `${origin}/register`, response_types_supported: ['code'] },
    ...{ code_challenge_methods_supported: ['S256'], token_endpoint_auth_methods_supported: ['client_secret_basic'] },
  };
  const registered = { client_id: 'given', client_secret: 'given-secret-0123', redirect_uris: ['http://127.0.0.1/'] };
  pages = {
    [RESOURCE]: { resource: `${origin}/mcp`, authorization_servers: [origin] },
    [SERVER]: metadata,
    '/register': registered,
    '/token': { access_token: 'access-0123456789', token_type: 'bearer' },
  };
  home = await startHome({ inbox: mcp() });
});
afterEach(async () => {
  await home.end();
  server.close();
  server.closeAllConnections();
});

const mcp = (oauth2: object = {}) => ({
  ...{ kind: 'http', mcp: true, url: `${origin}/mcp`, groups: ['main'], auth: { oauth2 } },
});

async function answer(request: IncomingMessage): Promise<[number, string, string?]> {
  const { method, url = '', headers } = request;
  asked.push({ line: `${method} ${url}`, body: await text(request), authorization: headers.authorization });
  if (url === '/mcp') return [401, '', `Bearer resource_metadata="${origin}${RESOURCE}", scope="read"`];
  const page = pages[url];
  if (page === undefined) return [404, ''];
  return [url === '/register' ? 201 : 200, typeof page === 'string' ? page : JSON.stringify(page)];
}

/** The owner says yes; `change` is what becomes of the address at which his browser ends. */
const connect = (change = (back: URL) => back): Promise<string> =>
  connectAt(
    home.module.api(() => ({})),
    'inbox',
    {
      onSay(shown) {
        const page = new URL(addressIn(shown) ?? 'x:');
        const back = new URL(page.searchParams.get('redirect_uri') ?? '');
        back.search = `?code=c&state=${page.searchParams.get('state')}`;
        void fetch(change(back));
      },
    },
  );

test('who is registered for us is a secret of the host, and is told to the token endpoint alone', async () => {
  expect(await connect()).toBe('inbox is connected.');
  expect(home.secrets.namesIn(['given-secret-0123'])).toEqual(['client secret of the service inbox']);
  const told = asked.filter(({ authorization }) => authorization);
  expect(told.map(({ line }) => line)).toEqual(['POST /token']);
  expect(new URLSearchParams(told[0]?.body).get('resource')).toBe(`${origin}/mcp`);
});

test.each<[string, (now: typeof pages) => void, RegExp]>([
  ['metadata of another server', (now) => (now[RESOURCE] = { resource: 'https://bank.example/' }), /another server/],
  ['no metadata where it was promised', (now) => delete now[RESOURCE], /cannot be found/],
  ['HTML', (now) => (now[SERVER] = '<html>'), /cannot be found/],
  ['more than anybody reads', (now) => (now[SERVER] = 'x'.repeat(300_000)), /longer than/],
  ['somebody else’s name', (now) => (now[SERVER] = { ...metadata, issuer: 'https://bank.example' }), /ssuer/],
  ['no PKCE', (now) => (now[SERVER] = { ...metadata, code_challenge_methods_supported: ['plain'] }), /PKCE/],
  ['nothing of PKCE', (now) => (now[SERVER] = { ...metadata, code_challenge_methods_supported: undefined }), /PKCE/],
  [
    'a page that is a program',
    (now) => (now[SERVER] = { ...metadata, authorization_endpoint: 'javascript:alert(1)' }),
    /cannot be found/,
  ],
  ['no registration', (now) => (now[SERVER] = { ...metadata, registration_endpoint: undefined }), /takes no client/],
  ['a registration of nothing', (now) => (now['/register'] = {}), /cannot be found/],
  [
    'a place of no network of ours',
    (now) => (now[RESOURCE] = { resource: `${origin}/mcp`, authorization_servers: ['http://169.254.169.254/'] }),
    /not https|not public/,
  ],
])('%s: not connected, and nothing is kept', async (_name, change, why) => {
  change(pages);
  await expect(connect()).rejects.toThrow(why);
  expect(home.store.serviceClients.all()).toEqual([]);
  expect(asked.some(({ line }) => line.endsWith('/token'))).toBe(false);
});

test('a token endpoint of no network of ours is not told the code', async () => {
  pages[SERVER] = { ...metadata, token_endpoint: 'https://169.254.169.254/token' };
  await expect(connect()).rejects.toThrow(/not public/);
});

test('the browser comes back from another server: its code is not used (RFC 9207)', async () => {
  pages[SERVER] = { ...metadata, authorization_response_iss_parameter_supported: true };
  const from = (issuer: string) => (back: URL) => new URL(`${back.href}&iss=${encodeURIComponent(issuer)}`);
  await expect(connect(from('https://bank.example'))).rejects.toThrow(/another server/);
  await expect(connect()).rejects.toThrow(/another server/);
  expect(asked.some(({ line }) => line.endsWith('/token'))).toBe(false);
  expect(await connect(from(origin))).toBe('inbox is connected.');
});

test('a flow that was begun leaves the tokens as they are until it comes to its end', async () => {
  await connect();
  pages['/register'] = { client_id: 'second', redirect_uris: ['http://127.0.0.1/'] };
  pages['/token'] = '<html>';
  await expect(connect()).rejects.toThrow(/no access/);
  expect(home.store.serviceTokens.get('inbox')?.client).toContain(' given');
  const app = await home.curl('-i', `${home.base}/inbox/x`);
  expect(app).not.toContain('503');
});
